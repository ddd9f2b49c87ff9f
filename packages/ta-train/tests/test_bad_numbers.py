"""What stops a run: a loss that is no number or explodes, a full disk. The last good checkpoint stays."""

import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ta_schemas import Artifact, SetupError
from ta_schemas.errors import GateError
from ta_train.config import SftConfig
from ta_train.health import PATIENCE, Health
from ta_train.sft import sft


def fixed(base_model: Path, **changes: Any) -> SftConfig:
    values: dict[str, Any] = {
        "base_model": str(base_model),
        "lora_rank": 4,
        "lora_alpha": 8,
        "learning_rate": 1e-2,
        "batch_size": 2,
        "max_steps": 12,
        "eval_points": 1,
        "eval_rows": 2,
        "save_every": 1,
        "dtype": "float32",
        "threads": 1,
        "engine": "trl",
    }
    return SftConfig(**{**values, **changes})


def verdicts(losses: list[float], **options: Any) -> list[str]:
    health = Health()
    return [health.judge(step, loss, **options) for step, loss in enumerate(losses, start=1)]


@given(st.lists(st.floats(0, 3), max_size=80))
def test_noise_below_the_start_is_never_an_explosion(losses: list[float]) -> None:
    assert not any(verdicts([3.0, 3.0, 3.0, *losses]))


def test_a_harder_topic_after_an_easy_one_is_no_explosion() -> None:
    assert not any(verdicts([3.0] * 5 + [0.1] * 60 + [2.5] * 20))


def test_an_exploded_loss_stops_after_some_patience() -> None:
    found = verdicts([3.0, 2.5, 2.0, 1.5, *[9.0] * PATIENCE])
    assert not any(found[:-1])
    assert "has been above 5.500 since step 5" in found[-1]


def test_a_few_hard_batches_are_forgiven() -> None:
    assert not any(verdicts(([2.0] * 10 + [9.0] * (PATIENCE - 1)) * 5))


def test_a_loss_that_is_no_number_stops_at_once() -> None:
    assert verdicts([2.0, math.nan])[-1] == "the loss is nan at step 2"
    assert verdicts([math.inf]) == ["the loss is inf at step 1"]


def test_a_gradient_norm_that_is_no_number_stops_at_once() -> None:
    assert Health().judge(7, 2.0, math.inf) == "the gradient norm is inf at step 7"


def test_the_loss_of_a_policy_gradient_may_jump_but_not_become_nan() -> None:
    assert not any(verdicts([0.0] * 10 + [50.0] * 20, explodes=False))
    assert verdicts([0.0, math.nan], explodes=False)[-1]


def test_a_diverging_run_keeps_only_checkpoints_from_before_and_says_what_to_try(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "adapter"
    with pytest.raises(GateError) as caught:
        sft(fixed(base_model, learning_rate=1e18, warmup=0.5, max_grad_norm=1e9), dataset, out)
    message = str(caught.value)
    assert "\n" not in message
    assert "lower learning_rate (now 1e+18)" in message
    assert not out.exists()
    lines = (tmp_path / "adapter.work" / "metrics.jsonl").read_text().splitlines()
    bad = next(
        line["step"]
        for line in map(json.loads, lines)
        if not math.isfinite(line.get("loss", 0.0) + line.get("gradient_norm", 0.0))
    )
    kept = {int(f.name.split("-")[1]) for f in (tmp_path / "adapter.work").glob("checkpoint-*")}
    assert f"at step {bad}" in message
    assert all(step < bad - 1 for step in kept)
    for step in kept:
        assert f"checkpoint-{max(kept)} holds the last good state" in message
        _all_finite(tmp_path / "adapter.work" / f"checkpoint-{step}" / "adapter_model.safetensors")


def _all_finite(file: Path) -> None:
    from safetensors.torch import load_file

    assert all(tensor.isfinite().all() for tensor in load_file(file).values())


def test_the_last_step_may_not_spoil_the_weights_unseen(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    """One step only: its loss is fine, and what it leaves is not."""
    config = fixed(base_model, learning_rate=1e30, max_steps=1, warmup=0.0, schedule="constant_with_warmup")
    with pytest.raises(GateError, match="the validation loss is nan after step 1"):
        sft(config, dataset, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def lines(adapter: Artifact) -> list[dict[str, Any]]:
    text = (adapter.path / "logs" / "metrics.jsonl").read_text()
    return [line for line in map(json.loads, text.splitlines()) if "loss" in line]


def test_a_disk_that_is_full_when_all_is_trained_costs_no_step(
    unbroken: Artifact, base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    config = fixed(base_model, lora_dropout=0.1, save_every=4)
    with monkeypatch.context() as patch:
        patch.setattr("ta_train.sft.write_adapter", full)
        with pytest.raises(SetupError, match="the disk is full: .* --resume goes on at step 12"):
            sft(config, dataset, tmp_path / "adapter")
    assert sft(config, dataset, tmp_path / "adapter", resume=True).digest == unbroken.digest


LIMITED = """
import json, resource, sys
from pathlib import Path
from ta_schemas.errors import exit_with_one_line
from ta_train.config import SftConfig
from ta_train.sft import sft
from ta_train.work import WorkFolder
config, dataset, out, limit, after = sys.argv[1:]

import transformers
def full_from_here(self, args, state, control, **_):
    if state.global_step == int(after):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
transformers.trainer_callback.DefaultFlowCallback.on_step_begin = full_from_here

exit_with_one_line(lambda: sft(SftConfig(**json.loads(config)), Path(dataset), Path(out)))
"""
"""A run whose files may not grow beyond `limit` bytes from step `after` on: what a full disk does to it."""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, base_model: Path, dataset: Path) -> Artifact:
    config = fixed(base_model, lora_dropout=0.1, save_every=4)
    return sft(config, dataset, tmp_path_factory.mktemp("unbroken") / "adapter")


@pytest.mark.parametrize("limit", [30_000, 8_000], ids=["in the optimizer", "in the adapter"])
def test_a_disk_that_fills_up_in_a_checkpoint_leaves_the_last_good_one_to_resume_from(
    limit: int, unbroken: Artifact, base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    config = fixed(base_model, lora_dropout=0.1, save_every=4)
    out = tmp_path / "adapter"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, config.model_dump_json(), str(dataset), str(out), str(limit), "5"],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 5, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert errors == [f"error: {tmp_path}: the disk is full: free some space, then --resume goes on at step 4"]
    assert "Traceback" not in done.stderr
    assert [f.name for f in (tmp_path / "adapter.work").glob("checkpoint-*")] == ["checkpoint-4"]
    resumed = sft(config, dataset, out, resume=True)
    assert resumed.digest == unbroken.digest
    # Tokens and time count from the beginning of the run, not from the step that was resumed.
    assert [line["tokens"] for line in lines(resumed)] == [line["tokens"] for line in lines(unbroken)]
    seconds = [line["elapsed_s"] for line in lines(resumed)]
    assert seconds == sorted(seconds)
    last = lines(resumed)[-1]
    assert last["tokens_per_s"] == pytest.approx(last["tokens"] / last["elapsed_s"])
    assert resumed.manifest.metrics["tokens"] == last["tokens"]
    assert resumed.manifest.metrics["training_s"] > seconds[3]
