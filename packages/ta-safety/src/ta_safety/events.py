"""What a rail says of a text."""

from typing import Any, Literal, NamedTuple

Action = Literal["allow", "warn", "mask", "block"]
ACTIONS: tuple[Action, ...] = ("allow", "warn", "mask", "block")
"""From harmless to worst."""

Stage = Literal["input", "output", "document"]


class RailEvent(NamedTuple):
    """One rail's verdict on one text."""

    rail: str
    stage: Stage
    action: Action
    score: float = 0.0
    """0 harmless to 1 certain."""
    threshold: float = 1.0
    """From which score the rail acts."""
    reason: str = ""
    """One sentence for the person who is told."""
    span: tuple[int, int] = (0, 0)
    """Start and end in the text, in characters; (0, 0) for the whole text."""
    ms: float = 0.0
    """Wall time of the rail."""
    rule: str = ""
    """What exactly was found, such as `delete-root` or `github token`."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self._asdict(),
            "span": list(self.span),
            "score": round(self.score, 4),
            "ms": round(self.ms, 3),
        }


def worst(events: list[RailEvent]) -> Action:
    """The strongest action of all; `allow` without any."""
    return max((event.action for event in events), key=ACTIONS.index, default="allow")
