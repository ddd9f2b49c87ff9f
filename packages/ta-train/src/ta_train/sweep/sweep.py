"""A sweep: the same training under many settings, a row of a table for each (`ta-train sweep`)."""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact, InputError, sealed
from ta_schemas.artifact import refuse_existing
from ta_schemas.errors import Stopped
from ta_schemas.manifest import Kind
from ta_train.config import SftConfig
from ta_train.models.base_model import resolve
from ta_train.recipe import load_recipe
from ta_train.run import TrainingRun
from ta_train.sweep.report import Trial, label, objective, write_report
from ta_train.sweep.space import Search, Settings, Space, grid, parse_space
from ta_train.sweep.trial import Job, Note

Score = Callable[[Artifact], float]
"""Measures an adapter, the more the better: an app's benchmark. Called for every trial of every sweep."""


def sweep(
    recipe: str,
    over: Sequence[str],
    dataset: Path,
    out: Path,
    *,
    overrides: Sequence[str] = (),
    trials: int = 0,
    score: Score | None = None,
    replace: bool = False,
    console: Console | None = None,
) -> list[Trial]:
    """Train the recipe once for every setting, each adapter sealed in a folder below `out`.

    `over` holds `key=value,value,…`, all combinations of which are trained; or, with `trials`, what Optuna
    draws from, ranges (`key=low..high`) too, towards a higher `score` or else a lower validation loss. What is
    sealed already is not trained again, and an unfinished trial goes on from its checkpoint. A trial that fails
    is a row with its reason. The table, sweep.json and the plot in `out` are written after every trial.

    Raises InputError (a key, a value, a range; every trial failed), ArtifactError (something else in the way),
    SetupError (Optuna is missing), Stopped (Ctrl-C).
    """
    console = console or Console(stderr=True)
    space = parse_space(over)
    data = Artifact.open(dataset, kind="dataset")

    def job_for(settings: Settings) -> Job:
        config = load_recipe(recipe, SftConfig, [*overrides, *(f"{k}={v}" for k, v in settings.items())])
        folder = out / re.sub(r"[^\w.=,+-]+", "-", label(_chosen(config, space)))
        note = folder.with_name(f"{folder.name}.json")
        return Job(config=config, dataset=dataset, out=folder, replace=replace, note=note)

    if trials:
        seed = load_recipe(recipe, SftConfig, list(overrides)).seed
        search = Search(space, seed=seed, maximize=score is not None)
        count, drawn = trials, search.draw(trials)
    else:
        planned = grid(space)
        for settings in planned:  # every one of them before the first is trained
            _refuse_in_the_way(job_for(settings), data)
        count, drawn = len(planned), ((settings, _ignore) for settings in planned)
    out.mkdir(parents=True, exist_ok=True)
    done: dict[str, Trial] = {}
    for number, (settings, tell) in enumerate(drawn, start=1):
        job = job_for(settings)
        console.print(f"[{number}/{count}] {label(_chosen(job.config, space))}", markup=False, highlight=False)
        trial = _trial(job, data, _chosen(job.config, space), score)
        tell(objective(trial))
        done[trial.label] = trial
        write_report(list(done.values()), out)
    found = list(done.values())
    if all(trial.error for trial in found):
        raise InputError(f"every trial failed; {found[0].label}: {found[0].error}")
    return found


def _trial(job: Job, data: Artifact, settings: dict[str, Any], score: Score | None) -> Trial:
    adapter, error = _sealed(job, data), ""
    if adapter is None:
        error = _train(job)
        adapter = _sealed(job, data)
    if adapter is None:
        return Trial(settings, job.out, error=error)
    note = _note(job)
    return Trial(
        settings,
        job.out,
        metrics=adapter.manifest.metrics,
        peak_memory_bytes=note.peak_memory_bytes if note.digest == adapter.digest else 0,
        score=score(adapter) if score else None,
    )


def _train(job: Job) -> str:
    """Train in a process of its own and wait for it; why it failed, or an empty string."""
    job.note.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "ta_train.sweep.trial", job.model_dump_json()])
    interrupted = False
    while process.poll() is None:
        try:
            process.wait()
        except KeyboardInterrupt:  # the terminal has told the trial too: it saves a checkpoint
            interrupted = True
    if interrupted or process.returncode == Stopped.exit_code:
        raise Stopped("stopped: run the same command again to go on, finished trials are kept")
    if process.returncode < 0:
        return f"killed by signal {-process.returncode}: was there enough memory?"
    return _note(job).error or (f"it ended with exit code {process.returncode}" if process.returncode else "")


def _note(job: Job) -> Note:
    return Note.model_validate_json(job.note.read_bytes()) if job.note.exists() else Note()


def _sealed(job: Job, data: Artifact) -> Artifact | None:
    run = TrainingRun(job.config, resolve(job.config.base_model), [data], job.out)
    kind: Kind = "model" if job.config.tuning == "full" else "adapter"
    return sealed(job.out, kind=kind, config=run.identity, parents=run.parents)


def _refuse_in_the_way(job: Job, data: Artifact) -> None:
    if not _sealed(job, data):
        refuse_existing(job.out, replace=job.replace)


def _chosen(config: SftConfig, space: Space) -> dict[str, Any]:
    return {key: getattr(config, key) for key in space}


def _ignore(value: float | None) -> None:
    """A grid does not care how its trials end."""
