"""GRPO and RLOO: real runs of TRL's trainers on a random two-layer model."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rl_fixtures import (
    FIXED,
    adapter_digest,
    interrupt_at,
    lines,
    lower_case,
    steps,
)
from typer.testing import CliRunner

from ta_schemas import Artifact, ArtifactError, InputError, SetupError
from ta_schemas.errors import Stopped
from ta_train.models.base_model import resolve
from ta_train.rl.config import GrpoConfig
from ta_train.rl.grpo import grpo

ADVANTAGES = ["group", "leave-one-out"]


def fixed(lively: Path, **changes: Any) -> GrpoConfig:
    return GrpoConfig(
        **{**FIXED, "base_model": str(lively), "batch_size": 8, "group_size": 4, "beta": 0.1, **changes}
    )


def make_trainer(lively: Path, dataset: Path, work: Path, reward: Any = lower_case, **changes: Any) -> Any:
    """The trainer alone, without a run around it."""
    from ta_train.models.load import load_tokenizer
    from ta_train.rl.grpo_trainer import build_grpo_trainer
    from ta_train.rl.prompts import read_prompts
    from ta_train.run_log import RunLog
    from ta_train.start import start_from
    from ta_train.work import WorkFolder

    config, base = fixed(lively, **changes), resolve(str(lively))
    tokenizer = load_tokenizer(base)
    prompts = read_prompts(config, Artifact.open(dataset), tokenizer)
    model = start_from(None, config, base).load(base)
    work.mkdir(exist_ok=True)
    log = RunLog(work / "metrics.jsonl", Console(quiet=True))
    return build_grpo_trainer(config, model, tokenizer, prompts, reward, WorkFolder(work), log)


@pytest.mark.parametrize(
    ("advantage", "changes"),
    [
        ("group", {"batch_size": 16, "group_size": 8, "learning_rate": 4e-2}),
        ("leave-one-out", {"batch_size": 32, "group_size": 16, "learning_rate": 2e-2}),
    ],
    ids=ADVANTAGES,
)
def test_the_reward_really_rises(
    advantage: str, changes: dict[str, Any], lively: Path, dataset: Path, tmp_path: Path
) -> None:
    config = fixed(
        lively,
        advantage=advantage,
        schedule="constant_with_warmup",
        epochs=10,
        max_steps=24,
        beta=0.0,
        eval_rows=3,
        **changes,
    )
    trained = grpo(config, dataset, tmp_path / "out", reward=lower_case)
    rewards = steps(trained, "reward")
    assert sum(rewards[:3]) / 3 < 0.5
    assert sum(rewards[-5:]) / 5 > 0.75
    metrics = trained.manifest.metrics
    assert metrics["validation_reward"] > metrics["validation_reward_before"] + 0.2


def test_the_reward_sees_groups_of_answers_to_the_same_prompt_and_its_reference(
    lively: Path, dataset: Path, tmp_path: Path
) -> None:
    seen: list[tuple[Any, str, str]] = []

    def watching(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        seen.extend(zip((p[-1]["content"] for p in prompts), answers, references, strict=True))
        return lower_case(prompts, answers, references)

    make_trainer(lively, dataset, tmp_path / "work", watching, max_steps=1).train()
    step = seen[2:10]  # two validation prompts were answered before
    for group in (step[:4], step[4:]):
        assert len({(prompt, reference) for prompt, _, reference in group}) == 1
        assert len({answer for _, answer, _ in group}) > 1
    tool = step[0][0].split()[4].rstrip(",")
    assert f"\n{tool} file\n" in step[0][2]


@pytest.fixture(scope="module")
def unchanged(lively: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    digests = {}
    for advantage in ADVANTAGES:
        trainer = make_trainer(
            lively, dataset, tmp_path_factory.mktemp("unchanged") / "work", advantage=advantage
        )
        trainer.train()
        digests[advantage] = adapter_digest(trainer.model)
    return digests


def test_the_two_advantages_train_differently(unchanged: dict[str, str]) -> None:
    assert unchanged["group"] != unchanged["leave-one-out"]


@pytest.mark.parametrize(
    ("advantage", "change"),
    [
        *((advantage, change) for advantage in ADVANTAGES for change in ({"group_size": 2}, {"beta": 2.0})),
        ("group", {"beta": 0.0}),
        ("group", {"sample_temperature": 0.5}),
        ("group", {"sample_tokens": 3}),
        ("group", {"batch_size": 4}),
        ("group", {"epochs": 0.1}),
        ("group", {"seed": 7}),
    ],
    ids=str,
)
def test_every_option_changes_the_trained_weights(
    advantage: str,
    change: dict[str, Any],
    unchanged: dict[str, str],
    lively: Path,
    dataset: Path,
    tmp_path: Path,
) -> None:
    trainer = make_trainer(lively, dataset, tmp_path / "work", advantage=advantage, **change)
    trainer.train()
    assert adapter_digest(trainer.model) != unchanged[advantage]


def test_the_advantage_of_a_group_is_over_its_spread_and_of_rloo_over_the_others(
    lively: Path, dataset: Path, tmp_path: Path
) -> None:
    given = [0.0, 1.0, 2.0, 5.0]

    def fixed_rewards(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        return given * (len(answers) // 4) if len(answers) >= 4 else [0.0] * len(answers)

    found = {}
    for advantage in ADVANTAGES:
        trainer = make_trainer(
            lively, dataset, tmp_path / advantage, fixed_rewards, advantage=advantage, beta=0.0, max_steps=1
        )
        trainer.train()
        found[advantage] = list(trainer._logs["advantages"])[:4]
    spread = math.sqrt(sum((reward - 2) ** 2 for reward in given) / 3)
    assert found["group"] == pytest.approx([(reward - 2) / spread for reward in given], rel=1e-3)
    assert found["leave-one-out"] == pytest.approx([reward - (8 - reward) / 3 for reward in given], rel=1e-3)


def test_the_kl_penalty_is_measured_against_the_start(lively: Path, dataset: Path, tmp_path: Path) -> None:
    place = tmp_path / "work"
    make_trainer(lively, dataset, place, max_steps=3).train()
    found = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    kl = [line["kl"] for line in found if "loss" in line]
    assert kl[0] == pytest.approx(0, abs=1e-6)
    assert kl[2] > 1e-4


def test_validation_is_measured_at_eval_points_on_eval_rows(
    lively: Path, dataset: Path, tmp_path: Path
) -> None:
    asked: list[int] = []

    def counting(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        asked.append(len(answers))
        return lower_case(prompts, answers, references)

    place = tmp_path / "work"
    make_trainer(lively, dataset, place, counting, max_steps=4, eval_points=2, eval_rows=3).train()
    found = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in found if "validation_reward" in line] == [0, 2, 4]
    assert asked == [3, 8, 8, 3, 8, 8, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group_size": 3}, "group_size 3: .* must be a multiple of it"),
        ({"group_size": 1}, "group_size"),
        ({"lora_dropout": 0.1}, "lora_dropout"),
    ],
    ids=str,
)
def test_what_cannot_train_is_refused(change: dict[str, Any], message: str, lively: Path) -> None:
    with pytest.raises(ValueError, match=message):
        fixed(lively, **change)


def test_after_ctrl_c_a_run_goes_on_to_the_same_result(
    lively: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = fixed(lively, max_steps=4, epochs=4, save_every=1)
    unbroken = grpo(config, dataset, tmp_path / "unbroken", reward=lower_case)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(Stopped, match="stopped at step 2 with a checkpoint"):
            grpo(config, dataset, tmp_path / "stopped", reward=lower_case)
    resumed = grpo(config, dataset, tmp_path / "stopped", reward=lower_case, resume=True)
    assert steps(resumed, "reward") == steps(unbroken, "reward")
    assert steps(resumed, "tokens") == steps(unbroken, "tokens")
    assert resumed.digest == unbroken.digest


def test_an_adapter_goes_on_and_the_result_is_an_ordinary_adapter(
    lively: Path, lively_adapter: Path, dataset: Path, tmp_path: Path
) -> None:
    trained = grpo(fixed(lively), dataset, tmp_path / "out", reward=lower_case, adapter=lively_adapter)
    settings = json.loads((trained.path / "settings.json").read_text())
    assert settings["system_prompt"] == "Answer with a command."
    assert settings["generation"]["max_tokens"] == 33
    assert trained.manifest.config["grpo"]["lora_rank"] == 3
    assert trained.manifest.config["reward"] == "rl_fixtures:lower_case"
    assert Artifact.open(lively_adapter).as_parent in trained.manifest.parents
    names = {entry.path for entry in trained.manifest.files}
    assert {"adapter_config.json", "adapter_model.safetensors", "logs/curves.png"} <= names
    assert not any(name.startswith("ref/") for name in names)


def test_an_adapter_of_another_base_model_is_refused(
    base_model: Path, lively_adapter: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="lively"):
        grpo(fixed(base_model), dataset, tmp_path / "out", reward=lower_case, adapter=lively_adapter)


def test_a_reward_without_a_number_for_each_answer_is_refused(
    lively: Path, dataset: Path, tmp_path: Path
) -> None:
    def broken(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        return [1.0]

    with pytest.raises(InputError, match="1 rewards for 2 answers"):
        grpo(fixed(lively), dataset, tmp_path / "out", reward=broken)


def test_a_sharded_model_is_refused(
    lively: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TA_TRAIN_SHARDING", "fsdp2")
    with pytest.raises(SetupError, match="sharding fsdp2: take the preset ddp"):
        grpo(fixed(lively), dataset, tmp_path / "out", reward=lower_case)


def test_the_command_trains_with_a_function(lively: Path, dataset: Path, tmp_path: Path) -> None:
    from ta_train.cli import app

    settings = {**FIXED, "base_model": str(lively), "group_size": 4, "max_steps": 1}
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = ["grpo", str(dataset), "--out", str(tmp_path / "out"), "--reward", "rl_fixtures:lower_case"]
    result = CliRunner().invoke(app, [*command, "--json", *given])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["metrics"]["steps"] == 1


@pytest.mark.slow
def test_the_embedded_model_takes_real_steps(dataset: Path, tmp_path: Path) -> None:
    from ta_train.recipe import load_recipe

    small = ["max_steps=2", "batch_size=8", "sample_tokens=16", "eval_rows=2", "eval_points=1", "threads=1"]
    config = load_recipe("cpu-smollm2-grpo", GrpoConfig, small)
    trained = grpo(config, dataset, tmp_path / "out", reward=lower_case)
    found = [line for line in lines(trained) if "loss" in line]
    assert [line["step"] for line in found] == [1, 2]
    assert all(math.isfinite(line["loss"]) and line["gradient_norm"] > 0 for line in found)
