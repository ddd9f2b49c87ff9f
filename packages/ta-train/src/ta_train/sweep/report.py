"""What a sweep found: a table (terminal, Markdown, JSON) and a plot."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Trial:
    """One setting and what came of it."""

    settings: dict[str, Any]
    out: Path
    metrics: dict[str, Any] = field(default_factory=dict)
    """Of the adapter's manifest; empty where it failed."""
    peak_memory_bytes: int = 0
    """0: not known, because it was trained outside this sweep."""
    score: float | None = None
    error: str = ""
    """Why there is no adapter."""

    @property
    def label(self) -> str:
        """The settings in a line."""
        return label(self.settings)


PARAMETERS = "trained parameters"


class Column(NamedTuple):
    """A measure of a trial, as table and plot show it."""

    title: str
    digits: int
    values: list[float | None]


def label(settings: dict[str, Any]) -> str:
    """Settings in a line, as a trial's folder is named."""
    return ",".join(f"{key}={value}" for key, value in settings.items())


def objective(trial: Trial) -> float | None:
    """What a trial is judged by: its score where there is one, else its validation loss; None if it failed."""
    if trial.error or trial.score is not None:
        return trial.score
    return float(trial.metrics["validation_loss"])


def best(trials: Sequence[Trial]) -> Trial | None:
    """The highest score, or without scores the lowest validation loss."""
    judged = [(value, trial) for trial in trials if (value := objective(trial)) is not None]
    scored = any(trial.score is not None for trial in trials)
    sign = -1 if scored else 1
    return min(judged, key=lambda pair: sign * pair[0])[1] if judged else None


def write_report(trials: Sequence[Trial], out: Path) -> None:
    """Write sweep.json, sweep.md and sweep.png to `out`."""
    winner = best(trials)
    content = {
        "best": winner.label if winner else None,
        "trials": [
            {
                "settings": trial.settings,
                "adapter": trial.out.name,
                "error": trial.error,
                "score": trial.score,
                "peak_memory_bytes": trial.peak_memory_bytes or None,
                "metrics": trial.metrics,
            }
            for trial in trials
        ],
    }
    (out / "sweep.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    header, rows = table(trials)
    lines = [
        " | ".join(cell.replace("|", "/") for cell in row) for row in (header, ["---"] * len(header), *rows)
    ]
    text = "".join(f"| {line} |\n" for line in lines)
    (out / "sweep.md").write_text(text, encoding="utf-8")
    plot(trials, out / "sweep.png")


def table(trials: Sequence[Trial]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text; the best trial is marked, a failed one says why."""
    columns, winner = _columns(trials), best(trials)
    header = [*trials[0].settings, *(column.title for column in columns), ""]
    rows = []
    for at, trial in enumerate(trials):
        numbers = ["" if c.values[at] is None else f"{c.values[at]:.{c.digits}f}" for c in columns]
        remark = f"failed: {trial.error}" if trial.error else "best" if trial is winner else ""
        rows.append([*(str(value) for value in trial.settings.values()), *numbers, remark])
    return header, rows


def plot(trials: Sequence[Trial], file: Path) -> None:
    """A panel for every measure but the number of parameters, the settings side by side below."""
    from matplotlib.figure import Figure

    panels = [column for column in _columns(trials) if column.title != PARAMETERS]
    if not panels:  # every trial failed
        return
    keys = list(trials[0].settings)
    alone = len(keys) == 1  # then the key stands once below, and numbers may be joined
    labels = [str(trial.settings[keys[0]]) if alone else trial.label.replace(",", "\n") for trial in trials]
    joined = alone and all(isinstance(trial.settings[keys[0]], int | float) for trial in trials)
    figure = Figure(figsize=(3.4 * len(panels), 3.6), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        shown = [(at, value) for at, value in enumerate(panel.values) if value is not None]
        axes.plot(
            [at for at, _ in shown], [value for _, value in shown], "o-" if joined else "o", color="#253237"
        )
        axes.set_xticks(range(len(trials)), labels, rotation=90 if len(trials) > 6 else 0, fontsize=7)
        axes.set_xlabel(keys[0] if alone else "")
        low, high = min(value for _, value in shown), max(value for _, value in shown)
        if panel.title.endswith("loss"):  # some per cent are to be seen, some per mille are not
            axes.set_ylim(0.9 * low, 1.1 * high)
        else:
            axes.set_ylim(min(0, 1.1 * low), max(0, 1.1 * high) or 1)
        axes.set_title(panel.title, fontsize=9)
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def _columns(trials: Sequence[Trial]) -> list[Column]:
    def metric(name: str) -> list[float | None]:
        return [trial.metrics.get(name) for trial in trials]

    memory = [trial.peak_memory_bytes / 2**20 if trial.peak_memory_bytes else None for trial in trials]
    columns = [
        Column("validation loss", 3, metric("validation_loss")),
        Column("training loss", 3, metric("training_loss")),
        Column("training time (s)", 1, metric("training_s")),
        Column("peak memory (MiB)", 0, memory),
        Column(PARAMETERS, 0, metric("trainable_parameters")),
        Column("score", 3, [trial.score for trial in trials]),
    ]
    return [column for column in columns if any(value is not None for value in column.values)]
