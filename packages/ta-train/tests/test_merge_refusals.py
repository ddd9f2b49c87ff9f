"""Merges that must not be: without effect, wrong, of what does not belong together."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from merge_fixtures import make_adapter

from ta_schemas import Artifact, ArtifactError, ArtifactWriter, InputError, SetupError
from ta_schemas.errors import GateError
from ta_train.merge.inputs import MergeConfig
from ta_train.merge.merge import merge


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Artifact:
    return make_adapter(tmp_path_factory.mktemp("one") / "adapter", base_model, seed=1)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Artifact:
    return make_adapter(tmp_path_factory.mktemp("two") / "adapter", base_model, seed=2)


def test_an_adapter_that_learned_nothing_is_refused_because_merged_equals_base(
    base_model: Path, tmp_path: Path
) -> None:
    idle = make_adapter(tmp_path / "idle", base_model, trained=0)
    with pytest.raises(GateError, match="merged equals base"):
        merge(MergeConfig(), [idle.path], tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_an_effect_smaller_than_the_rounding_is_refused_and_float32_holds_it(
    base_model: Path, tmp_path: Path
) -> None:
    faint = make_adapter(tmp_path / "faint", base_model, trained=1e-4)
    with pytest.raises(GateError, match="merged equals base.*bfloat16 can hold"):
        merge(MergeConfig(dtype="bfloat16"), [faint.path], tmp_path / "model")
    assert merge(MergeConfig(dtype="float32"), [faint.path], tmp_path / "model").manifest.metrics


def test_a_merge_that_forgets_the_adapter_is_caught(
    one: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora import LoraModel

    monkeypatch.setattr(LoraModel, "merge_and_unload", LoraModel.unload)
    with pytest.raises(GateError, match="merged equals base"):
        merge(MergeConfig(), [one.path], tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_merge_that_counts_the_adapter_twice_is_caught(
    one: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora import Linear

    once = Linear.get_delta_weight
    monkeypatch.setattr(Linear, "get_delta_weight", lambda self, adapter: 2 * once(self, adapter))
    with pytest.raises(GateError, match="merged differs from the adapted model"):
        merge(MergeConfig(), [one.path], tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_adapters_of_different_base_models_are_refused_by_name(
    one: Artifact, base_model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other-base"
    shutil.copytree(base_model, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-5}))
    foreign = make_adapter(tmp_path / "foreign", other)
    with pytest.raises(ArtifactError, match=r"adapter was tuned on tiny .*foreign on other-base"):
        merge(MergeConfig(), [one.path, foreign.path], tmp_path / "model")


def test_a_base_model_that_moved_is_found_by_option_and_checked(
    one: Artifact, base_model: Path, tmp_path: Path
) -> None:
    lost = make_adapter(tmp_path / "lost", base_model, base_path=tmp_path / "gone")
    with pytest.raises(SetupError, match=r"tiny is not on this machine .*--base-model"):
        merge(MergeConfig(), [lost.path], tmp_path / "model")
    assert merge(MergeConfig(), [lost.path], tmp_path / "model", base_model=str(base_model)).digest
    wrong = tmp_path / "wrong"
    shutil.copytree(base_model, wrong)
    (wrong / "generation_config.json").write_text("{}")
    with pytest.raises(ArtifactError, match="wrong holds sha256:"):
        merge(MergeConfig(), [lost.path], tmp_path / "again", base_model=str(wrong))


def test_adapters_with_another_chat_template_are_refused(
    one: Artifact, base_model: Path, tmp_path: Path
) -> None:
    other = make_adapter(tmp_path / "other", base_model, seed=5)
    with ArtifactWriter(tmp_path / "changed", kind="adapter", producer="test 1") as writer:
        for entry in other.manifest.files:
            shutil.copy(other.path / entry.path, writer.path / entry.path)
        (writer.path / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(ArtifactError, match=r"carry different chat_template\.jinja"):
        merge(MergeConfig(), [one.path, tmp_path / "changed"], tmp_path / "model")


def test_of_different_system_prompts_the_first_travels_and_it_is_said(
    one: Artifact, base_model: Path, tmp_path: Path
) -> None:
    from rich.console import Console

    other = make_adapter(tmp_path / "other", base_model, seed=5, system_prompt="Answer in verse.")
    console = Console(record=True, width=300, quiet=False)
    model = merge(MergeConfig(), [other.path, one.path], tmp_path / "model", console=console)
    settings = json.loads(model.file("settings.json").read_text())
    assert settings["system_prompt"] == "Answer in verse."
    assert "dataset" not in settings
    assert f"those of {other.path} travel" in console.export_text()


@pytest.mark.parametrize(
    ("changes", "count", "message"),
    [
        ({"method": "ties"}, 1, "combines adapters: name at least two"),
        ({"weights": [1.0]}, 2, "1 of them for 2 adapters"),
        ({"weights": [1.0, 0.0]}, 2, "leave it out"),
        ({"density": 0.5}, 2, "linear drops nothing"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(
    changes: dict[str, Any], count: int, message: str, one: Artifact, two: Artifact, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        merge(MergeConfig.model_validate(changes), [one.path, two.path][:count], tmp_path / "model")


def test_ties_of_different_ranks_and_weighted_dora_are_refused(
    one: Artifact, base_model: Path, tmp_path: Path
) -> None:
    small = make_adapter(tmp_path / "small", base_model, rank=2)
    with pytest.raises(InputError, match=r"adapters of one rank \(.* 4, .* 2\): use linear or svd"):
        merge(MergeConfig(method="ties"), [one.path, small.path], tmp_path / "model")
    dora = make_adapter(tmp_path / "dora", base_model, lora={"use_dora": True})
    with pytest.raises(InputError, match="dora: DoRA"):
        merge(MergeConfig(), [one.path, dora.path], tmp_path / "model")
    assert merge(MergeConfig(), [dora.path], tmp_path / "model").manifest.metrics["logit_difference"] < 1e-4


def test_a_reward_model_is_not_merged(one: Artifact, tmp_path: Path) -> None:
    with ArtifactWriter(tmp_path / "reward", kind="adapter", producer="test 1") as writer:
        for entry in one.manifest.files:
            shutil.copy(one.path / entry.path, writer.path / entry.path)
        lora = json.loads(one.file("adapter_config.json").read_text())
        (writer.path / "adapter_config.json").write_text(json.dumps(lora | {"task_type": "SEQ_CLS"}))
    with pytest.raises(ArtifactError, match="reward: SEQ_CLS: only adapters that answer"):
        merge(MergeConfig(), [tmp_path / "reward"], tmp_path / "model")
