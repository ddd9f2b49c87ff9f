"""What every method's run has: its identity, its work folder, a clean stop, a sealed result."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact, ArtifactWriter, Parent, sealed
from ta_schemas.artifact import refuse_existing
from ta_schemas.errors import Stopped
from ta_schemas.manifest import Kind
from ta_train import PRODUCER
from ta_train.base_model import BaseModel
from ta_train.config import TrainConfig
from ta_train.curves import fit_sentence, plot_curves, read_metrics
from ta_train.processor import cpu_threads, processor_name
from ta_train.work import WorkFolder


class TrainingRun:
    """One run of one method into `out`.

    Ask `done` first: an `out` that is sealed already with the same configuration and parents. An interrupted
    run leaves `<out>.work`; `resume` goes on from its last checkpoint to the same final loss.
    """

    def __init__(
        self,
        config: TrainConfig,
        base: BaseModel,
        inputs: Sequence[Artifact],
        out: Path,
        *,
        kind: Kind = "adapter",
        resume: bool = False,
        replace: bool = False,
        console: Console | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.config = config
        self.out = out
        self.resume = resume
        self.replace = replace
        self.console = console or Console(stderr=True)
        self.base = base
        self.identity = {config.method: config.model_dump(exclude={"description"}), "base_model": base.name}
        self.parents = [*(i.as_parent for i in inputs), Parent(kind="model", digest=base.digest)]

    def done(self) -> Artifact | None:
        """What is sealed at `out` already; None where there is work to do.

        Raises ArtifactError where something else stands there.
        """
        found = sealed(self.out, kind=self.kind, config=self.identity, parents=self.parents)
        if not found:
            refuse_existing(self.out, replace=self.replace)
        return found

    def train(self, build: Callable[[WorkFolder, Any], Any]) -> tuple[Any, list[dict[str, Any]]]:
        """Open the work folder, let `build(work, log)` make the trainer, train it; the trainer and metrics.

        Raises ArtifactError (an unfinished run in the way), Stopped (after Ctrl-C, with a checkpoint).
        """
        from ta_train.run_log import RunLog

        run = {"config": self.identity, "parents": [parent.digest for parent in self.parents]}
        self.work = work = WorkFolder.open(self.out, run, resume=self.resume, replace=self.replace)
        work.rewind_metrics()
        log = RunLog(work.metrics_file, self.console)
        checkpoint = work.checkpoint()
        if checkpoint:
            self.console.print(f"resuming at step {work.step}")
        trainer = build(work, log)
        started = time.monotonic()
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        finally:
            log.close()
        self.training_s = time.monotonic() - started
        if log.interrupted:
            raise Stopped(f"stopped at step {work.step} with a checkpoint: run again with --resume to go on")
        return trainer, read_metrics(work.metrics_file)

    def seal(self, write: Callable[[Path], None], metrics: dict[str, Any]) -> Artifact:
        """Let `write(folder)` write the weights, add metrics, curves and environment, seal, drop the work."""
        with ArtifactWriter(
            self.out,
            kind=self.kind,
            producer=PRODUCER,
            config=self.identity,
            parents=self.parents,
            replace=self.replace,
        ) as writer:
            write(writer.path)
            logs = writer.path / "logs"
            logs.mkdir()
            shutil.copy(self.work.metrics_file, logs / "metrics.jsonl")
            plot_curves(read_metrics(self.work.metrics_file), logs / "curves.png")
            writer.metrics |= metrics | {"training_s": self.training_s}
            writer.environment |= {
                "base_model_path": str(self.base.path),
                "cpu_threads": cpu_threads(self.config.threads),
                "processor": processor_name(),
                "processes": int(os.environ.get("WORLD_SIZE", "1")),
                **{name: version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")},
            }
        self.work.remove()
        return Artifact.open(self.out, kind=self.kind)


def summary(metrics: list[dict[str, Any]], rows: int, model: Any) -> dict[str, Any]:
    """The numbers of a finished run that a table shows."""
    steps = [m for m in metrics if "loss" in m]
    validation = [m["validation_loss"] for m in metrics if "validation_loss" in m]
    return {
        "steps": steps[-1]["step"],
        "tokens": steps[-1]["tokens"],
        "tokens_per_s": steps[-1]["tokens_per_s"],
        "training_loss": sum(m["loss"] for m in steps[-10:]) / len(steps[-10:]),
        "validation_loss_before": validation[0],
        "validation_loss": validation[-1],
        "fit": fit_sentence(metrics),
        "training_rows": rows,
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }
