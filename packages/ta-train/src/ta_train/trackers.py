"""Trackers beside `metrics.jsonl`: W&B, Trackio, MLflow and TensorBoard follow a run through TRL's `report_to`.

The project (MLflow: experiment) is `tunedassist`, the run `<folder>-<name>` of `--out`, such as
`linux-cli-adapter`. A tracker's own variables keep the last word: WANDB_PROJECT, WANDB_MODE, WANDB_DIR,
MLFLOW_EXPERIMENT_NAME, MLFLOW_TRACKING_URI, TRACKIO_DIR … A resumed run is a second run of the same name.
"""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ta_schemas import InputError, SetupError
from ta_train.config import TrainConfig
from ta_train.processes import is_first

PROJECT = "tunedassist"
TENSORBOARD = "tensorboard"
"""The folder of its event files: in the work folder, then in the artifact's logs."""


def check_trackers(config: TrainConfig) -> None:
    """Raise SetupError, naming the extra, for a tracker that is not installed.

    InputError for a method that none can follow.
    """
    if config.track and config.method == "ppo":
        raise InputError("track: ppo writes logs/metrics.jsonl only: leave track empty")
    for name in config.track:
        if importlib.util.find_spec(name) is None:
            raise SetupError(f"track: {name} is not installed: install ta-train[{name}]")


def tracker_arguments(config: TrainConfig, work: Path) -> dict[str, Any]:
    """What a Trainer is told; `work` is `<out>.work`."""
    return {"report_to": config.track or "none", "project": PROJECT, "run_name": _run_name(work)}


@contextmanager
def followed(config: TrainConfig, work: Path, facts: dict[str, Any]) -> Iterator[None]:
    """Open the runs before the trainer is built, with `facts` (the resolved configuration), and close them.

    Raises SetupError where a tracker cannot start, as W&B without a key.
    """
    if not is_first():
        yield
        return
    if "tensorboard" in config.track:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(work / TENSORBOARD)
    if "wandb" in config.track:
        _start_wandb(work, facts)
    if "mlflow" in config.track:
        _start_mlflow(work, facts)
    failed = True
    try:
        yield
        failed = False
    finally:
        if "wandb" in config.track:
            import_module("wandb").finish(exit_code=int(failed))
        if "mlflow" in config.track:
            import_module("mlflow").end_run("FAILED" if failed else "FINISHED")


def _start_wandb(work: Path, facts: dict[str, Any]) -> None:
    wandb = import_module("wandb")
    try:
        wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=_run_name(work), config={PROJECT: facts}
        )
    except wandb.Error as error:
        raise SetupError(
            f"track: wandb does not start ({str(error).splitlines()[0]}): `wandb login`, or WANDB_MODE=offline"
        ) from None


def _start_mlflow(work: Path, facts: dict[str, Any]) -> None:
    mlflow = import_module("mlflow")
    try:
        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
        mlflow.start_run(run_name=_run_name(work))
        mlflow.log_params({f"{PROJECT}/{key}": str(value)[:250] for key, value in facts.items()})
    except mlflow.MlflowException as error:
        raise SetupError(
            f"track: mlflow does not start ({str(error).splitlines()[0]}): check MLFLOW_TRACKING_URI"
        ) from None


def _run_name(work: Path) -> str:
    return f"{work.absolute().parent.name}-{work.name.removesuffix('.work')}"
