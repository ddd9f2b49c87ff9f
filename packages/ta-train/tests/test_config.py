import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ta_schemas import InputError
from ta_train.cli import app
from ta_train.config import SftConfig
from ta_train.recipe import CONFIGS, load_recipe, recipe_method, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_valid_and_says_what_it_is_for(name: str) -> None:
    assert load_recipe(name, recipe_method(name)).description


def test_the_promised_recipes_are_shipped() -> None:
    assert {"cpu-smollm2", "cpu-tiny", "gpu-lora-1b", "gpu-qlora-8b"} <= set(recipe_names())


@pytest.mark.parametrize("method", CONFIGS)
def test_every_key_of_a_method_is_listed_with_its_default_and_meaning(method: str) -> None:
    shown = CliRunner().invoke(app, ["keys", method], env={"COLUMNS": "1000"})
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.stdout.splitlines()]
    listed = {cells[0]: cells[1:] for cells in rows if len(cells) == 3}
    assert listed.keys() == CONFIGS[method].model_fields.keys()
    assert listed["track"][0] == "[]"
    assert listed["gradient_checkpointing"][0] == "false"
    assert [key for key, (_, meaning) in listed.items() if not meaning] == []


def test_the_keys_are_also_told_as_json() -> None:
    told = json.loads(CliRunner().invoke(app, ["keys", "dpo", "--json"]).stdout)
    assert told["beta"]["default"] == "0.1"
    assert told.keys() == CONFIGS["dpo"].model_fields.keys()


def test_an_override_changes_the_recipe() -> None:
    assert load_recipe("cpu-tiny", SftConfig, ["lora_rank=7", "target_modules=[q_proj]"]).lora_rank == 7


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown key 'lora_rnk', did you mean lora_rank"):
        load_recipe("cpu-tiny", SftConfig, ["lora_rnk=7"])


def test_a_bad_value_names_its_key() -> None:
    with pytest.raises(InputError, match="lora_rank"):
        load_recipe("cpu-tiny", SftConfig, ["lora_rank=0"])


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean cpu-tiny"):
        load_recipe("cpu-tyni", SftConfig)


def test_a_recipe_file_is_read_and_its_errors_name_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("lora_rank: 3\n")
    assert load_recipe(str(file), SftConfig).lora_rank == 3
    file.write_text("lora_rank: [\n")
    with pytest.raises(InputError, match="mine.yaml: not valid YAML"):
        load_recipe(str(file), SftConfig)


def test_an_override_without_a_value_is_refused() -> None:
    with pytest.raises(InputError, match="expected key=value"):
        load_recipe("cpu-tiny", SftConfig, ["lora_rank"])


def test_a_recipe_of_another_method_names_its_command(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("method: dpo\n")
    with pytest.raises(InputError, match="run it with `ta-train dpo`"):
        load_recipe(str(file), SftConfig)
