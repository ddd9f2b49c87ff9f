"""What a preference run refuses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from preference_fixtures import fixed, preference, preference_rows, seal_preferences

from ta_schemas import ArtifactError, ArtifactWriter, InputError
from ta_schemas.rows import Message, PreferenceRow
from ta_train.preference.preference import prefer
from ta_train.recipe import load_recipe


def with_line_two(**change: Any) -> list[PreferenceRow]:
    bad = preference("cp", 1)
    for key, value in change.items():
        setattr(bad, key, value)
    return [preference("ls", 0), bad]


ANSWER = Message(role="assistant", content="Run it.")
USER = Message(role="user", content="How?")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chosen": [ANSWER], "rejected": [ANSWER]}, "rejected: the same answer as chosen"),
        ({"rejected": [Message(role="assistant", content=" \n")]}, "rejected: the answer is empty"),
        ({"chosen": []}, "chosen: expected one assistant message, found 0"),
        ({"chosen": [USER]}, "chosen: expected one assistant message"),
        ({"prompt": [USER, ANSWER]}, "prompt: ends with assistant, expected a user turn"),
        ({"prompt": []}, "prompt: ends with nothing"),
        ({"chosen": [Message(role="assistant", content="word " * 600)]}, "chosen: .* max_length is 512"),
        ({"rejected": [Message(role="assistant", content="word " * 600)]}, "rejected: .* answer would be cut"),
    ],
)
def test_a_bad_row_is_refused_by_file_line_and_field(
    change: dict[str, Any], message: str, base_model: Path, tmp_path: Path
) -> None:
    data = seal_preferences(tmp_path / "preferences", with_line_two(**change))
    with pytest.raises(InputError, match=rf"preferences/train\.jsonl:2: {message}"):
        prefer(fixed(base_model), data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.work").exists()


@pytest.mark.parametrize("split_name", ["train", "validation"])
def test_a_split_without_rows_is_refused(split_name: str, base_model: Path, tmp_path: Path) -> None:
    splits = ([], None) if split_name == "train" else (preference_rows(), [])
    data = seal_preferences(tmp_path / "preferences", *splits)
    with pytest.raises(InputError, match=rf"{split_name}\.jsonl: no rows"):
        prefer(fixed(base_model), data, tmp_path / "out")


def test_an_answer_whose_white_space_melts_into_the_prompt_is_refused(base_model: Path) -> None:
    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_tokenizer
    from ta_train.preference.rows import Located, render_pairs

    tokenizer = load_tokenizer(resolve(str(base_model)))
    tokenizer.add_tokens(["\n\n"])  # the template's newline and the answer's: a token no prompt alone ends with
    bad = with_line_two(chosen=[Message(role="assistant", content="\n```bash\ncp\n```")])[1]
    with pytest.raises(InputError, match="here:2: rejected: an answer's first characters melt"):
        render_pairs([Located("here:2", bad)], tokenizer, max_length=512)


def test_another_kind_of_artifact_is_refused(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="kind 'dataset', expected 'preferences'"):
        prefer(fixed(base_model), dataset, tmp_path / "out")


def test_an_adapter_of_another_base_model_is_refused(
    base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(base_model, other)
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    with pytest.raises(ArtifactError, match="made for the base model tiny .* not for other .* set base_model"):
        prefer(fixed(other), preferences, tmp_path / "out", adapter=adapter)


def resealed(adapter: Path, out: Path, **change: Any) -> Path:
    """The adapter with another `adapter_config.json`."""
    with ArtifactWriter(out, kind="adapter", producer="test 1") as writer:
        shutil.copytree(
            adapter, writer.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json")
        )
        file = writer.path / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
    return out


def test_a_reward_model_is_refused(base_model: Path, preferences: Path, adapter: Path, tmp_path: Path) -> None:
    reward = resealed(adapter, tmp_path / "reward", task_type="SEQ_CLS")
    with pytest.raises(ArtifactError, match="reward: a reward model"):
        prefer(fixed(base_model), preferences, tmp_path / "out", adapter=reward)


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")
def test_weights_that_are_not_there_are_named(
    base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    other = resealed(adapter, tmp_path / "other", target_modules=["q_proj", "up_proj", "k_proj"])
    with pytest.raises(ArtifactError, match="other: its weights do not fit the base model, as .*k_proj"):
        prefer(fixed(base_model), preferences, tmp_path / "out", adapter=other)


def test_a_key_that_the_adapter_decides_is_refused(
    base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"lora_rank: the adapter .* has its own"):
        prefer(fixed(base_model, lora_rank=8), preferences, tmp_path / "out", adapter=adapter)


@pytest.mark.parametrize(
    ("method", "override", "message"),
    [
        ("dpo", "lora_dropout=0.1", "lora_dropout: Input should be less than or equal to 0"),
        ("dpo", "simpo_margin=1", "simpo_margin: the loss sigmoid has none"),
        ("orpo", "loss=ipo", "unknown key 'loss'"),
        ("kto", "beta=0", "beta"),
    ],
)
def test_a_key_without_effect_is_refused(method: str, override: str, message: str) -> None:
    from ta_train.recipe import CONFIGS

    with pytest.raises(InputError, match=message):
        load_recipe(f"cpu-smollm2-{method}", CONFIGS[method], [override])
