"""verify(): recompute every number of a report from the sealed predictions it was made from."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ta_eval.benchmark import read_benchmark
from ta_eval.compare import build_report, read_item_sets
from ta_eval.config import CompareConfig
from ta_eval.files import sha256_of
from ta_eval.journal import request_key
from ta_eval.predictions import rescored, summarise
from ta_eval.report.render import render
from ta_schemas import Artifact, InputError, read_jsonl
from ta_schemas.errors import ArtifactError
from ta_schemas.manifest import MANIFEST_NAME
from ta_schemas.rows import PredictionRow, ScoreRow

SHOWN = 5
"""Differences told of each part."""


class Part(NamedTuple):
    """One thing that was recomputed."""

    name: str
    values: int
    """Numbers and scores that were compared."""
    differences: list[str]
    """`place: in the report, recomputed`."""
    left_out: str = ""
    """What could not be recomputed here, and why."""


def verify(report: Path, folders: Sequence[Path] = (), *, domain: Path | None = None) -> list[Part]:
    """Score the sealed answers again, and from the scores make the report again; what differs is told.

    The predictions are found below `folders` (the report's parent unless given) by the digests that stand in
    the report's manifest. Raises ArtifactError for an artifact that was changed, InputError where a side is
    not to be found.
    """
    artifact = Artifact.open(report, kind="eval-report")
    settings = artifact.manifest.config
    if "item_sets" not in settings:
        raise InputError(f"{report}: is no report of ta-eval compare")
    item_sets = _find(artifact, [Path(folder) for folder in folders] or [report.resolve().parent])
    artifacts = {path for paths in item_sets.values() for path in paths if path.is_dir()}
    parts = [part for path in sorted(artifacts) for part in _predictions(path, domain)]
    return [*parts, *_report(artifact, item_sets)]


def _find(artifact: Artifact, folders: Sequence[Path]) -> dict[str, list[Path]]:
    """The sides of every item set, in the report's order."""
    settings = artifact.manifest.config
    wanted = iter(artifact.manifest.parents)
    known = {
        found.digest: found.path
        for folder in folders
        for manifest in sorted(folder.rglob(MANIFEST_NAME))
        if (found := _opened(manifest.parent)) and found.manifest.kind == "predictions"
    }
    places: dict[str, list[Path]] = {}
    for item_set, names in settings["item_sets"].items():
        for name in names:
            digest = settings["score_files"].get(name) or next(wanted).digest
            path = known.get(digest) or _score_file(name, digest, folders)
            if path is None:
                told = ", ".join(map(str, folders))
                raise InputError(
                    f"{item_set}: {name} ({digest}) is not below {told}: name its folder with --in"
                )
            places.setdefault(item_set, []).append(path)
    return places


def _opened(folder: Path) -> Artifact | None:
    try:
        return Artifact.open(folder, verify=False)
    except ArtifactError:  # somebody else's manifest.json
        return None


def _score_file(name: str, digest: str, folders: Sequence[Path]) -> Path | None:
    files = (file for folder in folders for file in sorted(folder.rglob(f"{name}.*")) if file.is_file())
    return next((file for file in files if sha256_of(file) == digest), None)


def _predictions(path: Path, domain: Path | None) -> Iterator[Part]:
    """Scores and summary of one side."""
    artifact = Artifact.open(path, kind="predictions")
    items = read_benchmark(artifact.file("benchmark.jsonl"), domain=domain)
    answers = list(read_jsonl(artifact.file("predictions.jsonl"), PredictionRow))
    kept = list(read_jsonl(artifact.file("scores.jsonl"), ScoreRow))
    again = rescored(items, answers)
    unscored = [
        new.id for old, new in zip(kept, again, strict=True) if new.score is None and old.score is not None
    ]
    told = [
        f"{old.id}: {old.score}, {new.score} ({new.reason})"
        for old, new in zip(kept, again, strict=True)
        if old.score != new.score and new.id not in unscored
    ]
    reason = next((new.reason for new in again if new.id in unscored), "")
    left_out = f"{len(unscored)} items have no score on this machine: {reason}" if unscored else ""
    yield Part(f"{path}: scores", len(kept) - len(unscored), told, left_out)
    sealed_summary = json.loads(artifact.file("summary.json").read_text(encoding="utf-8"))
    yield _compared(f"{path}: summary", sealed_summary, summarise(sealed_summary["name"], kept, answers))


def _report(artifact: Artifact, item_sets: Mapping[str, Sequence[Path]]) -> Iterator[Part]:
    """The report's numbers from the scores, and its pages from its numbers."""
    settings = artifact.manifest.config
    config = CompareConfig(**{name: settings[name] for name in CompareConfig.model_fields if name in settings})
    found = json.loads(artifact.file("report.json").read_text(encoding="utf-8"))
    opinions = {"judges": found["judges"], "people": found["people"]}
    report = build_report(config, read_item_sets(config, item_sets), opinions)
    yield _compared(f"{artifact.path}: report.json", found, report.model_dump(mode="json"))
    for kind in ("md", "html"):
        page = artifact.file(f"report.{kind}").read_text(encoding="utf-8")
        told = [] if page == render(report, kind) else [f"report.{kind}: is not what report.json renders to"]
        yield Part(f"{artifact.path}: report.{kind}", 1, told)
    if settings["opinions"]:
        told = [] if request_key(**opinions) == settings["opinions"] else ["judges or people: changed"]
        left_out = "judge and votes: taken over from their own sealed reports"
        yield Part(f"{artifact.path}: judge and votes", 1, told, left_out)


def _compared(name: str, found: Any, again: Any) -> Part:
    left, right = dict(_leaves(found)), dict(_leaves(json.loads(json.dumps(again))))
    differences = [
        f"{place}: {left.get(place)!r}, {right.get(place)!r}"
        for place in {**left, **right}
        if not _same(left.get(place), right.get(place))
    ]
    return Part(name, sum(isinstance(value, int | float) for value in left.values()), differences)


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list) and value:
        for at, child in enumerate(value):
            yield from _leaves(child, f"{place}[{at}]")
    else:
        yield place, value


def _same(one: Any, other: Any) -> bool:
    """Equal; numbers up to what another release of numpy may round otherwise."""
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return type(one) is type(other) and one == other
