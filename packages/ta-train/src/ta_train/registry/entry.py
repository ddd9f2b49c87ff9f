"""An artifact in the registry, and how it is found by name, alias or digest."""

import difflib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ta_schemas import InputError, Manifest
from ta_train.registry.scores import Score


@dataclass(frozen=True)
class Entry:
    """What the registry knows of an artifact."""

    name: str
    digest: str
    kind: str
    path: Path
    added_at: str
    manifest: Manifest
    """As it was when it was added."""
    aliases: list[str]
    scores: list[Score]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "digest": self.digest,
            "path": str(self.path),
            "aliases": self.aliases,
            "created_at": self.manifest.created_at.isoformat(),
            "added_at": self.added_at,
            "config": self.manifest.config,
            "metrics": self.manifest.metrics,
            "parents": [parent.model_dump() for parent in self.manifest.parents],
            "scores": [score._asdict() for score in self.scores],
        }


def all_entries(connection: sqlite3.Connection, folder: Path) -> list[Entry]:
    """Every entry, the oldest first; `folder` is where relative paths start."""
    rows = connection.execute("SELECT * FROM artifacts ORDER BY added_at, rowid").fetchall()
    return [_entry(connection, row, folder) for row in rows]


def find(connection: sqlite3.Connection, ref: str, folder: Path) -> Entry:
    """The entry of a name, an alias or a digest (the first six digits are enough).

    Raises InputError: unknown, with the nearest known; or a digest that fits several.
    """
    entries = all_entries(connection, folder)
    for entry in entries:
        if ref == entry.name or ref in entry.aliases:
            return entry
    digits = ref.removeprefix("sha256:")
    fitting = [entry for entry in entries if entry.digest.removeprefix("sha256:").startswith(digits)]
    if len(digits) >= 6 and len(fitting) == 1:
        return fitting[0]
    if len(digits) >= 6 and fitting:
        raise InputError(f"{ref}: fits {', '.join(entry.name for entry in fitting)}: give more digits")
    known = [name for entry in entries for name in (entry.name, *entry.aliases)]
    near = difflib.get_close_matches(ref, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'nothing yet'}"
    raise InputError(f"{ref}: no name, alias or digest of the registry: {hint}")


def _entry(connection: sqlite3.Connection, row: sqlite3.Row, folder: Path) -> Entry:
    digest = row["digest"]
    aliases = connection.execute("SELECT alias FROM aliases WHERE digest = ? ORDER BY alias", (digest,))
    scores = connection.execute(
        "SELECT report, item_set, items, estimate, low, high FROM scores WHERE digest = ? ORDER BY rowid",
        (digest,),
    )
    return Entry(
        name=row["name"],
        digest=digest,
        kind=row["kind"],
        path=folder / row["path"],
        added_at=row["added_at"],
        manifest=Manifest.model_validate_json(row["manifest"]),
        aliases=[alias for (alias,) in aliases],
        scores=[Score(*score) for score in scores],
    )
