"""One trial of a sweep, in a process of its own so that its peak memory is its own.

`python -m ta_train.sweep.trial JOB`, where JOB is the JSON of a `Job`; started by `ta_train.sweep.sweep`.
"""

import json
import resource
import sys
from pathlib import Path

from pydantic import BaseModel

from ta_schemas.errors import Stopped, UserError, exit_with_one_line
from ta_train.config import SftConfig
from ta_train.sft import sft


class Job(BaseModel):
    """What a trial gets."""

    config: SftConfig
    dataset: Path
    out: Path
    replace: bool
    note: Path
    """Where it leaves a `Note`."""


class Note(BaseModel):
    """What a trial leaves besides its adapter."""

    digest: str = ""
    """Of the adapter it sealed; empty where it failed."""
    peak_memory_bytes: int = 0
    error: str = ""


def run(job: Job) -> None:
    """Train; leave the note."""
    try:
        adapter = sft(job.config, job.dataset, job.out, resume=True, replace=job.replace)
    except Stopped:
        raise
    except UserError as error:
        job.note.write_text(Note(error=str(error)).model_dump_json(), encoding="utf-8")
        raise
    note = Note(digest=adapter.digest, peak_memory_bytes=peak_memory())
    job.note.write_text(note.model_dump_json(), encoding="utf-8")


def peak_memory() -> int:
    """The most memory this process ever held, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its maximum begins with what the parent process held when it started this one.
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    exit_with_one_line(lambda: run(Job.model_validate(json.loads(sys.argv[1]))))
