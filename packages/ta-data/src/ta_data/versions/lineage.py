"""`ta-data explain` and `ta-data forget`: where a row came from, and what came of a document."""

import re
from collections import deque
from pathlib import Path
from typing import Any

from ta_data.places import file_of
from ta_data.versions.version import TOMBSTONES, Splits, lines_of, read_splits, write_version
from ta_schemas.artifact import Artifact
from ta_schemas.errors import ArtifactError, InputError
from ta_schemas.manifest import MANIFEST_NAME
from ta_schemas.rows import ConversationRow

PLACEHOLDER = re.compile(r"<[A-Z]+(?:-[A-Z]+)*-\d+>")


def explain(dataset: Artifact, row_id: str) -> dict[str, Any]:
    """Where a row came from and what each step did to it, or why it was dropped. Raises InputError."""
    splits = read_splits(dataset)
    for name, rows in splits.items():
        for row in rows:
            if row.id == row_id:
                return _account(dataset, splits, name, row)
    for line in lines_of(dataset, "dropped.jsonl"):
        if line["id"] == row_id or line["source"] == row_id:
            return {
                "id": row_id,
                "outcome": "dropped",
                **{k: line[k] for k in ("reason", "source", "detail") if k in line},
            }
    for line in lines_of(dataset, TOMBSTONES):
        if row_id in line["rows"]:
            return {"id": row_id, "outcome": "forgotten", "source": line["source"]}
    raise InputError(f"{dataset.path}: no row {row_id!r}, kept or dropped")


def _account(dataset: Artifact, splits: Splits, split: str, row: ConversationRow) -> dict[str, Any]:
    text = "\n".join(message.content for message in row.messages)
    file = file_of(row.source)
    digests = {entry["path"]: entry["sha256"] for entry in dataset.manifest.config.get("inputs", [])}
    steps = ["read" if not row.synthetic else f"written by {row.synthetic.get('teacher')}"]
    if row.extra.get("document"):
        steps.append(f"question found in the document {row.extra['document']}")
    if masked := PLACEHOLDER.findall(text):
        steps.append(f"masked: {', '.join(sorted(set(masked)))}")
    twins = [
        line["id"] for line in lines_of(dataset, "dropped.jsonl") if line.get("detail") == f"resembles {row.id}"
    ]
    if twins:
        steps.append(f"kept before near-duplicates: {', '.join(twins)}")
    steps.append(f"dealt to {split}")
    made = [other.id for rows in splits.values() for other in rows if other.synthetic.get("of") == row.id]
    return {
        "id": row.id,
        "outcome": split,
        "source": row.source,
        "file_sha256": digests.get(file) or digests.get(file.partition("!/")[0]),
        "license": row.license or dataset.manifest.config.get("license", ""),
        "synthetic": row.synthetic,
        "steps": steps,
        "made_from_it": made,
        "dataset": dataset.digest,
    }


def forget(
    dataset: Artifact, source: str, out: Path, *, runs: Path | None, replace: bool = False
) -> dict[str, Any]:
    """Write a version without a document and what was made from it; name what descends from the old version.

    A tombstone with the source and the ids of the rows is kept, without their texts. Raises InputError where
    nothing comes from `source`.
    """
    splits = read_splits(dataset)
    gone: set[str] = set()
    rows = [row for members in splits.values() for row in members]
    while True:  # what was made from a forgotten row goes too, and what was made from that
        more = {row.id for row in rows if row.id not in gone and _descends(row, source, gone)}
        if not more:
            break
        gone |= more
    dropped = list(lines_of(dataset, "dropped.jsonl"))
    left = [line for line in dropped if not _within(str(line.get("source", "")), source)]
    if not gone and len(left) == len(dropped):
        raise InputError(f"{dataset.path}: nothing in it comes from {source!r}")
    kept: Splits = {name: [row for row in members if row.id not in gone] for name, members in splits.items()}
    tombstone = {"source": source, "rows": sorted(gone), "dataset": dataset.digest}
    artifact = write_version(
        dataset,
        kept,
        out,
        change={"forgot": source, "rows": len(gone)},
        files={TOMBSTONES: [*lines_of(dataset, TOMBSTONES), tombstone], "dropped.jsonl": left},
        replace=replace,
    )
    return {
        "path": str(out),
        "digest": artifact.digest,
        "rows": sorted(gone),
        "dropped_rows": len(dropped) - len(left),
        "descend_from_the_old_version": descendants(dataset, runs) if runs else [],
    }


def descendants(dataset: Artifact, runs: Path) -> list[dict[str, str]]:
    """Every artifact below `runs` that was made from the dataset, directly or in steps."""
    found: list[Artifact] = []
    for file in sorted(runs.rglob(MANIFEST_NAME)):
        try:
            found.append(Artifact.open(file.parent, verify=False))
        except ArtifactError:
            continue
    reached, waiting, out = {dataset.digest}, deque([dataset.digest]), []
    while waiting:
        parent = waiting.popleft()
        for artifact in found:
            if artifact.digest not in reached and any(p.digest == parent for p in artifact.manifest.parents):
                reached.add(artifact.digest)
                waiting.append(artifact.digest)
                out.append(
                    {"kind": artifact.manifest.kind, "path": str(artifact.path), "digest": artifact.digest}
                )
    return out


def _descends(row: ConversationRow, source: str, gone: set[str]) -> bool:
    made_from = (str(row.synthetic.get("of", "")), str(row.extra.get("document", "")), _origin(row))
    return _within(row.source, source) or any(
        name in gone or _within(name, source) for name in made_from if name
    )


def _origin(row: ConversationRow) -> str:
    """Where a row of a JSON lines file says that it came from before."""
    return str(row.extra.get("origin", ""))


def _within(place: str, source: str) -> bool:
    return place == source or place.startswith((f"{source}:", f"{source}#", f"{source}!/", f"{source}/"))
