"""The registry's verbs: add, alias, verify, remove; and what descends from what."""

import re
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ta_schemas import Artifact, ArtifactError, InputError
from ta_schemas.manifest import MANIFEST_NAME, now
from ta_train.registry import store
from ta_train.registry.entry import Entry, all_entries, find
from ta_train.registry.scores import read_scores

NAME = re.compile(r"[\w.][\w./=,+-]*")


class Ancestor(NamedTuple):
    """A parent, a parent's parent, and so on."""

    depth: int
    kind: str
    digest: str
    name: str
    """Its name here; empty where it was never added."""


class Verified(NamedTuple):
    """What re-hashing an entry found."""

    name: str
    problem: str
    """Empty: every byte is as it was sealed."""


class Registry:
    """Artifacts by name, in the SQLite file at `file`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.folder = file.absolute().parent

    def add(
        self,
        path: Path,
        *,
        name: str = "",
        otherwise: str = "",
        reports: Sequence[Path] = (),
        system: str = "",
        alias: str = "",
    ) -> Entry:
        """Add a sealed artifact, or what has become known of one that is there already.

        Its files are hashed first and its scores read from `reports`. Without `name` it keeps the one it has,
        or gets `otherwise`, or the last two parts of its path. Raises ArtifactError (tampered), InputError (a
        name that is taken, no such system).
        """
        artifact = Artifact.open(path)
        scores = [score for report in reports for score in read_scores(report, artifact.digest, system=system)]
        absolute = path.absolute()
        place = absolute.relative_to(self.folder) if absolute.is_relative_to(self.folder) else absolute
        with store.writing(self.file) as connection:
            known = connection.execute(
                "SELECT name FROM artifacts WHERE digest = ?", (artifact.digest,)
            ).fetchone()
            name = name or (known["name"] if known else otherwise or "/".join(absolute.parts[-2:]))
            self._refuse_taken(connection, name, artifact.digest)
            connection.execute(
                """INSERT INTO artifacts (digest, name, kind, path, added_at, manifest)
                VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (digest) DO UPDATE SET name = excluded.name, path = excluded.path""",
                (
                    artifact.digest,
                    name,
                    artifact.manifest.kind,
                    str(place),
                    now().isoformat(),
                    artifact.manifest.model_dump_json(),
                ),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO parents VALUES (?, ?, ?, ?)",
                [
                    (artifact.digest, at, parent.kind, parent.digest)
                    for at, parent in enumerate(artifact.manifest.parents)
                ],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(artifact.digest, *score) for score in scores],
            )
            if alias:
                self._point(connection, alias, artifact.digest)
            return find(connection, artifact.digest, self.folder)

    def entries(self) -> list[Entry]:
        """Everything that was added, the oldest first."""
        with store.reading(self.file) as connection:
            return all_entries(connection, self.folder)

    def find(self, ref: str) -> Entry:
        """By name, alias or digest. Raises InputError with the nearest known name."""
        with store.reading(self.file) as connection:
            return find(connection, ref, self.folder)

    def point(self, alias: str, ref: str) -> str:
        """Let an alias stand for an entry from now on; the name it stood for before, or ""."""
        with store.writing(store.existing(self.file)) as connection:
            return self._point(connection, alias, find(connection, ref, self.folder).digest)

    def drop_alias(self, alias: str) -> None:
        """Forget an alias. Raises InputError where there is none."""
        with store.writing(store.existing(self.file)) as connection:
            if not connection.execute("DELETE FROM aliases WHERE alias = ?", (alias,)).rowcount:
                raise InputError(f"{alias}: no such alias")

    def ancestors(self, entry: Entry) -> list[Ancestor]:
        """Parents and their parents, depth first, as far as they were added."""
        known = {other.digest: other for other in self.entries()}
        found = []

        def climb(child: Entry, depth: int) -> None:
            for parent in child.manifest.parents:
                there = known.get(parent.digest)
                found.append(Ancestor(depth, parent.kind, parent.digest, there.name if there else ""))
                if there:
                    climb(there, depth + 1)

        climb(entry, 1)
        return found

    def children(self, entry: Entry) -> list[str]:
        """The names of what was made from it directly."""
        with store.reading(self.file) as connection:
            return _children(connection, entry.digest)

    def verify(self, refs: Sequence[str] = ()) -> list[Verified]:
        """Hash the files of these entries again, or of all, and compare with what was added."""
        found = []
        for entry in [self.find(ref) for ref in refs] if refs else self.entries():
            problem = ""
            try:
                artifact = Artifact.open(entry.path)
                if artifact.digest != entry.digest:
                    problem = f"{entry.path}: another artifact stands there now ({artifact.digest[:19]})"
            except ArtifactError as error:
                problem = str(error)
            found.append(Verified(entry.name, problem))
        return found

    def remove(self, ref: str, *, delete_files: bool = False) -> Entry:
        """Forget an entry and, if told, delete its folder.

        Raises ArtifactError where something descends from it (registered, or, before files are deleted, below
        the registry's folder), where an alias points to it, or where another artifact stands at its place.
        """
        with store.writing(store.existing(self.file)) as connection:
            entry = find(connection, ref, self.folder)
            children = _children(connection, entry.digest)
            if delete_files:
                children += _children_below(self.folder, entry.digest)
            if children:
                raise ArtifactError(f"{entry.name}: {', '.join(children)} descends from it: remove that first")
            if entry.aliases:
                raise ArtifactError(
                    f"{entry.name} is {', '.join(entry.aliases)}: point the alias elsewhere first, or drop it"
                )
            delete_files = delete_files and entry.path.exists()
            if delete_files and Artifact.open(entry.path, verify=False).digest != entry.digest:
                raise ArtifactError(f"{entry.path}: another artifact stands there now: nothing was deleted")
            connection.execute("DELETE FROM artifacts WHERE digest = ?", (entry.digest,))
        if delete_files:
            shutil.rmtree(entry.path)
        return entry

    def _point(self, connection: sqlite3.Connection, alias: str, digest: str) -> str:
        if not NAME.fullmatch(alias):
            raise InputError(f"alias {alias!r}: use letters, digits and . _ - / = , +")
        if connection.execute("SELECT 1 FROM artifacts WHERE name = ?", (alias,)).fetchone():
            raise InputError(f"alias {alias}: is the name of an entry: choose another")
        before = connection.execute(
            "SELECT name FROM artifacts JOIN aliases USING (digest) WHERE alias = ?", (alias,)
        ).fetchone()
        connection.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (alias, digest))
        return str(before["name"]) if before else ""

    def _refuse_taken(self, connection: sqlite3.Connection, name: str, digest: str) -> None:
        if not NAME.fullmatch(name):
            raise InputError(f"name {name!r}: use letters, digits and . _ - / = , +")
        row = connection.execute(
            "SELECT digest FROM artifacts WHERE name = ? UNION SELECT digest FROM aliases WHERE alias = ?",
            (name, name),
        ).fetchone()
        if row and row["digest"] != digest:
            raise InputError(f"{name}: names another artifact ({row['digest'][:19]}): choose one with --name")


def _children(connection: sqlite3.Connection, digest: str) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT name FROM parents JOIN artifacts ON digest = child WHERE parent = ? ORDER BY name",
        (digest,),
    )
    return [name for (name,) in rows]


def _children_below(folder: Path, digest: str) -> list[str]:
    """Folders of artifacts, added or not, that were made from it."""
    found = []
    for file in sorted(folder.rglob(MANIFEST_NAME)):
        try:
            parents = Artifact.open(file.parent, verify=False).manifest.parents
        except ArtifactError:
            continue  # not an artifact that could be read: it is in nobody's lineage
        if digest in [parent.digest for parent in parents]:
            found.append(str(file.parent.relative_to(folder)))
    return found
