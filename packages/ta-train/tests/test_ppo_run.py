"""Whole PPO runs: interrupted, resumed, refused, and by command."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from rl_fixtures import (
    FIXED,
    crash_at,
    interrupt_at,
    lines,
    lower_case,
    steps,
)
from typer.testing import CliRunner

from ta_schemas import Artifact, ArtifactError, InputError, SetupError
from ta_schemas.errors import Stopped
from ta_train.models.base_model import resolve
from ta_train.rl.config import PpoConfig
from ta_train.rl.ppo import ppo


def fixed(lively: Path, **changes: Any) -> PpoConfig:
    return PpoConfig(**{**FIXED, "base_model": str(lively), "rollout_size": 8, "passes": 2, **changes})


@pytest.fixture(scope="module")
def unbroken(lively: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    out = tmp_path_factory.mktemp("unbroken") / "out"
    return ppo(interruptible(lively), dataset, out, reward=lower_case)


def interruptible(lively: Path) -> PpoConfig:
    return fixed(lively, max_steps=5, epochs=4, save_every=2, eval_points=5)


def test_after_ctrl_c_a_run_goes_on_to_the_same_result(
    unbroken: Artifact, lively: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        with pytest.raises(Stopped, match="stopped at step 3 with a checkpoint"):
            ppo(interruptible(lively), dataset, out, reward=lower_case)
    resumed = ppo(interruptible(lively), dataset, out, reward=lower_case, resume=True)
    assert resumed.digest == unbroken.digest
    assert steps(resumed, "reward") == steps(unbroken, "reward")
    assert steps(resumed, "tokens") == steps(unbroken, "tokens")
    before, after = "validation_reward_before", "validation_reward"
    assert resumed.manifest.metrics[before] == unbroken.manifest.metrics[before]
    assert resumed.manifest.metrics[after] == unbroken.manifest.metrics[after]
    assert not (tmp_path / "out.work").exists()


def test_a_crashed_run_goes_on_from_its_last_checkpoint(
    unbroken: Artifact, lively: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        crash_at(patch, 5)
        with pytest.raises(RuntimeError, match="crash"):
            ppo(interruptible(lively), dataset, out, reward=lower_case)
    assert sorted(f.name for f in (tmp_path / "out.work").glob("checkpoint-*")) == [
        "checkpoint-2",
        "checkpoint-4",
    ]
    assert ppo(interruptible(lively), dataset, out, reward=lower_case, resume=True).digest == unbroken.digest


def test_a_sealed_result_is_returned_at_once_unless_the_reward_is_another(
    unbroken: Artifact, lively: Path, dataset: Path
) -> None:
    def another(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        return [0.0] * len(answers)

    again = ppo(interruptible(lively), dataset, unbroken.path, reward=lower_case)
    assert again.manifest.created_at == unbroken.manifest.created_at
    assert again.manifest.config["reward"] == "rl_fixtures:lower_case"
    with pytest.raises(ArtifactError, match="--force"):
        ppo(interruptible(lively), dataset, unbroken.path, reward=another)


def test_an_adapter_goes_on_and_brings_its_prompt_and_defaults(
    lively: Path, lively_adapter: Path, dataset: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from ta_train.models.load import load_tokenizer
    from ta_train.rl.prompts import read_prompts
    from ta_train.rl.rollout import mean_reward

    config = fixed(lively)
    trained = ppo(config, dataset, tmp_path / "out", reward=lower_case, adapter=lively_adapter)
    tokenizer = load_tokenizer(resolve(str(lively)))
    prompts = read_prompts(config, Artifact.open(dataset), tokenizer)
    start = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(lively), str(lively_adapter))
    began = mean_reward(start, tokenizer, prompts.validation, lower_case, max_tokens=4, batch_size=4)
    assert trained.manifest.metrics["validation_reward_before"] == pytest.approx(began)

    settings = json.loads((trained.path / "settings.json").read_text())
    assert settings["system_prompt"] == "Answer with a command."
    assert settings["generation"] == {"max_tokens": 33, "temperature": 0.4, "stop": ["<|im_end|>"]}
    lora = json.loads((trained.path / "adapter_config.json").read_text())
    assert (lora["r"], sorted(lora["target_modules"])) == (3, ["q_proj", "up_proj"])
    assert trained.manifest.config["ppo"]["lora_rank"] == 3
    kinds = [(parent.kind, parent.digest) for parent in trained.manifest.parents]
    assert kinds[:2] == [
        ("dataset", Artifact.open(dataset).digest),
        ("adapter", Artifact.open(lively_adapter).digest),
    ]
    assert not (trained.path / "ref").exists()


def test_an_adapter_of_another_base_model_is_refused(
    base_model: Path, lively_adapter: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="lively"):
        ppo(fixed(base_model), dataset, tmp_path / "out", reward=lower_case, adapter=lively_adapter)


@pytest.mark.parametrize(
    ("given", "message"),
    [([1.0], "1 rewards for 2 answers: give one each"), ([1.0, math.nan], "must be a finite number")],
    ids=str,
)
def test_a_reward_that_is_no_number_an_answer_is_refused(
    given: list[float], message: str, lively: Path, dataset: Path, tmp_path: Path
) -> None:
    def broken(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        return given

    with pytest.raises(InputError, match=f"broken.*{message}"):
        ppo(fixed(lively), dataset, tmp_path / "out", reward=broken)


def test_trained_biases_are_refused(lively: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bias: all: ppo needs an adapter without trained biases"):
        ppo(fixed(lively, bias="all"), dataset, tmp_path / "out", reward=lower_case)


def test_several_processes_are_refused(
    lively: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(SetupError, match="one process"):
        ppo(fixed(lively), dataset, tmp_path / "out", reward=lower_case)


def test_the_command_names_a_function_as_its_reward(lively: Path, dataset: Path, tmp_path: Path) -> None:
    from ta_train.cli import app

    settings = {**FIXED, "base_model": str(lively), "rollout_size": 4}
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, ["ppo", str(dataset), "--out", str(out), "--reward", "rl_fixtures:lower_case", *given]
    )
    assert result.exit_code == 0, result.output
    assert "validation reward" in result.output
    assert Artifact.open(out).manifest.config["reward"] == "rl_fixtures:lower_case"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no such folder; for a function of yours write module:function"),
        ("no_such_module:f", "No module named"),
        ("rl_fixtures:no_such", "no_such"),
        ("rl_fixtures:FIXED", "is no function"),
    ],
)
def test_a_reward_that_is_not_there_is_refused(name: str, message: str) -> None:
    from ta_train.rl.cli import find_reward

    with pytest.raises(InputError, match=message):
        find_reward(name)


def test_a_module_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ta_train.rl.cli import find_reward

    (tmp_path / "my_rewards_here.py").write_text("def one(prompts, answers, references):\n    return [1.0]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [])
    assert find_reward("my_rewards_here:one")([], ["a"], ["b"]) == [1.0]


@pytest.mark.slow
def test_the_embedded_model_takes_real_steps(dataset: Path, tmp_path: Path) -> None:
    from ta_train.recipe import load_recipe

    small = ["max_steps=2", "rollout_size=8", "sample_tokens=16", "eval_rows=2", "eval_points=1", "threads=1"]
    config = load_recipe("cpu-smollm2-ppo", PpoConfig, small)
    trained = ppo(config, dataset, tmp_path / "out", reward=lower_case)
    first, second = (line for line in lines(trained) if "loss" in line)
    assert (first["kl"], first["step"]) == (pytest.approx(0, abs=1e-4), 1)
    assert second["kl"] != 0
    assert all(math.isfinite(line["loss"]) for line in (first, second))
