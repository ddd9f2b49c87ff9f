"""On-policy distillation: real runs of TRL's trainer between random two-layer models."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rl_fixtures import FIXED, adapter_digest, interrupt_at, lines, make_lively_model, steps
from typer.testing import CliRunner

from ta_schemas import Artifact, ArtifactError, InputError
from ta_schemas.errors import Stopped
from ta_train.config import SftConfig
from ta_train.models.base_model import resolve
from ta_train.rl.config import DistillConfig
from ta_train.rl.distill import distill
from ta_train.sft import sft


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, lively: Path) -> Path:
    """The student's base model with its weights moved a little."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("teacher") / "teacher"
    shutil.copytree(lively, folder)
    model = AutoModelForCausalLM.from_pretrained(lively)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj" in name:
                parameter += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder


def fixed(lively: Path, teacher: Path, **changes: Any) -> DistillConfig:
    return DistillConfig(**{**FIXED, "base_model": str(lively), "teacher": str(teacher), **changes})


def trained_digest(lively: Path, teacher: Path, dataset: Path, work: Path, **changes: Any) -> str:
    """What the trainer makes, without a run around it."""
    from ta_train.models.load import load_tokenizer, load_whole
    from ta_train.rl.distill_trainer import build_distill_trainer
    from ta_train.rl.prompts import read_prompts
    from ta_train.run_log import RunLog
    from ta_train.start import start_from
    from ta_train.work import WorkFolder

    config, base = fixed(lively, teacher, **changes), resolve(str(lively))
    tokenizer = load_tokenizer(base)
    prompts = read_prompts(config, Artifact.open(dataset), tokenizer)
    target = load_whole(config, resolve(config.teacher)).requires_grad_(False)
    model = start_from(None, config, base).load(base)
    work.mkdir(exist_ok=True)
    log = RunLog(work / "metrics.jsonl", Console(quiet=True))
    trainer = build_distill_trainer(config, model, target, tokenizer, prompts, WorkFolder(work), log)
    trainer.train()
    return adapter_digest(trainer.model)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_the_divergence_from_the_teacher_falls(
    beta: float, lively: Path, teacher: Path, dataset: Path, tmp_path: Path
) -> None:
    config = fixed(
        lively, teacher, beta=beta, batch_size=8, sample_tokens=8, max_steps=20, epochs=10, eval_rows=3
    )
    trained = distill(config, dataset, tmp_path / "out")
    metrics = trained.manifest.metrics
    assert metrics["divergence"] < 0.7 * metrics["divergence_before"]
    losses = steps(trained, "loss")
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_measured_divergence_is_that_of_the_two_distributions(
    lively: Path, teacher: Path, dataset: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from ta_train.models.load import load_tokenizer
    from ta_train.rl.prompts import read_prompts

    # One token each, so that the distributions compared are those after the prompt.
    config = fixed(lively, teacher, sample_tokens=1, max_steps=1, batch_size=1, eval_rows=3)
    before = distill(config, dataset, tmp_path / "out").manifest.metrics["divergence_before"]
    prompts = read_prompts(config, Artifact.open(dataset), load_tokenizer(resolve(str(lively))))
    student, target = (AutoModelForCausalLM.from_pretrained(folder) for folder in (lively, teacher))
    total = 0.0
    for prompt in prompts.validation:
        ids = torch.tensor([prompt.input_ids])
        with torch.no_grad():
            ours, theirs = (model(ids).logits[0, -1].log_softmax(-1) for model in (student, target))
        total += float((ours.exp() * (ours - theirs)).sum())
    assert before == pytest.approx(total / 3, rel=1e-3)


@pytest.fixture(scope="module")
def unchanged(lively: Path, teacher: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return trained_digest(lively, teacher, dataset, tmp_path_factory.mktemp("unchanged") / "work")


@pytest.mark.parametrize(
    "change",
    [
        {"beta": 0.5},
        {"beta": 0.0},
        {"sample_temperature": 0.5},
        {"sample_tokens": 3},
        {"batch_size": 2},
        {"epochs": 0.1},
        {"max_steps": 1},
        {"seed": 7},
    ],
    ids=str,
)
def test_every_option_changes_the_trained_weights(
    change: dict[str, Any], unchanged: str, lively: Path, teacher: Path, dataset: Path, tmp_path: Path
) -> None:
    assert trained_digest(lively, teacher, dataset, tmp_path / "work", **change) != unchanged


def test_another_teacher_gives_another_student(
    unchanged: str, lively: Path, dataset: Path, tmp_path: Path
) -> None:
    other = make_lively_model(tmp_path / "other", seed=5)
    assert trained_digest(lively, other, dataset, tmp_path / "work") != unchanged


def test_a_teacher_of_another_vocabulary_is_refused(lively: Path, dataset: Path, tmp_path: Path) -> None:
    other = make_lively_model(tmp_path / "other")
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    one, two = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InputError, match=r"teacher: other has another vocabulary: \d+ tokens, the student"):
        distill(fixed(lively, other), dataset, tmp_path / "out")
    assert not (tmp_path / "out.work").exists()


def test_a_teacher_with_a_wider_head_is_refused(lively: Path, dataset: Path, tmp_path: Path) -> None:
    wider = make_lively_model(tmp_path / "wider", vocab_size=520)
    with pytest.raises(InputError, match="its head has 520 outputs, the student's 512"):
        distill(fixed(lively, wider), dataset, tmp_path / "out")


def test_no_teacher_and_the_student_as_its_own_are_refused(lively: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="teacher: name the model to learn from"):
        distill(DistillConfig(base_model=str(lively)), dataset, tmp_path / "out")
    with pytest.raises(InputError, match="is the student itself"):
        distill(fixed(lively, lively), dataset, tmp_path / "out")


def test_after_ctrl_c_a_run_goes_on_to_the_same_result(
    lively: Path, teacher: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = fixed(lively, teacher, max_steps=4, epochs=4, save_every=1)
    unbroken = distill(config, dataset, tmp_path / "unbroken")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(Stopped, match="stopped at step 2 with a checkpoint"):
            distill(config, dataset, tmp_path / "stopped")
    resumed = distill(config, dataset, tmp_path / "stopped", resume=True)
    assert steps(resumed, "loss") == steps(unbroken, "loss")
    assert resumed.digest == unbroken.digest


def test_an_adapter_goes_on_and_the_teacher_is_a_parent(
    lively: Path, lively_adapter: Path, dataset: Path, tmp_path: Path
) -> None:
    # The adapter moved the student, so its own base model can teach it back.
    trained = distill(fixed(lively, lively), dataset, tmp_path / "out", adapter=lively_adapter)
    settings = json.loads((trained.path / "settings.json").read_text())
    assert settings["system_prompt"] == "Answer with a command."
    assert settings["generation"]["max_tokens"] == 33
    assert trained.manifest.config["distill"]["lora_rank"] == 3
    kinds = [parent.kind for parent in trained.manifest.parents]
    assert kinds == ["dataset", "adapter", "model", "model"]
    assert trained.manifest.parents[1].digest == Artifact.open(lively_adapter).digest
    again = distill(fixed(lively, lively), dataset, trained.path, adapter=lively_adapter)
    assert again.manifest.created_at == trained.manifest.created_at


def test_an_adapter_of_another_base_model_is_refused(
    base_model: Path, lively_adapter: Path, teacher: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="lively"):
        distill(fixed(base_model, teacher), dataset, tmp_path / "out", adapter=lively_adapter)


def test_the_command_takes_its_teacher_as_an_option(
    lively: Path, teacher: Path, dataset: Path, tmp_path: Path
) -> None:
    from ta_train.cli import app

    settings = {**FIXED, "base_model": str(lively), "max_steps": 1}
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = ["distill", str(dataset), "--teacher", str(teacher), "--out", str(tmp_path / "out"), *given]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "divergence from the teacher" in result.output


@pytest.mark.slow
def test_the_embedded_model_takes_real_steps(dataset: Path, tmp_path: Path) -> None:
    from ta_train.recipe import load_recipe

    moved = load_recipe("cpu-tiny", SftConfig, ["learning_rate=5.0e-3", "threads=1"])
    adapter = sft(moved, dataset, tmp_path / "adapter")
    small = ["max_steps=4", "batch_size=4", "sample_tokens=16", "eval_rows=4", "eval_points=1", "threads=1"]
    small += ["learning_rate=1.0e-3"]
    config = load_recipe("cpu-smollm2-distill", DistillConfig, [*small, "teacher=smollm2-135m-instruct"])
    trained = distill(config, dataset, tmp_path / "out", adapter=adapter.path)
    metrics = trained.manifest.metrics
    assert 0 < metrics["divergence"] < metrics["divergence_before"]
    assert all(math.isfinite(line["loss"]) for line in lines(trained) if "loss" in line)
