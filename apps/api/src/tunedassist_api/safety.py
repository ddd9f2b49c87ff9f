"""ta-safety's guard before and after the model: what `--guard` puts in."""

from pathlib import Path

from ta_safety.events import RailEvent as SafetyEvent
from ta_safety.guard import Guard, Piece
from ta_safety.policy import load_domain
from ta_safety.stream import StreamGate
from ta_serve.completion import ChatMessage
from tunedassist_api.guard import RailEvent, Verdict


def load_guard(choice: str) -> "SafetyGuard | None":
    """`on`: the default policy; `off`: none; else a domain folder whose policy holds. Raises InputError."""
    if choice == "off":
        return None
    return SafetyGuard(None if choice == "on" else Path(choice))


class SafetyGuard:
    """The rails of a domain, or of the default policy. Holds no state between requests."""

    def __init__(self, domain: Path | None = None) -> None:
        policy = load_domain(domain) if domain else None
        self._guard = Guard(policy)
        self.name = f"ta-safety: {policy.name if policy else 'default policy'}"

    def check_input(self, messages: list[ChatMessage]) -> Verdict:
        """The user's last message, alone and with the few before. What is only warned of passes as it is."""
        said = [message["content"] for message in messages if message["role"] == "user"]
        question = said[-1] if said else ""
        verdict = self._guard.check_input(question, earlier=said[:-1])
        blocked = verdict.action == "block"
        text = verdict.text if blocked else messages[-1]["content"]
        return Verdict(text, blocked, _events(verdict.events))

    def check_document(self, text: str) -> Verdict:
        """Text that somebody else wrote: one that gives the model orders is blocked."""
        verdict = self._guard.check_document(text)
        return Verdict(verdict.text, verdict.action == "block", _events(verdict.events))

    def check_output(self, messages: list[ChatMessage], text: str) -> Verdict:
        """A whole answer."""
        verdict = self._guard.check_output(text, question=_question(messages))
        return Verdict(verdict.text, verdict.action == "block", _events(verdict.events))

    def stream(self, messages: list[ChatMessage]) -> "SafetyFilter":
        """Holds an answer back to the end of a line or of a code block."""
        return SafetyFilter(StreamGate(self._guard, _question(messages)))


class SafetyFilter:
    """One streamed answer."""

    def __init__(self, gate: StreamGate) -> None:
        self._gate = gate

    def feed(self, text: str) -> Verdict:
        """What may go out now."""
        return self._verdict(self._gate.feed(text))

    def finish(self) -> Verdict:
        """The rest, and what can only be said of the whole."""
        return self._verdict(self._gate.finish())

    def _verdict(self, pieces: list[Piece]) -> Verdict:
        events = [event for piece in pieces for event in piece.events]
        text = "".join(piece.text for piece in pieces)
        return Verdict(text, bool(self._gate.blocked_by), _events(events))


def _question(messages: list[ChatMessage]) -> str:
    return next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")


def _events(events: list[SafetyEvent]) -> tuple[RailEvent, ...]:
    return tuple(
        RailEvent(
            rail=event.rail,
            stage=event.stage,
            action=event.action,
            milliseconds=round(event.ms, 3),
            score=round(event.score, 4),
            threshold=event.threshold,
            reason=event.reason,
            span=event.span,
        )
        for event in events
    )
