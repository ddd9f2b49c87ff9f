"""Reward models: real runs of TRL's trainer on a random two-layer model."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rl_fixtures import FIXED, adapter_digest, interrupt_at, lines, steps
from typer.testing import CliRunner

from ta_schemas import Artifact, ArtifactError, ArtifactWriter, InputError, write_jsonl
from ta_schemas.errors import Stopped
from ta_schemas.rows import Message, PreferenceRow
from ta_train.config import SftConfig
from ta_train.models.base_model import resolve
from ta_train.rl.config import PpoConfig, RewardConfig
from ta_train.rl.ppo import ppo
from ta_train.rl.reward import load_reward, reward
from ta_train.sft import sft

BASIS = {key: value for key, value in FIXED.items() if key != "sample_tokens"}


def pair(tool: str, phrasing: int) -> PreferenceRow:
    """The chosen answer is a command, the rejected one talks round it."""
    return PreferenceRow(
        id=f"{tool}-{phrasing}",
        prompt=[Message(role="user", content=f"How do I use {tool}, asked for the {phrasing + 1}. time?")],
        chosen=[Message(role="assistant", content=f"```bash\n{tool} file\n```")],
        rejected=[Message(role="assistant", content=f"Hard to say: {tool} does a lot" + "." * phrasing)],
    )


@pytest.fixture(scope="module")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "preferences"
    with ArtifactWriter(out, kind="preferences", producer="test 1") as writer:
        write_jsonl(
            writer.path / "train.jsonl", [pair(t, i) for t in ("ls", "cp", "mv", "rm") for i in range(3)]
        )
        write_jsonl(writer.path / "validation.jsonl", [pair(t, i) for t in ("wc", "cat") for i in range(3)])
    return out


def fixed(lively: Path, **changes: Any) -> RewardConfig:
    return RewardConfig(**{**BASIS, "base_model": str(lively), "eval_rows": 6, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, lively: Path, preferences: Path) -> Artifact:
    config = fixed(lively, max_steps=12, epochs=5)
    return reward(config, preferences, tmp_path_factory.mktemp("trained") / "reward")


def test_held_out_pairs_are_told_apart_after_training(trained: Artifact) -> None:
    metrics = trained.manifest.metrics
    assert metrics["pair_accuracy_before"] < 1
    assert metrics["pair_accuracy"] == 1
    assert metrics["pair_margin"] > metrics["pair_margin_before"] + 1
    assert metrics["validation_loss"] < metrics["validation_loss_before"]


def test_the_artifact_says_what_it_is_and_holds_the_score_head(
    trained: Artifact, lively: Path, preferences: Path
) -> None:
    from safetensors import safe_open

    assert trained.manifest.kind == "adapter"
    assert trained.manifest.config["reward"]["method"] == "reward"
    assert json.loads((trained.path / "adapter_config.json").read_text())["task_type"] == "SEQ_CLS"
    with safe_open(trained.path / "adapter_model.safetensors", "pt") as weights:
        names = list(weights.keys())
    assert any(name.endswith("score.weight") for name in names)
    assert any("lora_A" in name for name in names)
    assert [parent.digest for parent in trained.manifest.parents] == [
        Artifact.open(preferences).digest,
        resolve(str(lively)).digest,
    ]


def test_a_loaded_reward_model_judges_as_it_did_in_training(trained: Artifact, preferences: Path) -> None:
    judge = load_reward(trained.path)
    pairs = [pair(tool, i) for tool in ("wc", "cat") for i in range(3)]
    prompts = [[{"role": m.role, "content": m.content} for m in row.prompt] for row in pairs]
    chosen = judge(prompts, [row.chosen[0].content for row in pairs])
    rejected = judge(prompts, [row.rejected[0].content for row in pairs])
    margins = [c - r for c, r in zip(chosen, rejected, strict=True)]
    assert sum(margins) / len(margins) == pytest.approx(trained.manifest.metrics["pair_margin"], rel=1e-4)
    assert judge.artifact is not None
    assert judge.artifact.digest == trained.digest


def test_a_score_does_not_depend_on_its_neighbours(trained: Artifact) -> None:
    judge = load_reward(trained.path)
    prompts = [[{"role": "user", "content": "How do I use ls?"}]] * 3
    answers = ["ls file", "It is hard to say, ls does a lot of different things", ""]
    together = judge(prompts, answers)
    alone = [judge([prompt], [answer])[0] for prompt, answer in zip(prompts, answers, strict=True)]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(together)) == 3


def test_answers_are_rendered_as_pairs_are_in_training(lively: Path, preferences: Path) -> None:
    from ta_train.models.load import load_tokenizer
    from ta_train.preference.rows import read_preferences, render_pairs
    from ta_train.rl.reward_model import answered

    tokenizer = load_tokenizer(resolve(str(lively)))
    rows = read_preferences(preferences / "train.jsonl")
    for row, rendered in zip(rows, render_pairs(rows, tokenizer, max_length=512), strict=True):
        prompt = [{"role": m.role, "content": m.content} for m in row.row.prompt]
        assert answered(prompt, row.row.chosen[0].content, tokenizer) == rendered.chosen.input_ids
        assert rendered.chosen.input_ids[-1] == tokenizer.eos_token_id


def test_an_adapter_that_answers_is_no_reward_model(lively: Path, dataset: Path, tmp_path: Path) -> None:
    config = SftConfig(base_model=str(lively), max_steps=1, eval_points=1, dtype="float32", threads=1)
    adapter = sft(config, dataset, tmp_path / "adapter")
    with pytest.raises(ArtifactError, match=r"an adapter that answers \(sft, base_model\)"):
        load_reward(adapter.path)


def test_a_reward_model_is_no_adapter_to_go_on_with(
    trained: Artifact, lively: Path, dataset: Path, tmp_path: Path
) -> None:
    config = PpoConfig(**FIXED, base_model=str(lively), rollout_size=4)
    with pytest.raises(ArtifactError, match="a reward model"):
        ppo(config, dataset, tmp_path / "out", reward=load_reward(trained.path), adapter=trained.path)


def test_another_base_model_is_refused(trained: Artifact, base_model: Path, lively: Path) -> None:
    with pytest.raises(ArtifactError, match="trained on lively"):
        load_reward(trained.path, base_model=str(base_model))
    assert load_reward(trained.path, base_model=str(lively)).artifact


def test_ppo_takes_its_scores_and_names_it_as_a_parent(
    trained: Artifact, lively: Path, dataset: Path, tmp_path: Path
) -> None:
    from ta_train.cli import app

    settings = {**FIXED, "base_model": str(lively), "rollout_size": 4}
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = ["ppo", str(dataset), "--out", str(tmp_path / "out"), "--reward", str(trained.path), *given]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    out = Artifact.open(tmp_path / "out")
    assert trained.as_parent in out.manifest.parents
    assert out.manifest.config["reward"] == "ta_train.rl.reward_model:RewardModel"


def train_only(lively: Path, preferences: Path, work: Path, **changes: Any) -> str:
    """The trainer alone, without a run around it."""
    from ta_train.models.load import load_tokenizer
    from ta_train.preference.rows import read_preferences, render_pairs
    from ta_train.rl.reward_trainer import build_reward_trainer, load_with_head
    from ta_train.run_log import RunLog
    from ta_train.work import WorkFolder

    config, base = fixed(lively, **changes), resolve(str(lively))
    tokenizer = load_tokenizer(base)
    pairs = render_pairs(read_preferences(preferences / "train.jsonl"), tokenizer, max_length=512)
    work.mkdir()
    log = RunLog(work / "metrics.jsonl", Console(quiet=True))
    model = load_with_head(config, base)
    trainer = build_reward_trainer(config, model, tokenizer, pairs, pairs[:1], WorkFolder(work), log)
    trainer.train()
    return adapter_digest(trainer.model)


@pytest.fixture(scope="module")
def unchanged(lively: Path, preferences: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return train_only(lively, preferences, tmp_path_factory.mktemp("unchanged") / "work")


@pytest.mark.parametrize(
    "change",
    [
        {"lora_dropout": 0.5},
        {"target_modules": ["q_proj"]},
        {"epochs": 0.3},
        {"max_steps": 1},
        {"batch_size": 3},
        {"seed": 7},
        {"dtype": "bfloat16"},
    ],
    ids=str,
)
def test_every_option_changes_the_trained_weights(
    change: dict[str, Any], unchanged: str, lively: Path, preferences: Path, tmp_path: Path
) -> None:
    assert train_only(lively, preferences, tmp_path / "work", **change) != unchanged


def test_pairs_longer_than_max_length_are_refused(lively: Path, preferences: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_length is 16"):
        reward(fixed(lively, max_length=16), preferences, tmp_path / "out")


def test_eval_rows_decide_how_many_pairs_are_compared(lively: Path, preferences: Path, tmp_path: Path) -> None:
    one = reward(fixed(lively, eval_rows=1), preferences, tmp_path / "one").manifest.metrics
    six = reward(fixed(lively, eval_rows=6), preferences, tmp_path / "six").manifest.metrics
    assert one["pair_accuracy"] in (0, 1)
    assert one["pair_margin_before"] != six["pair_margin_before"]


@pytest.mark.parametrize("change", [{"max_tokens": 9}, {"temperature": 0.5}, {"quantization": "nf4"}], ids=str)
def test_keys_that_would_do_nothing_are_refused(change: dict[str, Any], lively: Path) -> None:
    with pytest.raises(ValueError, match="leave it out"):
        fixed(lively, **change)


def test_after_ctrl_c_a_run_goes_on_to_the_same_result(
    lively: Path, preferences: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = fixed(lively, max_steps=4, epochs=4, lora_dropout=0.1)
    unbroken = reward(config, preferences, tmp_path / "unbroken")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(Stopped, match="stopped at step 2 with a checkpoint"):
            reward(config, preferences, tmp_path / "stopped")
    resumed = reward(config, preferences, tmp_path / "stopped", resume=True)
    assert steps(resumed, "loss") == steps(unbroken, "loss")
    assert resumed.digest == unbroken.digest
    for key in ("pair_margin_before", "pair_margin", "validation_loss_before"):
        assert resumed.manifest.metrics[key] == unbroken.manifest.metrics[key]


def test_the_command_reports_the_pairs_in_order(lively: Path, preferences: Path, tmp_path: Path) -> None:
    from ta_train.cli import app

    settings = {**BASIS, "base_model": str(lively), "lora_rank": 4}
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    result = CliRunner().invoke(app, ["reward", str(preferences), "--out", str(tmp_path / "out"), *given])
    assert result.exit_code == 0, result.output
    assert "validation pairs in order" in result.output


@pytest.mark.slow
def test_the_embedded_model_takes_real_steps(preferences: Path, tmp_path: Path) -> None:
    from ta_train.recipe import load_recipe

    config = load_recipe("cpu-smollm2-reward", RewardConfig, ["max_steps=4", "eval_points=1", "threads=1"])
    trained = reward(config, preferences, tmp_path / "out")
    assert all(math.isfinite(line["loss"]) for line in lines(trained) if "loss" in line)
    assert trained.manifest.metrics["pair_margin"] > trained.manifest.metrics["pair_margin_before"]
