"""What every method's run has: its identity, its work folder, a clean stop, a sealed result."""

import shutil
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact, ArtifactWriter, Parent, sealed
from ta_schemas.artifact import refuse_existing
from ta_schemas.errors import GateError, Stopped
from ta_schemas.manifest import Kind
from ta_train import PRODUCER
from ta_train.config import TrainConfig
from ta_train.curves import fit_sentence, plot_curves, read_metrics
from ta_train.machine import check_machine
from ta_train.models.base_model import BaseModel
from ta_train.processes import (
    asked_sharding,
    check_processes,
    check_sharding,
    connect,
    is_first,
    wait,
    world_size,
)
from ta_train.processor import cpu_threads, processor_name
from ta_train.trackers import TENSORBOARD, check_trackers, followed
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
        self.console = console or Console(stderr=True, quiet=not is_first())
        self.base = base
        self.state_dict: dict[str, Any] | None = None
        """The whole weights of a model that was trained in pieces; None where the model has them itself."""
        self.identity = {
            config.method: config.model_dump(exclude={"description", "track", "memory_check"}),
            "base_model": base.name,
        }
        self.parents = [*(i.as_parent for i in inputs), Parent(kind="model", digest=base.digest)]

    def done(self) -> Artifact | None:
        """What is sealed at `out` already; None where there is work to do.

        Raises ArtifactError where something else stands there, SetupError where this machine lacks what the
        configuration asks for.
        """
        found = sealed(self.out, kind=self.kind, config=self.identity, parents=self.parents)
        if not found:
            refuse_existing(self.out, replace=self.replace)
            check_machine(self.config)
            check_processes(self.config)
            check_trackers(self.config)
        return found

    def train(self, build: Callable[[WorkFolder, Any], Any]) -> tuple[Any, list[dict[str, Any]]]:
        """Open the work folder, let `build(work, log)` make the trainer, train it; the trainer and metrics.

        Raises ArtifactError (an unfinished run in the way), Stopped (after Ctrl-C, with a checkpoint),
        GateError (the loss went bad), SetupError (a full disk; fewer processes or less sharding than asked).
        """
        from ta_train.run_log import RunLog

        connect(self.config)
        run: dict[str, Any] = {"config": self.identity, "parents": [parent.digest for parent in self.parents]}
        if world_size() > 1:
            run["processes"] = world_size()  # each has its own part of the rows and its own random numbers
        self.work = work = WorkFolder.open(self.out, run, resume=self.resume, replace=self.replace)
        log = RunLog(work.metrics_file, self.console)
        checkpoint = work.checkpoint()
        if checkpoint:
            self.console.print(f"resuming at step {work.step}")
        facts = {**self.config.model_dump(), "base_model": self.base.name, "parents": run["parents"]}
        with followed(self.config, work.path, facts):
            trainer = build(work, log)
            check_sharding(trainer)
            started = time.monotonic()
            try:
                with work.full_disk_in_one_line():
                    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            finally:
                log.close()
            self.training_s = log.seconds_before + time.monotonic() - started
            if log.trouble:
                raise GateError(self._what_went_bad(log))
            if log.interrupted:
                raise Stopped(
                    f"stopped at step {work.step} with a checkpoint: run again with --resume to go on"
                )
        if asked_sharding():  # all processes together, not the first alone when it writes
            self.state_dict = trainer.accelerator.get_state_dict(trainer.model)
        wait()  # the first process has written every line
        return trainer, read_metrics(work.metrics_file)

    def seal(self, write: Callable[[Path], None], metrics: dict[str, Any]) -> Artifact:
        """Let `write(folder)` write the weights, add metrics, curves and environment, seal, drop the work."""
        wait()  # the others have read what they need
        if is_first():
            with self.work.full_disk_in_one_line():
                self._write(write, metrics)
            self.work.remove()
        wait()
        return Artifact.open(self.out, kind=self.kind)

    def _write(self, write: Callable[[Path], None], metrics: dict[str, Any]) -> None:
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
            if (self.work.path / TENSORBOARD).is_dir():
                shutil.copytree(self.work.path / TENSORBOARD, logs / TENSORBOARD)
            writer.metrics |= metrics | {"training_s": self.training_s}
            writer.environment |= {
                "base_model_path": str(self.base.path),
                "cpu_threads": cpu_threads(self.config.threads),
                "processor": processor_name(),
                "processes": world_size(),
                **{name: version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")},
            }

    def _what_went_bad(self, log: Any) -> str:
        """Drop the checkpoints of spoiled weights; the message for whoever started the run."""
        if is_first():
            self.work.discard_from(log.spoiled_from)
        kept = self.work.checkpoint()
        where = f"{kept} holds the last good state" if kept else "no checkpoint was written before"
        return (
            f"{log.trouble}: stopped; {where}. Start again with --force and a lower learning_rate (now "
            f"{self.config.learning_rate:g}), a longer warmup (now {self.config.warmup:g}) or a smaller "
            f"max_grad_norm (now {self.config.max_grad_norm:g})"
        )


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
