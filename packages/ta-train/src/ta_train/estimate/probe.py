"""A short run of the real thing, in a process of its own: how fast this machine is and what the run holds.

`python -m ta_train.estimate.probe JOB`, where JOB is the JSON of a `Job`; started by `probe`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ta_schemas import SetupError
from ta_schemas.errors import exit_with_one_line
from ta_train.config import TrainConfig

STEPS = 20
"""After so many steps the speed is known."""


class Job(BaseModel):
    """What the process gets."""

    method: str
    config: dict[str, Any]
    """What was set, as a recipe says it."""
    data: Path
    adapter: Path | None
    out: Path


class Probe(BaseModel):
    """What it found."""

    steps: int
    """Counted; the first one of several, which also warms up, is not."""
    seconds: float
    """Of these steps, validation left out."""
    tokens_per_s: float
    peak_bytes: int
    """The most memory the process held."""


def probed(config: TrainConfig) -> TrainConfig:
    """The configuration of a probe: 20 steps at most, one validation of few rows before and after."""
    changes = {
        "max_steps": min(STEPS, config.max_steps or STEPS),
        "eval_points": 1,
        "eval_rows": min(config.eval_rows, 4),
        "save_every": 10**6,
        "track": [],
    }
    return config.model_copy(update=changes)


def probe(config: TrainConfig, data: Path, *, adapter: Path | None = None) -> Probe:
    """Train the first steps of a run and throw the result away.

    Raises SetupError where the process fails, such as for want of memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            method=config.method,
            config=probed(config).model_dump(exclude_unset=True),
            data=data.absolute(),
            adapter=adapter and adapter.absolute(),
            out=Path(folder) / "out",
        )
        command = [sys.executable, "-m", "ta_train.estimate.probe", job.model_dump_json()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise SetupError(f"the probe failed with exit code {done.returncode}: {last or 'out of memory?'}")
    return Probe.model_validate_json(done.stdout.splitlines()[-1])


def trained(job: Job) -> Probe:
    """Train in this process; what was found."""
    from ta_train.curves import read_metrics
    from ta_train.preference.preference import prefer
    from ta_train.recipe import CONFIGS
    from ta_train.sft import sft
    from ta_train.sweep.trial import peak_memory

    config: Any = CONFIGS[job.method].model_validate(job.config)
    if config.method == "sft":
        adapter = sft(config, job.data, job.out)
    else:
        adapter = prefer(config, job.data, job.out, adapter=job.adapter)
    lines = [line for line in read_metrics(adapter.path / "logs" / "metrics.jsonl") if "loss" in line]
    first, last = lines[0], lines[-1]
    one = len(lines) == 1
    seconds = last["elapsed_s"] - (0.0 if one else first["elapsed_s"])
    tokens = last["tokens"] - (0.0 if one else first["tokens"])
    return Probe(
        steps=max(1, len(lines) - 1),
        seconds=seconds,
        tokens_per_s=tokens / seconds,
        peak_bytes=peak_memory(),
    )


if __name__ == "__main__":
    exit_with_one_line(lambda: print(trained(Job.model_validate_json(sys.argv[1])).model_dump_json()))
