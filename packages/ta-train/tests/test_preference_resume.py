"""Preference runs that go on: from an adapter of any shape, after a kill, after Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from preference_fixtures import fixed, steps

from ta_schemas import Artifact, ArtifactError
from ta_train.config import SftConfig
from ta_train.preference.config import DpoConfig
from ta_train.preference.preference import prefer
from ta_train.recipe import load_recipe
from ta_train.sft import sft


@pytest.mark.parametrize("variant", [{"rslora": True}, {"dora": True}, {"modules_to_save": ["embed_tokens"]}])
def test_an_adapter_of_any_shape_goes_on_where_it_stopped(
    variant: dict[str, Any], base_model: Path, dataset: Path, preferences: Path, tmp_path: Path
) -> None:
    config = SftConfig(
        base_model=str(base_model), dtype="float32", max_steps=2, eval_points=1, learning_rate=1e-2, **variant
    )
    start = sft(config, dataset, tmp_path / "sft")
    tuned = prefer(
        fixed(base_model, max_steps=1, learning_rate=1e-9), preferences, tmp_path / "out", adapter=start.path
    )
    from safetensors.torch import load_file

    before, after = (load_file(a.path / "adapter_model.safetensors") for a in (start, tuned))
    assert before.keys() == after.keys()
    assert all((before[key] - after[key]).abs().max() < 1e-6 for key in before)


RUN = """
import json, sys
from pathlib import Path
from ta_schemas.errors import exit_with_one_line
from ta_train.preference.config import DpoConfig
from ta_train.preference.preference import prefer
config, preferences, adapter, out = sys.argv[1:]
settings = DpoConfig(**json.loads(config))
exit_with_one_line(lambda: prefer(settings, Path(preferences), Path(out), adapter=Path(adapter)))
"""


def run_in_a_process(config: DpoConfig, preferences: Path, adapter: Path, out: Path) -> subprocess.Popen[str]:
    """Start DPO and wait until step 20 is on the disk."""
    given = config.model_dump_json(exclude_unset=True)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, given, str(preferences), str(adapter), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    checkpoint = out.with_name(f"{out.name}.work") / "checkpoint-20" / "trainer_state.json"
    for _ in range(1200):
        if checkpoint.exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    return process


@pytest.fixture(scope="module")
def long_run(
    tmp_path_factory: pytest.TempPathFactory, base_model: Path, preferences: Path, adapter: Path
) -> tuple[DpoConfig, Artifact]:
    """80 steps without a break."""
    config = fixed(base_model, max_steps=80, epochs=20, save_every=10, eval_points=2)
    return config, prefer(config, preferences, tmp_path_factory.mktemp("long") / "adapter", adapter=adapter)


def test_a_killed_run_resumes_to_the_same_adapter(
    long_run: tuple[DpoConfig, Artifact], preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    config, unbroken = long_run
    out = tmp_path / "adapter"
    process = run_in_a_process(config, preferences, adapter, out)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert not out.exists(), output
    with pytest.raises(ArtifactError, match="--resume"):
        prefer(config, preferences, out, adapter=adapter)
    resumed = prefer(config, preferences, out, adapter=adapter, resume=True)
    assert steps(resumed) == steps(unbroken)
    assert resumed.digest == unbroken.digest


def test_ctrl_c_saves_a_checkpoint_and_resumes_to_the_same_adapter(
    long_run: tuple[DpoConfig, Artifact], preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    config, unbroken = long_run
    out = tmp_path / "adapter"
    process = run_in_a_process(config.model_copy(update={"save_every": 20}), preferences, adapter, out)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "with a checkpoint: run again with --resume to go on" in output
    resumed = prefer(
        config.model_copy(update={"save_every": 20}), preferences, out, adapter=adapter, resume=True
    )
    assert steps(resumed) == steps(unbroken)


@pytest.mark.slow
def test_dpo_of_the_embedded_model_starts_at_a_short_adapter_and_widens_the_margin(
    dataset: Path, preferences: Path, tmp_path: Path
) -> None:
    start = sft(load_recipe("cpu-tiny", SftConfig), dataset, tmp_path / "sft")
    recipe = load_recipe(
        "cpu-smollm2-dpo", DpoConfig, ["max_steps=4", "eval_points=1", "eval_rows=2", "epochs=1"]
    )
    metrics = prefer(recipe, preferences, tmp_path / "dpo", adapter=start.path).manifest.metrics
    assert metrics["reward_margin"] > metrics["reward_margin_before"] == 0
    assert metrics["validation_loss"] < metrics["validation_loss_before"]
