"""Real runs of a few steps on a random two-layer model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from train_fixtures import rows, seal_dataset

from ta_schemas import Artifact, ArtifactError, InputError, SetupError
from ta_train.config import SftConfig
from ta_train.sft import sft


def lines(adapter: Artifact) -> list[dict[str, Any]]:
    text = (adapter.path / "logs" / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def losses(adapter: Artifact) -> list[float]:
    return [line["loss"] for line in lines(adapter) if "loss" in line]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, base_model: Path, dataset: Path) -> Artifact:
    """The unchanged configuration, trained once."""
    return sft(fixed(base_model), dataset, tmp_path_factory.mktemp("reference") / "adapter")


def fixed(base_model: Path, **changes: Any) -> SftConfig:
    values: dict[str, Any] = {
        "base_model": str(base_model),
        "lora_rank": 4,
        "lora_alpha": 8,
        "learning_rate": 1e-2,
        "batch_size": 2,
        "max_steps": 6,
        "eval_points": 3,
        "eval_rows": 3,
        "save_every": 2,
        "dtype": "float32",
        "threads": 1,
    }
    return SftConfig(**{**values, **changes})


def test_training_lowers_the_loss_and_seals_everything_that_must_travel(
    reference: Artifact, base_model: Path, dataset: Path
) -> None:
    names = {entry.path for entry in reference.manifest.files}
    assert {
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "settings.json",
        "logs/metrics.jsonl",
        "logs/curves.png",
    } <= names
    settings = json.loads((reference.path / "settings.json").read_text())
    assert settings["system_prompt"] == "Answer with a command."
    assert settings["generation"]["stop"] == ["<|im_end|>"]
    assert settings["dataset"] == Artifact.open(dataset).digest
    assert settings["base_model"]["digest"] == reference.manifest.parents[1].digest
    validation = [line["validation_loss"] for line in lines(reference) if "validation_loss" in line]
    assert validation[-1] < validation[0]
    assert str(base_model) not in (reference.path / "adapter_config.json").read_text()


def test_the_first_step_starts_at_the_base_model(reference: Artifact, base_model: Path, dataset: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ta_schemas import read_jsonl
    from ta_schemas.rows import ConversationRow
    from ta_train.render import render

    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    total, count = 0.0, 0
    for row in read_jsonl(dataset / "validation.jsonl", ConversationRow):
        rendered = render(row, tokenizer)
        ids, labels = torch.tensor([rendered.input_ids]), torch.tensor([rendered.labels])
        n = int((labels[:, 1:] != -100).sum())
        total += model(input_ids=ids, labels=labels).loss.item() * n
        count += n
    first = next(line for line in lines(reference) if "validation_loss" in line)
    assert first["step"] == 0
    assert first["validation_loss"] == pytest.approx(total / count, rel=1e-3)


def test_the_same_run_twice_gives_the_same_digest(
    reference: Artifact, base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    assert sft(fixed(base_model), dataset, tmp_path / "again").digest == reference.digest


def test_a_sealed_adapter_is_returned_at_once(reference: Artifact, base_model: Path, dataset: Path) -> None:
    again = sft(fixed(base_model), dataset, reference.path)
    assert again.manifest.created_at == reference.manifest.created_at


def test_another_configuration_does_not_overwrite_it_unless_told(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "adapter"
    first = sft(fixed(base_model, max_steps=2), dataset, out)
    with pytest.raises(ArtifactError, match="--force"):
        sft(fixed(base_model, max_steps=3), dataset, out)
    assert Artifact.open(out).digest == first.digest
    assert sft(fixed(base_model, max_steps=3), dataset, out, replace=True).digest != first.digest


@pytest.mark.parametrize(
    "change",
    [
        {"lora_rank": 2},
        {"lora_alpha": 16},
        {"lora_dropout": 0.5},
        {"target_modules": ["q_proj"]},
        {"epochs": 0.1},
        {"max_steps": 5},
        {"batch_size": 3},
        {"gradient_accumulation": 2},
        {"order": "shuffle"},
        {"order": "core-first"},
        {"repeat": {"answer": 2}},
        {"learning_rate": 1e-3},
        {"schedule": "linear"},
        {"warmup": 0.5},
        {"weight_decay": 0.5},
        {"max_grad_norm": 0.01},
        {"seed": 7},
        {"dtype": "bfloat16"},
    ],
    ids=str,
)
def test_every_option_changes_the_trained_weights(
    change: dict[str, Any], reference: Artifact, base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    changed = sft(fixed(base_model, **change), dataset, tmp_path / "adapter")
    weights = "adapter_model.safetensors"
    assert (changed.path / weights).read_bytes() != (reference.path / weights).read_bytes()


def test_target_modules_decide_what_is_adapted(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    adapter = sft(fixed(base_model, target_modules=["q_proj"], max_steps=1), dataset, tmp_path / "adapter")
    with safe_open(adapter.path / "adapter_model.safetensors", "pt") as weights:
        assert {name.split(".")[-3] for name in weights.keys()} == {"q_proj"}


def test_an_unknown_target_module_is_named(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="target_modules"):
        sft(fixed(base_model, target_modules=["nope"]), dataset, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_attention_and_checkpointing_reach_the_model(base_model: Path) -> None:
    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_with_adapter

    base = resolve(str(base_model))
    for attention in ("eager", "sdpa"):
        model = load_with_adapter(fixed(base_model, attention=attention), base)
        assert model.config._attn_implementation == attention


def test_gradient_checkpointing_gives_the_same_losses(
    reference: Artifact, base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    changed = sft(fixed(base_model, gradient_checkpointing=True), dataset, tmp_path / "adapter")
    assert losses(changed) == pytest.approx(losses(reference), rel=1e-4)


def test_packed_rows_are_one_sequence_with_the_loss_of_padded_ones(
    base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaModel

    shapes: list[tuple[int, ...]] = []
    forward = LlamaModel.forward

    def seen(self: Any, input_ids: Any = None, **more: Any) -> Any:
        shapes.append(tuple(input_ids.shape))
        return forward(self, input_ids=input_ids, **more)

    padded = sft(fixed(base_model, engine="trl"), dataset, tmp_path / "padded")
    monkeypatch.setattr(LlamaModel, "forward", seen)
    packed = sft(fixed(base_model, engine="trl", packing=True), dataset, tmp_path / "packed")
    assert {rows for rows, _ in shapes} == {1}
    assert losses(packed) == pytest.approx(losses(padded), rel=1e-4)


def test_threads_are_set_and_recorded(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    import torch

    adapter = sft(fixed(base_model, threads=2, max_steps=1), dataset, tmp_path / "adapter")
    assert adapter.manifest.environment["cpu_threads"] == torch.get_num_threads() == 2


def test_eval_points_and_eval_rows_decide_the_validation(
    reference: Artifact, base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    changed = sft(fixed(base_model, eval_points=1, eval_rows=1), dataset, tmp_path / "adapter")

    def validations(adapter: Artifact) -> list[tuple[int, float]]:
        return [(m["step"], m["validation_loss"]) for m in lines(adapter) if "validation_loss" in m]

    assert [step for step, _ in validations(reference)] == [0, 2, 4, 6]
    assert [step for step, _ in validations(changed)] == [0, 6]
    assert validations(changed)[0][1] != validations(reference)[0][1]


def test_generation_defaults_travel_with_the_adapter(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    adapter = sft(fixed(base_model, max_steps=1, max_tokens=9, temperature=0.5), dataset, tmp_path / "adapter")
    generation = json.loads((adapter.path / "settings.json").read_text())["generation"]
    assert (generation["max_tokens"], generation["temperature"]) == (9, 0.5)


def test_max_length_refuses_before_anything_is_written(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_length is 16"):
        sft(fixed(base_model, max_length=16), dataset, tmp_path / "adapter")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_split_is_refused(base_model: Path, tmp_path: Path) -> None:
    seal_dataset(tmp_path / "dataset", rows()[:6])
    with pytest.raises(InputError, match="split is empty"):
        sft(fixed(base_model), tmp_path / "dataset", tmp_path / "adapter")


def test_an_output_below_a_file_is_refused(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no folder can be made below it"):
        sft(fixed(base_model), dataset, tmp_path / "file" / "adapter")


def test_nf4_without_bitsandbytes_names_the_extra(
    base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(SetupError, match=r"install ta-train\[qlora\]"):
        sft(fixed(base_model, quantization="nf4"), dataset, tmp_path / "adapter")


RUN = """
import json, sys
from pathlib import Path
from ta_schemas.errors import exit_with_one_line
from ta_train.config import SftConfig
from ta_train.sft import sft
config, dataset, out, resume = sys.argv[1:]
settings = SftConfig(**json.loads(config))
exit_with_one_line(lambda: sft(settings, Path(dataset), Path(out), resume=resume == "1"))
"""


def start(config: SftConfig, dataset: Path, out: Path, *, resume: bool = False) -> subprocess.Popen[str]:
    arguments = [config.model_dump_json(), str(dataset), str(out), "1" if resume else "0"]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def wait_for_step(work: Path, step: int) -> None:
    for _ in range(1200):
        if (work / f"checkpoint-{step}" / "trainer_state.json").exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"no checkpoint {step} in {work}")


@pytest.fixture(scope="module")
def long_run(
    tmp_path_factory: pytest.TempPathFactory, base_model: Path, dataset: Path
) -> tuple[SftConfig, Artifact]:
    """Long enough to be interrupted half-way, packed, with dropout so that random states matter."""
    config = fixed(
        base_model, max_steps=200, epochs=20, lora_dropout=0.1, packing=True, save_every=10, eval_points=2
    )
    return config, sft(config, dataset, tmp_path_factory.mktemp("unbroken") / "adapter")


def test_a_killed_run_resumes_to_the_same_adapter(
    long_run: tuple[SftConfig, Artifact], dataset: Path, tmp_path: Path
) -> None:
    config, unbroken = long_run
    out = tmp_path / "adapter"
    process = start(config, dataset, out)
    wait_for_step(tmp_path / "adapter.work", 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not out.exists()
    with pytest.raises(ArtifactError, match="--resume"):
        sft(config, dataset, out)
    resumed = sft(config, dataset, out, resume=True)
    assert losses(resumed) == losses(unbroken)
    assert resumed.digest == unbroken.digest
    assert not (tmp_path / "adapter.work").exists()


def test_ctrl_c_saves_a_checkpoint_says_so_and_resumes_to_the_same_adapter(
    long_run: tuple[SftConfig, Artifact], dataset: Path, tmp_path: Path
) -> None:
    config, unbroken = long_run
    out = tmp_path / "adapter"
    process = start(config, dataset, out)
    wait_for_step(tmp_path / "adapter.work", 10)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "run again with --resume" in output
    assert not out.exists()
    assert sft(config, dataset, out, resume=True).digest == unbroken.digest


def test_an_unfinished_run_of_another_configuration_is_not_resumed(
    long_run: tuple[SftConfig, Artifact], base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "adapter"
    process = start(long_run[0], dataset, out)
    wait_for_step(tmp_path / "adapter.work", 10)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with pytest.raises(ArtifactError, match="another configuration"):
        sft(fixed(base_model, max_steps=1), dataset, out, resume=True)
    assert sft(fixed(base_model, max_steps=1), dataset, out, replace=True).manifest.metrics["steps"] == 1
