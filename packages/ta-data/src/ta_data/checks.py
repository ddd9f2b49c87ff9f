"""Row checks: each answers "keep" (None) or the reason to drop the row."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from ta_data.groups import digest
from ta_schemas.rows import ConversationRow, Row

ROLES = ("system", "user", "assistant")


class Record(NamedTuple):
    """A conversation and where it was read: `raw/files.md:12`, relative to the domain."""

    where: str
    row: ConversationRow


class Bad(NamedTuple):
    """What could not be kept: where it stands, a short reason to be counted, and what exactly is wrong."""

    where: str
    reason: str
    detail: str
    id: str = ""


class DropRow(Row, kw_only=True, omit_defaults=True):
    """A line of `dropped.jsonl`."""

    id: str
    reason: str
    source: str
    detail: str = ""


class Checker:
    """Checks rows one after the other, and remembers them to find duplicates: 200 bytes a row."""

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}
        self._conversations: dict[int, str] = {}

    def fault(self, record: Record) -> Bad | None:
        """The first fault of the row, or None; only a kept row is remembered."""
        where, row = record
        turns = tuple((m.role, m.content.strip()) for m in row.messages)
        for reason, detail in _faults(turns):
            return Bad(where, reason, detail, row.id)
        named, said = digest(row.id), digest("\0".join(f"{role}\0{content}" for role, content in turns))
        if named in self._ids:
            return Bad(where, "duplicate id", f"id {row.id!r} is used already at {self._ids[named]}", row.id)
        if said in self._conversations:
            what = f"the same conversation stands at {self._conversations[said]}"
            return Bad(where, "duplicate conversation", what, row.id)
        self._ids[named] = self._conversations[said] = where
        return None


def _faults(turns: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
    for i, (role, content) in enumerate(turns):
        if role not in ROLES:
            yield "wrong role", f"messages[{i}]: role {role!r} is none of {', '.join(ROLES)}"
        elif role == "system" and i > 0:
            yield "wrong role", f"messages[{i}]: a system message may only come first"
        if not content:
            what = "answer" if role == "assistant" else "message"
            yield f"empty {what}", f"messages[{i}]: the {role}'s text is empty"
    spoken = [role for role, _ in turns if role != "system"]
    if not spoken or spoken[0] != "user":
        yield "not starting with user", "the first message (after the system prompt) is not the user's"
    for before, after in pairwise(spoken):
        if before == after:
            plural = {"user": "two users in a row", "assistant": "two answers in a row"}
            yield plural.get(after, "wrong role"), f"two messages of the {after} follow one another"
    if spoken and spoken[-1] != "assistant":
        yield "last turn not assistant", "the last message is not the assistant's: there is nothing to learn"
