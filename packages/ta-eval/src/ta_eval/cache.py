"""Answers that any run may take over: one SQLite file, shared by runs, also at the same time.

The key says everything that determines an answer: messages, model, address, longest answer, temperature. It is
used at temperature 0 only, where a second answer would be the same. Failures are never kept.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from ta_eval.target import Reply
from ta_schemas import InputError

MOST_VARIABLES = 500


class AnswerCache:
    """Replies by key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.path, timeout=30)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, text TEXT, finish_reason TEXT,"
                " prompt_tokens INTEGER, completion_tokens INTEGER) WITHOUT ROWID"
            )
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise InputError(f"{self.path}: no answer cache: {error}: name another --cache") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def find(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The replies there are for these keys."""
        found: dict[str, Reply] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), MOST_VARIABLES):
            part = wanted[start : start + MOST_VARIABLES]
            marks = ", ".join("?" * len(part))
            rows = self._db.execute(f"SELECT * FROM answers WHERE key IN ({marks})", part)
            found |= {key: Reply(*reply) for key, *reply in rows}
        return found

    def add(self, replies: dict[str, Reply]) -> None:
        """Keep replies; the journal, not this file, is what a killed run goes on from."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
                [(key, *reply) for key, reply in replies.items()],
            )
