"""Holding a streamed answer back until it can be judged: to the end of a line, or of a code block or key."""

from typing import TYPE_CHECKING

from ta_safety.detectors.secrets import PEM, PEM_END
from ta_safety.detectors.shell.answer import FENCE
from ta_safety.events import RailEvent
from ta_safety.guard import Piece
from ta_safety.rails.text import Asked

if TYPE_CHECKING:
    from ta_safety.guard import Guard


class StreamGate:
    """Takes chunks, gives pieces that were checked. Use one for each answer."""

    def __init__(self, guard: "Guard", question: str = "") -> None:
        self.guard = guard
        self.question = question
        self.blocked_by = ""
        self._held = ""
        self._released = ""

    def feed(self, chunk: str) -> list[Piece]:
        """The pieces that may pass now; after a block there are none any more."""
        if self.blocked_by:
            return []
        self._held += chunk
        if "\n" not in chunk:  # nothing can have become releasable
            return []
        end = safe_end(self._held)
        if end == 0:
            return []
        block, self._held = self._held[:end], self._held[end:]
        return [self._checked(block)]

    def finish(self, finish_reason: str = "stop") -> list[Piece]:
        """What is left, and the events that need the whole answer."""
        if self.blocked_by:
            return []
        last = self._checked(self._held) if self._held else Piece("", [])
        self._held = ""
        if self.blocked_by:
            return [last]
        events: list[RailEvent] = self.guard.check_whole(self._released, Asked(self.question, finish_reason))
        late = next((event.rail for event in events if event.action == "block"), "")
        self.blocked_by = late
        return [Piece(last.text, [*last.events, *events], late, "content_filter" if late else finish_reason)]

    def _checked(self, block: str) -> Piece:
        verdict = self.guard.check_block(block, Asked(self.question, before=self._released[-2_000:]))
        if verdict.action == "block":
            self.blocked_by = verdict.rail
            return Piece(verdict.text, verdict.events, verdict.rail, "content_filter")
        self._released += block
        return Piece(verdict.text, verdict.events)


def safe_end(text: str) -> int:
    """How much of `text` can be judged by itself: whole lines outside of open code blocks and private keys."""
    end = text.rfind("\n") + 1
    for fence in FENCE.finditer(text, 0, end):
        if fence.end() >= end and not fence["close"]:
            end = fence.start()
    for key in PEM.finditer(text, 0, end):
        if not PEM_END.search(key[0]):
            end = text.rfind("\n", 0, key.start()) + 1
    for fence in FENCE.finditer(text):  # a key that begins inside a closed block takes the block along
        if fence.start() < end < fence.end():
            end = fence.start()
    return end
