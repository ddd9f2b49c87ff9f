"""The votes: a line each, on the disk before the next pair is shown; and which pair a rater gets next."""

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ta_schemas import InputError
from ta_schemas.manifest import now

if TYPE_CHECKING:
    from ta_eval.ab.bundle import Bundle, Pair

VOTES_NAME = "votes.jsonl"
Choice = Literal["left", "right", "tie", "both_bad"]
CHOICES: tuple[Choice, ...] = ("left", "right", "tie", "both_bad")
BETWEEN = 8
"""Votes between a pair and its repetition."""


class Vote(NamedTuple):
    """One rater on one pair."""

    pair: str
    rater: str
    choice: Choice
    seconds: float
    at: str


def read_votes(folder: Path) -> list[Vote]:
    """All votes in the order given; a line torn by a crash is passed over."""
    votes = []
    file = folder / VOTES_NAME
    for line in file.read_bytes().splitlines(keepends=True) if file.exists() else []:
        if line.endswith(b"\n"):
            try:
                votes.append(Vote(**json.loads(line)))
            except (ValueError, TypeError):
                continue
    return votes


def add_vote(folder: Path, pair: str, rater: str, choice: Choice, *, seconds: float) -> bool:
    """Append a vote and wait for the disk; False where this rater has voted on the pair already."""
    check_rater(rater)
    with (folder / VOTES_NAME).open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if any(vote.pair == pair and vote.rater == rater for vote in read_votes(folder)):
            return False
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":  # a torn line must not swallow this one
                file.write(b"\n")
        vote = Vote(pair, rater, choice, round(seconds, 1), now().isoformat())
        file.write(json.dumps(vote._asdict(), ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def check_rater(rater: str) -> None:
    """InputError unless it is a short name in one line."""
    if not 1 <= len(rater.strip()) <= 40 or not rater.isprintable() or rater != rater.strip():
        raise InputError(f"rater {rater!r}: expected a name of 1 to 40 characters")


def next_pair(bundle: "Bundle", votes: Sequence[Vote], rater: str) -> "Pair | None":
    """What this rater sees next, or None at the end.

    Everybody has an order of his own. A pair that has its votes from others is not asked again; a pair's
    repetition comes to the same rater, after eight others or at the end.
    """
    mine = [vote.pair for vote in votes if vote.rater == rater]
    given: dict[str, int] = {}
    for vote in votes:
        given[vote.pair] = given.get(vote.pair, 0) + 1
    repeats = [p for p in bundle.pairs.values() if p.repeat_of in mine and p.id not in mine]
    for pair in repeats:
        if len(mine) - mine.index(pair.repeat_of) > BETWEEN:
            return pair
    order = sorted(bundle.originals, key=lambda p: hashlib.sha256(f"{rater}\n{p.id}".encode()).digest())
    for pair in order:
        if pair.id not in mine and given.get(pair.id, 0) < bundle.votes_per_item:
            return pair
    return repeats[0] if repeats else None
