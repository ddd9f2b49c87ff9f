"""Batches and streams over `Engine.submit`, alike for every engine: what the command line and ta-eval call."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from ta_schemas import InputError, SetupError, UserError
from ta_serve.completion import ChatMessage, Completion
from ta_serve.config import Settings
from ta_serve.engines.protocol import Deliver, Delta, Event, Failed, Finished, Request, Stats

AT_ONCE = 32
"""Conversations of a batch that are submitted at the same time."""

_MENDABLE = ("context_length_exceeded", "model_not_found", "invalid_request")


class ChatEngine:
    """An engine with the settings of its model. Subclasses give `submit` and the rest of the protocol."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.default_model = "base"
        """What `generate` and `stream` ask for."""

    def generate(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        *,
        max_tokens: int | None,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> list[Completion]:
        """Answer conversations as they are given (no system prompt is added), in the order given.

        `progress` hears how many answers have become ready. Raises InputError for a conversation that cannot be
        asked, SetupError where the engine cannot answer.
        """
        requests = [
            self._request(m, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop)
            for m in batch
        ]
        heard: SimpleQueue[tuple[int, Event]] = SimpleQueue()
        texts: list[list[str]] = [[] for _ in requests]
        ready: dict[int, Completion] = {}
        begun = 0
        try:
            while len(ready) < len(requests):
                while begun < min(len(ready) + AT_ONCE, len(requests)):
                    self.submit(requests[begun], _number(heard, begun))
                    begun += 1
                at, event = heard.get()
                if isinstance(event, Delta):
                    texts[at].append(event.text)
                else:
                    ready[at] = _completion(event, texts[at], where=f"conversation {at + 1}: ")
                    if progress:
                        progress(1)
        finally:
            for at in set(range(begun)) - ready.keys():
                self.cancel(requests[at].id)
        return [ready[at] for at in range(len(requests))]

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int | None,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """Answer one conversation piece by piece; a piece is whole characters. Closing it stops the work."""
        request = self._request(messages, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop)
        heard: SimpleQueue[Event] = SimpleQueue()
        self.submit(request, heard.put)
        try:
            while isinstance(event := heard.get(), Delta):
                yield event.text
            _completion(event, [], where="")
        finally:
            self.cancel(request.id)

    def with_settings(self, request: Request) -> Request:
        """The request with the stop strings that travel with the model."""
        return replace(request, stop=(*self.settings.generation.stop, *request.stop))

    def _request(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int | None,
        temperature: float,
        seed: int,
        stop: Sequence[str],
    ) -> Request:
        return Request(
            id=uuid.uuid4().hex,
            model=self.default_model,
            messages=list(messages),
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            stop=tuple(stop),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def models(self) -> list[str]:
        """See `protocol.Engine`."""
        raise NotImplementedError

    def submit(self, request: Request, deliver: Deliver) -> None:
        """See `protocol.Engine`."""
        raise NotImplementedError

    def cancel(self, request_id: str) -> None:
        """See `protocol.Engine`."""
        raise NotImplementedError

    def count_tokens(self, request: Request) -> int:
        """See `protocol.Engine`."""
        raise NotImplementedError

    def stats(self) -> Stats:
        """See `protocol.Engine`."""
        raise NotImplementedError

    def close(self) -> None:
        """See `protocol.Engine`."""
        raise NotImplementedError


def as_error(failed: Failed, where: str = "") -> UserError:
    """What to raise where a failure is not an event: InputError for what the caller can mend."""
    kind = InputError if failed.code in _MENDABLE else SetupError
    return kind(f"{where}{failed.message}")


def _number(heard: SimpleQueue[tuple[int, Event]], at: int) -> Deliver:
    return lambda event: heard.put((at, event))


def _completion(event: Event, texts: Sequence[str], *, where: str) -> Completion:
    if isinstance(event, Failed):
        raise as_error(event, where)
    if not isinstance(event, Finished) or event.reason == "cancelled":
        raise SetupError(f"{where}the answer was cancelled")
    return Completion("".join(texts), event.reason, event.usage.prompt_tokens, event.usage.completion_tokens)
