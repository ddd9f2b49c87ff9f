"""compare(): several systems on the same items, paired, as an `eval-report` artifact."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ta_eval.config import CompareConfig
from ta_eval.predictions import PRODUCER
from ta_eval.report import headline, write_report
from ta_eval.stats import (
    MIN_DISCORDANT,
    mcnemar_exact,
    minimum_detectable_effect,
    paired_bootstrap,
    paired_score,
    verdict,
    wilson,
)
from ta_schemas import Artifact, ArtifactWriter, InputError, read_jsonl, sealed
from ta_schemas.artifact import refuse_existing
from ta_schemas.reports import Comparison, EvalReport, ItemSetReport, SystemScore
from ta_schemas.rows import BenchmarkRow, PredictionRow, ScoreRow


class System(NamedTuple):
    """A predictions artifact, read."""

    name: str
    artifact: Artifact
    rows: list[BenchmarkRow]
    outputs: dict[str, PredictionRow]
    scores: dict[str, ScoreRow]

    @property
    def unscored(self) -> dict[str, int]:
        """Items without a score, by reason."""
        return dict(Counter(row.reason for row in self.scores.values() if row.score is None))


def compare(
    config: CompareConfig,
    item_sets: Mapping[str, Sequence[Path]],
    out: Path,
    *,
    replace: bool = False,
) -> Artifact:
    """Compare predictions, item set by item set; the first directory of a set is the baseline.

    The first item set is the main question; others, such as a forgetting check, get the same treatment.
    Raises InputError where predictions of a set are not over the same items.
    """
    systems = {name: _read_set(name, directories) for name, directories in item_sets.items()}
    if not systems:
        raise InputError("compare: no item set: name at least two predictions directories")
    settings = {**config.model_dump(), "item_sets": {k: [s.name for s in v] for k, v in systems.items()}}
    parents = [system.artifact.as_parent for members in systems.values() for system in members]
    done = sealed(out, kind="eval-report", config=settings, parents=parents)
    if done is not None:
        return done
    refuse_existing(out, replace=replace)
    first = next(iter(systems.values()))
    report = EvalReport(
        title=config.title,
        item_sets=[_report_on(name, members, config) for name, members in systems.items()],
        side_by_side=side_by_side(first, config.side_by_side),
        notes=[note for name, members in systems.items() for note in _notes(name, members)],
    )
    with ArtifactWriter(
        out, kind="eval-report", producer=PRODUCER, config=settings, parents=parents, replace=replace
    ) as writer:
        write_report(report, writer.path)
        writer.metrics["headlines"] = [
            headline(comparison) for items in report.item_sets for comparison in items.comparisons
        ]
    return Artifact.open(out, kind="eval-report")


def side_by_side(systems: Sequence[System], count: int) -> list[dict[str, Any]]:
    """Prompts with every system's answer: category after category in turn, within one by digest of the id.

    So the choice is the same every time, spreads over the categories, and is nobody's pick.
    """
    by_category: dict[str, list[BenchmarkRow]] = {}
    for row in sorted(systems[0].rows, key=lambda row: hashlib.sha256(row.id.encode()).hexdigest()):
        by_category.setdefault(row.category, []).append(row)
    turns = [(turn, category, row) for category, rows in by_category.items() for turn, row in enumerate(rows)]
    chosen = [row for _, _, row in sorted(turns, key=lambda item: item[:2])][:count]
    return [
        {
            "id": row.id,
            "category": row.category,
            "question": "\n".join(message.content for message in row.messages if message.role == "user"),
            "answers": [
                {
                    "system": system.name,
                    "output": system.outputs[row.id].output,
                    "score": system.scores[row.id].score,
                    "reason": system.scores[row.id].reason,
                }
                for system in systems
            ],
        }
        for row in chosen
    ]


def _read_set(name: str, directories: Sequence[Path]) -> list[System]:
    if len(directories) < 2:
        raise InputError(f"{name}: expected a baseline and at least one candidate, got {len(directories)}")
    systems = [_read_system(Path(directory)) for directory in directories]
    twice = [key for key, count in Counter(system.name for system in systems).items() if count > 1]
    if twice:
        raise InputError(f"{name}: two predictions are named {twice[0]!r}: run one again with another --name")
    base = systems[0]
    for system in systems[1:]:
        ours, theirs = (s.artifact.manifest.config["benchmark"] for s in (base, system))
        if ours["sha256"] != theirs["sha256"]:
            raise InputError(
                f"{name}: {base.artifact.path} answers benchmark {ours['name']} ({ours['sha256'][:12]}), "
                f"{system.artifact.path} answers {theirs['name']} ({theirs['sha256'][:12]}): "
                "only answers to the same items can be compared"
            )
        if system.scores.keys() != base.scores.keys():
            raise InputError(
                f"{name}: {system.artifact.path} scores other items than {base.artifact.path}: evaluate again"
            )
    return systems


def _read_system(directory: Path) -> System:
    artifact = Artifact.open(directory, kind="predictions")
    return System(
        name=str(artifact.manifest.config["name"]),
        artifact=artifact,
        rows=list(read_jsonl(artifact.file("benchmark.jsonl"), BenchmarkRow)),
        outputs={row.id: row for row in read_jsonl(artifact.file("predictions.jsonl"), PredictionRow)},
        scores={row.id: row for row in read_jsonl(artifact.file("scores.jsonl"), ScoreRow)},
    )


def _report_on(name: str, systems: Sequence[System], config: CompareConfig) -> ItemSetReport:
    base, *candidates = systems
    return ItemSetReport(
        name=name,
        systems=[_system_score(system) for system in systems],
        comparisons=[_comparison(base, candidate, config) for candidate in candidates],
    )


def _system_score(system: System) -> SystemScore:
    scored = [row.score for row in system.scores.values() if row.score is not None]
    categories = {
        category: [
            row.score for row in system.scores.values() if row.category == category and row.score is not None
        ]
        for category in dict.fromkeys(row.category for row in system.scores.values())
    }
    return SystemScore(
        name=system.name,
        items=len(system.scores),
        scored=len(scored),
        unscored=system.unscored,
        accuracy=wilson(sum(scored), len(scored)),
        by_category={category: wilson(sum(values), len(values)) for category, values in categories.items()},
    )


def _comparison(base: System, candidate: System, config: CompareConfig) -> Comparison:
    """Paired over the items both have a score for."""
    pairs = [
        (row.category, row.score, other.score)
        for id_, row in base.scores.items()
        if row.score is not None and (other := candidate.scores[id_]).score is not None
    ]
    ours, theirs = [pair[1] for pair in pairs], [float(pair[2] or 0) for pair in pairs]
    only_base = sum(b > c for b, c in zip(ours, theirs, strict=True))
    only_candidate = sum(c > b for b, c in zip(ours, theirs, strict=True))
    discordant = only_base + only_candidate
    difference = paired_bootstrap(ours, theirs, resamples=config.resamples, seed=config.seed)
    n = len(pairs)
    by_category = {}
    for category in dict.fromkeys(pair[0] for pair in pairs):
        members = [at for at, pair in enumerate(pairs) if pair[0] == category]
        interval = paired_score([ours[at] for at in members], [theirs[at] for at in members])
        by_category[category] = {"items": len(members), **interval.model_dump()}
    return Comparison(
        baseline=base.name,
        candidate=candidate.name,
        items=n,
        difference=difference,
        only_baseline=only_base,
        only_candidate=only_candidate,
        mcnemar_p=mcnemar_exact(only_base, only_candidate),
        minimum_detectable_effect=minimum_detectable_effect(n, max(discordant, MIN_DISCORDANT) / max(n, 1)),
        verdict=verdict(difference, discordant=discordant),
        by_category=by_category,
    )


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
    asked = {system.name: system.artifact.manifest.config.get("asked", {}) for system in systems}
    for key in sorted({key for settings in asked.values() for key in settings}):
        values = {system: settings.get(key) for system, settings in asked.items()}
        if len({repr(value) for value in values.values()}) > 1:
            told = "; ".join(f"{system}: {value!r}" for system, value in values.items())
            notes.append(f"{name}: the systems were not asked alike: {key} is {told}.")
    if len(candidates) > 1:
        notes.append(
            f"{name}: {len(candidates)} comparisons with {base.name}; each interval holds for itself, "
            "none is widened for their number."
        )
    return notes
