"""The review list: a decision a row, in a CSV file that a spreadsheet opens, or asked for in the terminal.

Both write the same file, so that a review can be left and gone on with in either.
"""

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ta_schemas.errors import InputError
from ta_schemas.rows import ConversationRow, Message

COLUMNS = ("decision", "id", "why", "question", "answer")
FORMULA = ("=", "+", "-", "@")
KEYS = {"a": "accept", "r": "reject"}


class Decision(NamedTuple):
    """`accept`, `reject` or nothing yet, and the answer as it stands in the list."""

    word: str
    answer: str


UNDECIDED = Decision("", "")

Ask = Callable[[str], str]
"""Shows a text and gives the key that was pressed: a, r, e, s or q."""
Edit = Callable[[str], str]
"""Gives the text as somebody changed it."""


def write_list(file: Path, rows: list[ConversationRow], decisions: dict[str, Decision]) -> None:
    """A line a row; the file appears whole or not at all."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        decision = decisions.get(row.id, UNDECIDED)
        answer = decision.answer or row.messages[-1].content
        # A leading apostrophe keeps a spreadsheet from running a cell as a formula.
        cells = [f"'{text}" if text.startswith(FORMULA) else text for text in (_asked(row.messages), answer)]
        writer.writerow([decision.word, row.id, row.extra.get("feedback", ""), *cells])
    partial = file.with_name(f"{file.name}.partial-{os.getpid()}")
    partial.write_text(out.getvalue(), encoding="utf-8", newline="")
    partial.replace(file)


def read_list(file: Path) -> dict[str, Decision]:
    """Decision by row id. Raises InputError for a word that is neither accept nor reject."""
    decisions: dict[str, Decision] = {}
    with file.open(encoding="utf-8-sig", newline="") as stream:
        for number, line in enumerate(csv.DictReader(stream), start=2):
            word = (line.get("decision") or "").strip().lower()
            if word not in ("", "accept", "reject") or "id" not in line:
                raise InputError(f"{file}:{number}: decision: expected accept or reject, got {word!r}")
            answer = line.get("answer") or ""
            answer = answer[1:] if answer.startswith(tuple(f"'{sign}" for sign in FORMULA)) else answer
            decisions[line["id"]] = Decision(word, answer.replace("\r\n", "\n"))
    return decisions


def ask_all(file: Path, rows: list[ConversationRow], ask: Ask, edit: Edit) -> dict[str, Decision]:
    """Go through the undecided rows; every decision is on the disk before the next one is asked for."""
    decisions = read_list(file) if file.exists() else {}
    write_list(file, rows, decisions)
    waiting = [row for row in rows if not decisions.get(row.id, UNDECIDED).word]
    for number, row in enumerate(waiting, start=1):
        answer = decisions.get(row.id, UNDECIDED).answer or row.messages[-1].content
        while True:
            head = f"[{number}/{len(waiting)}] {row.id} ({row.extra.get('feedback', '')})"
            key = ask(f"{head}\n\n{_asked(row.messages)}\n\n--- answer ---\n{answer}\n")
            if key != "e":
                break
            answer = edit(answer).strip() or answer
        if key == "q":
            break
        if key in KEYS:
            decisions[row.id] = Decision(KEYS[key], answer)
            write_list(file, rows, decisions)
    return decisions


def _asked(messages: list[Message]) -> str:
    """What stands before the answer; with who said it, where there are several turns."""
    before = [message for message in messages[:-1] if message.role != "system"]
    if len(before) == 1:
        return before[0].content
    return "\n".join(f"{message.role}: {message.content}" for message in before)
