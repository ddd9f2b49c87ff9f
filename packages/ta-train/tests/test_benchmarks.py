"""The benchmark scripts run: a short round of the first, a rehearsal of the one for GPUs."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "benchmarks"


def ran(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_short_round_prints_our_engine_beside_trl(dataset: Path) -> None:
    table = ran(
        "bench_train.py", "--dataset", str(dataset), *["--rounds", "1", "--steps", "2", "--tables", "0"]
    )
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert rows[1] == "TRL, fp32, checkpointing" or rows[1].startswith("TRL as it comes")
    assert rows[-1].startswith("fast (")


@pytest.mark.slow
def test_the_engine_is_exact_with_any_lever_taken_out(dataset: Path) -> None:
    options = ["--rounds", "1", "--steps", "2", "--tables", "5"]
    table = ran("bench_train.py", "--dataset", str(dataset), *options)
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 6
    assert all(float(row[-2].strip(" %")) < 0.05 for row in rows), table


@pytest.mark.slow
def test_the_gpu_benchmark_can_be_rehearsed_without_one(dataset: Path, tmp_path: Path) -> None:
    table = ran(
        "bench_gpu.py",
        *("--dataset", str(dataset), "--models", str(tmp_path)),
        *["--rehearse", "--parts", "qlora-8b,lora-1b"],
    )
    assert "| ta-train, backend trl | " in table
    assert "backend: unsloth needs a CUDA GPU" in table
    assert "attention: flash_attention_2 needs a CUDA GPU" in table


def test_without_a_gpu_the_benchmark_says_so_in_one_line() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "bench_gpu.py")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "--rehearse" in done.stderr
