"""A question with its answer and what the rails made of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ta_safety.events import ACTIONS, Action, RailEvent
from ta_serve.completion import ChatMessage

State = Literal["asked", "answering", "done", "stopped", "blocked", "failed"]


@dataclass(frozen=True)
class Turn:
    """What is shown of a question; a new one for every step of its answer."""

    question: str
    model: str = ""
    state: State = "asked"
    answer: str = ""
    entered: tuple[RailEvent, ...] = ()
    """Of the question; spans in its characters."""
    left: tuple[RailEvent, ...] = ()
    """Of the answer; spans in the characters of `answer`, (0, 0) where it was masked."""
    blocked_by: str = ""
    note: str = ""
    """Why it failed."""
    received: int = 0
    """Characters of the answer so far; the rails have let `answer` pass of them."""
    seconds: float = 0.0
    tokens: int = 0

    @property
    def events(self) -> tuple[RailEvent, ...]:
        """Of both."""
        return (*self.entered, *self.left)

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.state in ("asked", "answering")


class RailLine(NamedTuple):
    """All that one rail did at one stage, over the parts of an answer."""

    rail: str
    stage: str
    action: Action
    score: float
    threshold: float
    ms: float
    checks: int
    reason: str


def rail_lines(events: Sequence[RailEvent]) -> list[RailLine]:
    """The rails by stage, what acted first; times are added up, the worst finding speaks."""
    groups: dict[tuple[str, str], list[RailEvent]] = {}
    for event in events:
        groups.setdefault((event.stage, event.rail), []).append(event)
    lines = []
    for (stage, rail), mine in groups.items():
        worst = max(mine, key=lambda e: (ACTIONS.index(e.action), e.score))
        said = worst.reason if worst.action != "allow" else ""
        ms = sum(e.ms for e in mine)
        lines.append(RailLine(rail, stage, worst.action, worst.score, worst.threshold, ms, len(mine), said))
    return sorted(lines, key=lambda line: -ACTIONS.index(line.action))


def messages_for(turns: Sequence[Turn], question: str) -> list[ChatMessage]:
    """What the model is asked: the answered turns, without questions that were blocked or failed."""
    said: list[ChatMessage] = []
    for turn in turns:
        if turn.answer and turn.state in ("done", "stopped"):
            said += [
                {"role": "user", "content": turn.question},
                {"role": "assistant", "content": turn.answer},
            ]
    return [*said, {"role": "user", "content": question}]
