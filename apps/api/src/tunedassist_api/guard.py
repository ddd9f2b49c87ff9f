"""Where rails stand: before the engine and after it. `safety.py` puts ta-safety's there; with `--guard off`
everything passes, and /readyz says so."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from ta_serve.completion import ChatMessage


@dataclass(frozen=True)
class RailEvent:
    """What one rail made of one text."""

    rail: str
    stage: Literal["input", "document", "output"]
    action: Literal["allow", "warn", "mask", "block"]
    milliseconds: float
    score: float | None = None
    threshold: float | None = None
    """From which score the rail acts."""
    reason: str = ""
    span: tuple[int, int] = (0, 0)
    """Characters of the text; (0, 0): the whole of it."""


class Verdict(NamedTuple):
    """What the rails decided."""

    text: str
    """Input: the last user message as it may go on. Output: what may be shown. Document: what the model may
    read. Blocked: the refusal."""
    blocked: bool = False
    events: tuple[RailEvent, ...] = ()


class StreamFilter(Protocol):
    """The output rails over one answer while it comes; may hold text back."""

    def feed(self, text: str) -> Verdict:
        """More of the answer in, what may go out now; after a blocked verdict it is not called again."""
        ...

    def finish(self) -> Verdict:
        """The rest of what was held back."""
        ...


class Guard(Protocol):
    """The rails of an assistant. Calls come from worker threads, several at once; an exception refuses the
    request (status 503): what could not be checked is not shown."""

    name: str

    def check_input(self, messages: list[ChatMessage]) -> Verdict:
        """Before the engine sees the conversation."""
        ...

    def check_document(self, text: str) -> Verdict:
        """A tool's result or a retrieved passage, before the engine sees it."""
        ...

    def check_output(self, messages: list[ChatMessage], text: str) -> Verdict:
        """A whole answer, before anybody sees it."""
        ...

    def stream(self, messages: list[ChatMessage]) -> StreamFilter:
        """A filter for one streamed answer."""
        ...
