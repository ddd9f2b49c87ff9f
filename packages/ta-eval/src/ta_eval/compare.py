"""compare(): several systems on the same items, paired, as an `eval-report` artifact."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ta_eval.answers import spread
from ta_eval.config import CompareConfig
from ta_eval.journal import request_key
from ta_eval.pairing import report_item_set
from ta_eval.predictions import PRODUCER
from ta_eval.report import Report, headline, verdict_sentence, write_report
from ta_eval.report.collect import answered, lengths_of, prompts, risk_of, runs_of, wins_and_losses
from ta_eval.report.words import best_of
from ta_eval.systems import System, read_systems
from ta_schemas import Artifact, ArtifactWriter, InputError, sealed
from ta_schemas.artifact import refuse_existing
from ta_schemas.reports import EvalReport

Opinions = Mapping[str, list[dict[str, Any]]]
ItemSets = Mapping[str, Sequence[Path]]
"""Item set: predictions artifacts or score files, the baseline first."""


def compare(
    config: CompareConfig,
    item_sets: ItemSets,
    out: Path,
    *,
    judges: Sequence[Path] = (),
    people: Sequence[Path] = (),
    replace: bool = False,
) -> Artifact:
    """Compare predictions, item set by item set; the first directory of a set is the baseline.

    The first item set is the main question; others, such as a forgetting check, get the same treatment.
    `judges` are directories of `ta-eval judge`, `people` folders of `ta-eval ab`, over the same answers.
    Raises InputError where a set's sides are not over the same items, or where the baseline is not the base.
    """
    systems = read_item_sets(config, item_sets)
    opinions = _opinions(systems, judges, people)
    settings = {
        **config.model_dump(),
        "item_sets": {name: [s.name for s in members] for name, members in systems.items()},
        "score_files": {s.name: s.digest for members in systems.values() for s in members if not s.artifact},
        "opinions": request_key(**opinions) if judges or people else "",
    }
    parents = [s.artifact.as_parent for members in systems.values() for s in members if s.artifact]
    done = sealed(out, kind="eval-report", config=settings, parents=parents)
    if done is not None:
        return done
    refuse_existing(out, replace=replace)
    report = build_report(config, systems, opinions)
    with ArtifactWriter(
        out, kind="eval-report", producer=PRODUCER, config=settings, parents=parents, replace=replace
    ) as writer:
        write_report(report, writer.path)
        writer.metrics |= {"verdict": report.verdict, "headlines": headlines(report)}
    return Artifact.open(out, kind="eval-report")


def read_item_sets(config: CompareConfig, item_sets: ItemSets) -> dict[str, list[System]]:
    """Read and check every side. Raises InputError."""
    if not item_sets:
        raise InputError("compare: no item set: name at least two predictions directories")
    return {
        name: read_systems(name, paths, base_digest=config.base_digest) for name, paths in item_sets.items()
    }


def build_report(
    config: CompareConfig, systems: Mapping[str, Sequence[System]], opinions: Opinions | None = None
) -> Report:
    """The report of sides that were read."""
    first = next(iter(systems.values()))
    item_sets = [report_item_set(name, members, config) for name, members in systems.items()]
    best = best_of(item_sets[0]).candidate
    wins, losses = wins_and_losses(first[0], next(s for s in first if s.name == best))
    chosen = spread(answered(first).items(), config.side_by_side)
    report = Report(
        title=config.title,
        item_sets=item_sets,
        side_by_side=prompts(first, chosen),
        notes=[
            *(note for name, members in systems.items() for note in _notes(name, members)),
            *([] if config.base_digest else _unknown_base(first)),
        ],
        wins=wins,
        losses=losses,
        lengths=[lengths for system in first if (lengths := lengths_of(system))],
        risks=[risk for system in first if (risk := risk_of(system))],
        runs=runs_of(systems),
        **(opinions or {}),
    )
    report.verdict = verdict_sentence(report)
    return report


def headlines(report: EvalReport) -> list[str]:
    """A sentence for each comparison."""
    return [headline(comparison) for items in report.item_sets for comparison in items.comparisons]


def _opinions(
    systems: Mapping[str, Sequence[System]], judges: Sequence[Path], people: Sequence[Path]
) -> Opinions:
    """Read judge.json and analysis.json. InputError where they are about other answers than those compared."""
    known = {system.digest for members in systems.values() for system in members}
    files = {
        "judges": [Artifact.open(path, kind="eval-report").file("judge.json") for path in judges],
        "people": [path / "analysis.json" for path in people],
    }
    found: dict[str, list[dict[str, Any]]] = {"judges": [], "people": []}
    for place, file in ((place, file) for place, members in files.items() for file in members):
        if not file.is_file():
            raise InputError(f"{file.parent}: no {file.name}: run ta-eval ab analyze first")
        opinion = json.loads(file.read_text(encoding="utf-8"))
        strange = [digest for digest in opinion["digests"].values() if digest not in known]
        if strange:
            raise InputError(f"{file}: is about other answers ({strange[0][:19]}) than those compared")
        found[place].append(opinion)
    return found


def _unknown_base(systems: Sequence[System]) -> list[str]:
    """Said where nothing shows that the baseline is what a candidate was tuned from; see `read_systems`."""
    base, *candidates = systems
    target = base.config.get("target")
    unknown = [
        system.name
        for system in candidates
        if target
        and (theirs := system.config.get("target"))
        and theirs != target
        and "base_digest" not in theirs
    ]
    if not unknown:
        return []
    return [
        f"Nothing recorded shows that {base.name} is the model that {', '.join(unknown)} came from: the option "
        "--base-digest checks the baseline against a digest."
    ]


def _notes(name: str, systems: Sequence[System]) -> list[str]:
    """What a reader must know to trust or doubt the numbers."""
    notes = []
    base, *candidates = systems
    for candidate in candidates:
        left_out = sum(
            row.score is None or candidate.scores[id_].score is None for id_, row in base.scores.items()
        )
        if left_out:
            notes.append(
                f"{name}: {left_out} of {len(base.scores)} items are left out of {candidate.name} against "
                f"{base.name}, for they have no score on both sides."
            )
    for system in systems:
        cut = sum(row.finish_reason == "length" for row in system.outputs.values())
        if cut:
            notes.append(f"{name}: {cut} answers of {system.name} were cut off at the token limit.")
    asked = {system.name: system.config.get("asked", {}) for system in systems if system.artifact}
    for key in sorted({key for settings in asked.values() for key in settings}):
        values = {system: settings.get(key) for system, settings in asked.items()}
        if len({repr(value) for value in values.values()}) > 1:
            told = "; ".join(f"{system}: {value!r}" for system, value in values.items())
            notes.append(f"{name}: the systems were not asked alike: {key} is {told}.")
    if len(candidates) > 1:
        notes.append(
            f"{name}: {len(candidates)} comparisons with {base.name}; each interval holds for itself, the "
            "verdicts also need a p below .05 after Holm's adjustment for their number."
        )
    return notes
