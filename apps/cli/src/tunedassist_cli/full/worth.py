"""Was tuning worth it? The tuned model beside the best that needs no tuning, with time and cost."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ta_schemas import Artifact, read_jsonl
from ta_schemas.reports import Comparison, EvalReport, ItemSetReport
from ta_schemas.rows import PredictionRow


class Row(NamedTuple):
    """A system with what it scores and what it costs."""

    name: str
    right: float
    """Share of the benchmark."""
    general: float | None
    """Share of the general questions; None where they were not asked."""
    read: float
    written: float
    """Tokens of a prompt and of an answer, on average over the benchmark."""
    alone_s: float
    """Seconds for an answer asked alone, median."""
    thousand_min: float
    """Minutes for 1,000 answers, asked in batches as the benchmark was."""


class Worth(NamedTuple):
    """The answer to the question, and the table it rests on."""

    paid: bool
    sentence: str
    rows: list[Row]
    tuning_min: float
    """Minutes of training and sampling that the tuned model took."""


def worth(
    report: Artifact,
    duel: Artifact,
    predictions: Mapping[str, Mapping[str, Path]],
    times: Mapping[str, float],
    *,
    tuning_s: float,
) -> Worth:
    """`report` compares all systems with the base; `duel` compares the best untuned one (its baseline) with the
    tuned model (its first candidate). `predictions`: system: item set: directory."""
    sets = {items.name: items for items in read_report(report).item_sets}
    main, general = sets["benchmark"], sets.get("general")
    rows = [
        _row(name, main, general, predictions[name]["benchmark"], times[name])
        for name in (system.name for system in main.systems)
    ]
    compared = read_report(duel).item_sets[0].comparisons[0]
    minutes = tuning_s / 60
    return Worth(
        compared.verdict == "better", _sentence(compared, rows, general, minutes), rows, round(minutes, 1)
    )


def read_report(report: Artifact) -> EvalReport:
    """`report.json` of an `eval-report`."""
    return EvalReport.model_validate_json(report.file("report.json").read_text(encoding="utf-8"))


def best_of(report: Artifact, names: Sequence[str]) -> str:
    """The one of `names` with the most right answers on the first item set; among equals the first."""
    scores = {system.name: system.accuracy.estimate for system in read_report(report).item_sets[0].systems}
    return max(names, key=lambda name: scores[name])


def points(comparison: Comparison) -> str:
    """`+21.7 points (95 % interval +3.8 to +39.6)`."""
    d = comparison.difference
    return f"{100 * d.estimate:+.1f} points (95 % interval {100 * d.low:+.1f} to {100 * d.high:+.1f})"


def _row(name: str, main: ItemSetReport, general: ItemSetReport | None, answers: Path, alone_s: float) -> Row:
    of = {system.name: system.accuracy.estimate for system in (general.systems if general else [])}
    right = next(system.accuracy.estimate for system in main.systems if system.name == name)
    artifact = Artifact.open(answers, kind="predictions", verify=False)
    rows = list(read_jsonl(artifact.file("predictions.jsonl"), PredictionRow))
    speed: dict[str, Any] = json.loads((answers / "logs" / "speed.json").read_text(encoding="utf-8"))
    each = speed["seconds"] / max(1, speed["asked"])
    return Row(
        name,
        right,
        of.get(name),
        sum(row.prompt_tokens for row in rows) / len(rows),
        sum(row.completion_tokens for row in rows) / len(rows),
        alone_s,
        each * 1000 / 60,
    )


def _sentence(compared: Comparison, rows: Sequence[Row], general: ItemSetReport | None, minutes: float) -> str:
    by_name = {row.name: row for row in rows}
    tuned, untuned = by_name[compared.candidate], by_name[compared.baseline]
    facts = (
        f"{tuned.name} answers {tuned.right:.1%} of the benchmark, {untuned.name}, the best without tuning, "
        f"{untuned.right:.1%}: {points(compared)}"
    )
    if compared.verdict == "better":
        first = f"Tuning paid: {facts}."
    elif compared.verdict == "worse":
        first = f"Tuning did not pay: {facts}. Use {untuned.name} instead."
    else:
        first = (
            f"Tuning did not measurably pay: {facts}; differences below "
            f"{100 * compared.minimum_detectable_effect:.0f} points could go unseen."
        )
    cost = (
        f"Tuning took {minutes:.0f} minutes; an answer takes {tuned.alone_s:.1f} s instead of "
        f"{untuned.alone_s:.1f} s and reads {tuned.read:.0f} tokens instead of {untuned.read:.0f}."
    )
    return " ".join([first, cost, *_forgotten(tuned.name, general)])


def _forgotten(tuned: str, general: ItemSetReport | None) -> list[str]:
    found = next((c for c in (general.comparisons if general else []) if c.candidate == tuned), None)
    if found is None:
        return []
    if found.verdict == "worse":
        return [f"It cost general knowledge: {points(found)} on the general questions."]
    return [f"General questions: {points(found)} against the base, {found.verdict}."]


def write_worth(found: Worth, report: Artifact, folder: Path) -> None:
    """`worth.json` and `worth.md` in `folder`."""
    content = {
        "paid": found.paid,
        "sentence": found.sentence,
        "tuning_min": found.tuning_min,
        "systems": [row._asdict() for row in found.rows],
    }
    for name, text in (
        ("worth.json", json.dumps(content, indent=2) + "\n"),
        ("worth.md", "\n".join(_markdown(found, report)) + "\n"),
    ):
        partial = folder / f"{name}.partial-{os.getpid()}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)


def _markdown(found: Worth, report: Artifact) -> list[str]:
    against = {c.candidate: c for c in read_report(report).item_sets[0].comparisons}
    lines = [
        "# Was tuning worth it?",
        "",
        found.sentence,
        "",
        "| system | right | against base | general | tokens read | written | one answer, s | 1,000, min |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found.rows:
        difference = points(against[row.name]) if row.name in against else ""
        general = "" if row.general is None else f"{row.general:.1%}"
        lines.append(
            f"| {row.name} | {row.right:.1%} | {difference} | {general} | {row.read:.0f} | {row.written:.0f} "
            f"| {row.alone_s:.2f} | {row.thousand_min:.1f} |"
        )
    return [
        *lines,
        "",
        "All systems answered the same items. One answer: asked alone on this machine, median of a few "
        "questions. 1,000: so many answers in batches, as the benchmark was asked. The best system without "
        "tuning was chosen on these very items, which favours it a little.",
    ]
