"""The work folder of an unfinished run (`<out>.work`): its identity, its checkpoints, its metrics."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ta_schemas import ArtifactError


class WorkFolder:
    """Checkpoints live here until the adapter is sealed; then the folder goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics_file = path / "metrics.jsonl"

    @classmethod
    def open(cls, out: Path, identity: dict[str, Any], *, resume: bool, replace: bool) -> "WorkFolder":
        """Make the folder, or take over the unfinished run in it.

        Raises ArtifactError where an unfinished run is in the way and neither resume nor replace was asked.
        """
        work = cls(out.with_name(f"{out.name}.work"))
        wanted = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        found = work._identity()
        if found and found == wanted and resume:
            return work
        if work.path.exists() and not replace:
            if found == wanted:
                raise ArtifactError(
                    f"{work.path}: an unfinished run (step {work.step}): pass --resume to go on, "
                    "--force to start over"
                )
            raise ArtifactError(
                f"{work.path}: an unfinished run with another configuration or dataset: pass --force to "
                "discard it, or name another --out"
            )
        work.remove()
        work.path.mkdir(parents=True)
        (work.path / "run.json").write_text(json.dumps({"identity": wanted}) + "\n", encoding="utf-8")
        return work

    @property
    def step(self) -> int:
        """The optimizer step of the newest usable checkpoint; 0 without one."""
        checkpoint = self.checkpoint()
        return int(checkpoint.name.split("-")[1]) if checkpoint else 0

    def checkpoint(self) -> Path | None:
        """The newest checkpoint that was written whole: its state parses and its weights are there."""
        found = sorted(self.path.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]), reverse=True)
        return next((folder for folder in found if _is_whole(folder)), None)

    def rewind_metrics(self) -> None:
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

    def remove(self) -> None:
        """Delete the folder if it is there."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _identity(self) -> str:
        try:
            return str(json.loads((self.path / "run.json").read_text(encoding="utf-8"))["identity"])
        except (OSError, ValueError, KeyError):
            return ""


def _is_whole(folder: Path) -> bool:
    needed = ("trainer_state.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt")
    if not all((folder / name).is_file() for name in needed):
        return False
    try:
        json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
