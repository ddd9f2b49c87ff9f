"""What the engine and its child process say to each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ta_serve.engines.protocol import Event, Failed, Request


@dataclass(frozen=True)
class Options:
    """How to load and run a model; the first message to the child."""

    model: Path
    adapters: dict[str, Path]
    """LoRA adapters as GGUF files, by name."""
    context_tokens: int
    """Cache cells, shared by all that runs; one request may use all of them. 0: the model's, at most 8192."""
    parallel: int
    """Answers computed at the same time."""
    threads: int
    batch_tokens: int
    """Most tokens computed in one step; what is being answered comes first, prompts fill it up."""
    keep_bytes: int
    """Memory for finished conversations, for their next turn and for those that begin alike."""


class Loaded(NamedTuple):
    """The model is there."""

    context_tokens: int
    chat: bool
    """Whether it has a chat template."""


class NotLoaded(NamedTuple):
    """It cannot be loaded; the child ends."""

    message: str


class Submit(NamedTuple):
    """Answer this."""

    request: Request


class Cancel(NamedTuple):
    """End a request."""

    request_id: str


class Count(NamedTuple):
    """How many tokens has the prompt? Answered by Counted with the same number."""

    number: int
    request: Request


class Counted(NamedTuple):
    """So many, or why not."""

    number: int
    result: int | Failed


class Counters(NamedTuple):
    """Where the child stands; the last three since it was started."""

    running: int = 0
    waiting: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Events(NamedTuple):
    """What a step brought, by request."""

    events: list[tuple[str, Event]]
    counters: Counters


ToChild = Options | Submit | Cancel | Count
FromChild = Loaded | NotLoaded | Counted | Events
