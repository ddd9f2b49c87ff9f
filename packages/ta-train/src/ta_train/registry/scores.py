"""Scores of an artifact, as an `eval-report` has them."""

from pathlib import Path
from typing import NamedTuple

from ta_schemas import Artifact, ArtifactError, InputError
from ta_schemas.manifest import MANIFEST_NAME
from ta_schemas.reports import EvalReport


class Score(NamedTuple):
    """How an artifact did on an item set."""

    report: str
    """Digest of the eval-report."""
    item_set: str
    items: int
    """Items that could be scored."""
    estimate: float
    """Share of right answers, with its 95 % interval."""
    low: float
    high: float


def read_scores(report_path: Path, digest: str, *, system: str = "") -> list[Score]:
    """What a report says of the artifact with this digest, item set by item set.

    Which of the report's systems it is follows from the predictions beside the report, whose manifests name
    the model that answered; `system` says it where they are gone. Raises InputError where neither tells,
    ArtifactError where both do and differ.
    """
    report = Artifact.open(report_path, kind="eval-report")
    content = EvalReport.model_validate_json(report.file("report.json").read_text(encoding="utf-8"))
    found = _systems_by_item_set(report, digest)
    if system and any(name != system for name in found.values()):
        proven = ", ".join(sorted(set(found.values())))
        raise ArtifactError(
            f"{report_path}: by the predictions beside it this artifact is {proven}, not {system}"
        )
    scores = []
    for items in content.item_sets:
        wanted = system or found.get(items.name)
        for one in items.systems:
            if one.name == wanted:
                accuracy = one.accuracy
                scores.append(
                    Score(report.digest, items.name, one.scored, accuracy.estimate, accuracy.low, accuracy.high)
                )
    if not scores:
        known = sorted({one.name for items in content.item_sets for one in items.systems})
        raise InputError(
            f"{report_path}: no predictions beside it were made by this artifact: say which of its systems "
            f"it is with --system ({', '.join(known)})"
        )
    return scores


def _systems_by_item_set(report: Artifact, digest: str) -> dict[str, str]:
    """Item set: the system that is this artifact. A report's parents are its predictions, set after set."""
    members = [
        (items, name) for items, names in report.manifest.config.get("item_sets", {}).items() for name in names
    ]
    predictions = [parent.digest for parent in report.manifest.parents]
    if len(members) != len(predictions):
        return {}
    ours = {
        predicted.digest
        for predicted in _predictions_below(report.path.absolute().parent)
        if digest in [parent.digest for parent in predicted.manifest.parents]
    }
    return dict(member for member, made in zip(members, predictions, strict=True) if made in ours)


def _predictions_below(folder: Path) -> list[Artifact]:
    found = []
    for file in sorted(folder.rglob(MANIFEST_NAME)):
        try:
            found.append(Artifact.open(file.parent, kind="predictions", verify=False))
        except ArtifactError:
            continue  # of another kind, or not ours to judge
    return found
