"""What every engine does: requests in, events out, for any number of callers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from ta_serve.completion import ChatMessage

Reason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Request:
    """One answer that is wanted: `messages` for a chat, or `prompt` for a plain completion."""

    id: str
    model: str = "base"
    """A name of `Engine.models()`: `base`, or `base:adapter`."""
    messages: list[ChatMessage] | None = None
    prompt: str | None = None
    max_tokens: int | None = None
    """None: as many as the context still holds."""
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    """0: all tokens."""
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    """None: a fresh one; the same seed, request and build give the same answer whatever else is running."""
    stop: tuple[str, ...] = ()
    json_schema: dict[str, Any] | None = None
    """The answer is constrained to JSON of this schema; `{}` means any JSON object."""
    deadline_s: float | None = None
    """Seconds from submission after which the request fails with code `deadline`."""


class Usage(NamedTuple):
    """Tokens of a request."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Prompt tokens whose keys and values were there already."""


@dataclass(frozen=True)
class Delta:
    """More text: whole characters, never part of a stop string."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The last event of an answer."""

    reason: Reason
    usage: Usage


FailureCode = Literal[
    "context_length_exceeded",
    "model_not_found",
    "invalid_request",
    "overloaded",
    "deadline",
    "engine_died",
    "closed",
]


@dataclass(frozen=True)
class Failed:
    """The last event of a request that got no (whole) answer."""

    code: FailureCode
    message: str


Event = Delta | Finished | Failed
Deliver = Callable[[Event], None]
"""Called from the engine's thread; must not block and must not raise."""


@dataclass(frozen=True)
class Stats:
    """The engine at this moment; counters since it was opened."""

    ready: bool
    running: int
    waiting: int
    restarts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    context_tokens: int = 0
    """Tokens a request may have, prompt and answer together."""
    adapters: tuple[str, ...] = field(default=())


class Engine(Protocol):
    """Something that answers."""

    def models(self) -> list[str]:
        """Names for `Request.model`; the first is the default."""
        ...

    def submit(self, request: Request, deliver: Deliver) -> None:
        """Queue a request. What is wrong with it arrives as a Failed event; each request ends with exactly one
        Finished or Failed."""
        ...

    def cancel(self, request_id: str) -> None:
        """End a request at the next step; it finishes with reason `cancelled`. Unknown ids are ignored."""
        ...

    def count_tokens(self, request: Request) -> int:
        """Tokens of the rendered prompt."""
        ...

    def stats(self) -> Stats:
        """A snapshot; never waits for a decoding step."""
        ...

    def close(self) -> None:
        """Cancel what runs, free the model. Further requests fail with code `closed`."""
        ...
