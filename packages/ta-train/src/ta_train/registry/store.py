"""The SQLite file behind the registry: its tables, its migrations, its transactions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ta_schemas import ArtifactError, InputError, SetupError

APPLICATION_ID = 0x54415231
"""`PRAGMA application_id`: tells this file from any other SQLite file."""

WAIT_S = 30.0
"""How long a writer waits for another one; a write takes milliseconds."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # path: relative to the registry's folder for what lies below it, so that the folder can move
        """CREATE TABLE artifacts (
            digest TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            path TEXT NOT NULL,
            added_at TEXT NOT NULL,
            manifest TEXT NOT NULL
        ) STRICT""",
        # parent: a digest that need not be in `artifacts`
        """CREATE TABLE parents (
            child TEXT NOT NULL REFERENCES artifacts (digest) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            kind TEXT NOT NULL,
            parent TEXT NOT NULL,
            PRIMARY KEY (child, position)
        ) STRICT""",
        "CREATE INDEX parents_by_parent ON parents (parent)",
        """CREATE TABLE aliases (
            alias TEXT PRIMARY KEY,
            digest TEXT NOT NULL REFERENCES artifacts (digest)
        ) STRICT""",
        """CREATE TABLE scores (
            digest TEXT NOT NULL REFERENCES artifacts (digest) ON DELETE CASCADE,
            report TEXT NOT NULL,
            item_set TEXT NOT NULL,
            items INTEGER NOT NULL,
            estimate REAL NOT NULL,
            low REAL NOT NULL,
            high REAL NOT NULL,
            PRIMARY KEY (digest, report, item_set)
        ) STRICT""",
    ),
)
"""`MIGRATIONS[n]` brings a file from version n to n + 1. Append-only: a released one is never edited."""


def existing(file: Path) -> Path:
    """The file itself. Raises InputError where there is none: reading makes no empty registry."""
    if not file.exists():
        raise InputError(
            f"{file}: no registry: `ta-train registry add ARTIFACT` starts one, --registry names it"
        )
    return file


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection]:
    """One view of a registry that exists, whatever is written meanwhile."""
    with _connected(existing(file)) as connection:
        connection.execute("BEGIN")
        yield connection


@contextmanager
def writing(file: Path) -> Iterator[sqlite3.Connection]:
    """One transaction that no other writer overlaps: all of it happens, or nothing. Makes the file if needed.

    Raises SetupError where another process holds it for longer than WAIT_S, or it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with _connected(file) as connection:
        # Immediate: what was read inside cannot change before it is written.
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")


@contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    connection = None
    try:
        connection = sqlite3.connect(file, timeout=WAIT_S, isolation_level=None)
        connection.row_factory = sqlite3.Row
        _migrate(connection, file)
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
    except sqlite3.OperationalError as error:
        raise SetupError(
            f"{file}: {error}: is another process using it, and may this one write there?"
        ) from None
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # a bug of ours
            raise
        raise ArtifactError(f"{file}: {error}: not a registry, or damaged: name another --registry") from None
    finally:
        if connection:
            connection.close()  # what was not committed is rolled back


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    connection.execute("BEGIN")  # one view: another writer may be making the tables just now
    version = _version(connection, file)
    connection.execute("COMMIT")
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    for statements in MIGRATIONS[_version(connection, file) :]:  # again: another writer may have been first
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, file: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (version or tables):
        raise ArtifactError(f"{file}: an SQLite file of another program: name another --registry")
    if version > len(MIGRATIONS):
        raise ArtifactError(
            f"{file}: version {version} is newer than {len(MIGRATIONS)}, the newest this ta-train reads: "
            "upgrade ta-train"
        )
    return int(version)
