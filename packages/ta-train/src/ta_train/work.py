"""The work folder of an unfinished run (`<out>.work`): its identity, its checkpoints, its metrics."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ta_schemas import ArtifactError, SetupError
from ta_train.processes import is_first, rank, wait, world_size


class WorkFolder:
    """Checkpoints live here until the result is sealed; then the folder goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics_file = path / "metrics.jsonl"

    @classmethod
    def open(cls, out: Path, identity: dict[str, Any], *, resume: bool, replace: bool) -> "WorkFolder":
        """Make the folder, or take over the unfinished run in it.

        Of several processes the first does it, the others wait. Raises ArtifactError where an unfinished run
        is in the way and neither resume nor replace was asked.
        """
        work = cls(out.with_name(f"{out.name}.work"))
        if is_first():
            work._take_over_or_make(identity, resume=resume, replace=replace)
        wait()
        if not work.path.is_dir():
            raise SetupError(
                f"{work.path}: not seen by process {rank()}: --out must lie on a disk that all nodes share"
            )
        return work

    def _take_over_or_make(self, identity: dict[str, Any], *, resume: bool, replace: bool) -> None:
        wanted = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        found = self._identity()
        if found and found == wanted and resume:
            self._rewind_metrics()
            return
        if self.path.exists() and not replace:
            if found == wanted:
                raise ArtifactError(
                    f"{self.path}: an unfinished run (step {self.step}): pass --resume to go on, "
                    "--force to start over"
                )
            raise ArtifactError(
                f"{self.path}: an unfinished run with another configuration or dataset: pass --force to "
                "discard it, or name another --out"
            )
        self.remove()
        self.path.mkdir(parents=True)
        (self.path / "run.json").write_text(json.dumps({"identity": wanted}) + "\n", encoding="utf-8")

    @property
    def step(self) -> int:
        """The optimizer step of the newest usable checkpoint; 0 without one."""
        checkpoint = self.checkpoint()
        return int(checkpoint.name.split("-")[1]) if checkpoint else 0

    def checkpoint(self) -> Path | None:
        """The newest checkpoint that was written whole."""
        found = sorted(self.path.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]), reverse=True)
        return next((folder for folder in found if _is_whole(folder)), None)

    def discard_from(self, step: int) -> None:
        """Delete the checkpoints of this step and later, and those that were never written whole."""
        for folder in self.path.glob("checkpoint-*"):
            if int(folder.name.split("-")[1]) >= step or not _is_whole(folder):
                shutil.rmtree(folder, ignore_errors=True)

    def _rewind_metrics(self) -> None:
        """Drop the lines of `metrics.jsonl` after the checkpoint: those steps will be made again."""
        if not self.metrics_file.exists():
            return
        lines = self.metrics_file.read_text(encoding="utf-8").splitlines()
        kept = []
        for line in lines:
            try:
                if json.loads(line)["step"] <= self.step:
                    kept.append(line)
            except ValueError:
                break  # torn by a kill: it and what follows will be written again
        self.metrics_file.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    @contextmanager
    def full_disk_in_one_line(self) -> Iterator[None]:
        """Turn what a full disk raises into a SetupError; the last whole checkpoint stays, torn ones go."""
        try:
            yield
        except Exception as error:
            if not _took_no_more(error):
                raise
            self.discard_from(self.step + 1)
            raise SetupError(
                f"{self.path.parent}: the disk is full: free some space, then --resume goes on at step "
                f"{self.step}"
            ) from None

    def remove(self) -> None:
        """Delete the folder if it is there."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _identity(self) -> str:
        try:
            return str(json.loads((self.path / "run.json").read_text(encoding="utf-8"))["identity"])
        except (OSError, ValueError, KeyError):
            return ""


def _is_whole(folder: Path) -> bool:
    """Whether the trainer came to its last file; that is its state, or a random state of another process."""
    if world_size() > 1 and not all((folder / f"rng_state_{i}.pth").is_file() for i in range(world_size())):
        return False
    try:
        json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _took_no_more(error: Exception) -> bool:
    """Whether the disk is full (or a quota, a limit), as Python, safetensors and torch say it."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, OSError) and error.errno in full:
        return True
    # safetensors 0.8 hands on the system's words; torch 2.13's zip writer only says where it was.
    said = str(error)
    return any(os.strerror(code) in said for code in full) or (
        "inline_container.cc" in said and "Reader" not in said
    )
