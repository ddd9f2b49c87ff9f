"""A dataset made from an earlier one: its files carried over, its rows changed, its parent named."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from ta_data.split import SPLITS
from ta_schemas.artifact import Artifact, ArtifactWriter
from ta_schemas.jsonl import read_jsonl, write_jsonl
from ta_schemas.rows import ConversationRow, Split

Splits = dict[Split, list[ConversationRow]]
TOMBSTONES = "tombstones.jsonl"


def read_splits(dataset: Artifact) -> Splits:
    """The rows of a dataset."""
    return {name: list(read_jsonl(dataset.file(f"{name}.jsonl"), ConversationRow)) for name in SPLITS}


def old_splits(dataset: Path) -> dict[str, Split]:
    """The split of every row of an earlier dataset."""
    artifact = Artifact.open(dataset, kind="dataset")
    return {
        row.id: name for name in SPLITS for row in read_jsonl(artifact.file(f"{name}.jsonl"), ConversationRow)
    }


def digest_of(splits: Mapping[str, Split]) -> str | None:
    """Of which row is where; None where there is none."""
    return hashlib.sha256(repr(sorted(splits.items())).encode()).hexdigest() if splits else None


def write_version(
    old: Artifact,
    splits: Mapping[Split, Sequence[ConversationRow]],
    out: Path,
    *,
    change: dict[str, Any],
    files: Mapping[str, list[dict[str, Any]]],
    replace: bool = False,
) -> Artifact:
    """Seal a new version at `out`. `files` are further JSONL files; the old card's text is not carried over."""
    config = {**old.manifest.config, "change": change}
    producer = f"ta-data {version('ta-data')}"
    with ArtifactWriter(
        out, kind="dataset", producer=producer, config=config, parents=[old.as_parent], replace=replace
    ) as writer:
        for name in SPLITS:
            write_jsonl(writer.path / f"{name}.jsonl", splits[name])
        for file, lines in files.items():
            content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
            (writer.path / file).write_bytes(content)
        writer.metrics["rows"] = {name: len(splits[name]) for name in SPLITS}
        writer.metrics["change"] = change
    return Artifact.open(out, kind="dataset", verify=False)


def lines_of(dataset: Artifact, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file of a dataset; none where it has no such file."""
    if any(entry.path == name for entry in dataset.manifest.files):
        for line in dataset.file(name).read_bytes().splitlines():
            yield msgspec.json.decode(line)
