"""Targets: what is asked. A callable in this process, or a server that speaks OpenAI chat completions.

CallableTarget("tuned", {"model": "sha256:…"}, engine.generate)
HttpTarget("base", "http://127.0.0.1:8080/v1", "smollm2")
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

Message = dict[str, str]


class Reply(NamedTuple):
    """An answer; `finish_reason` is `stop`, or `length` where max_tokens cut it off."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class Failure(NamedTuple):
    """An item that could not be answered: a short `reason` to count by, and the whole message."""

    reason: str
    message: str


OnReplies = Callable[[dict[int, Reply | Failure]], None]
"""Called with finished items, by their position in the list that was asked."""


class Target(Protocol):
    """What evaluate() asks. `identity` says which model answers; it goes into the manifest."""

    name: str
    identity: dict[str, Any]

    def ask(
        self, conversations: Sequence[list[Message]], done: OnReplies, *, max_tokens: int, temperature: float
    ) -> None:
        """Answer all, in any order, calling `done` as soon as some are finished."""
        ...


class CallableTarget:
    """A function in this process that answers batches, such as an engine's `generate`.

    `answer(batch, max_tokens=…, temperature=…)` returns, for each conversation of the batch, something with
    the four attributes of Reply. What it raises stops the run (the journal keeps the batches before).
    """

    def __init__(
        self,
        name: str,
        identity: dict[str, Any],
        answer: Callable[..., Sequence[Any]],
        batch_size: int = 32,
    ) -> None:
        self.name = name
        self.identity = identity
        self.answer = answer
        self.batch_size = batch_size

    def ask(
        self, conversations: Sequence[list[Message]], done: OnReplies, *, max_tokens: int, temperature: float
    ) -> None:
        """Batch after batch, in order."""
        for start in range(0, len(conversations), self.batch_size):
            batch = list(conversations[start : start + self.batch_size])
            answers = self.answer(batch, max_tokens=max_tokens, temperature=temperature)
            if len(answers) != len(batch):
                raise ValueError(f"target {self.name!r} gave {len(answers)} answers to {len(batch)} questions")
            done(
                {
                    start + i: Reply(a.text, a.finish_reason, a.prompt_tokens, a.completion_tokens)
                    for i, a in enumerate(answers)
                }
            )
