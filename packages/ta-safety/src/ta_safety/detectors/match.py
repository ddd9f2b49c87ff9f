"""What a detector found in a text."""

from typing import NamedTuple


class Match(NamedTuple):
    """`kind` names what it is, `start` and `end` where it stands, in characters."""

    kind: str
    start: int
    end: int
    reason: str
    score: float = 1.0


def masked(text: str, matches: list[Match]) -> str:
    """The text with every match replaced by `[KIND]`; overlapping matches become one."""
    out: list[str] = []
    at = 0
    for match in sorted(matches, key=lambda m: (m.start, -m.end)):
        if match.start >= at:
            out += [text[at : match.start], f"[{match.kind.upper().replace(' ', '_')}]"]
        at = max(at, match.end)
    return "".join([*out, text[at:]])
