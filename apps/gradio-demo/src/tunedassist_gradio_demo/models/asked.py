"""One question under way: its text as it comes, how to stop it, how it ended."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from ta_serve.completion import ChatMessage
from ta_serve.config import Generation
from ta_serve.engines.chat_engine import as_error
from ta_serve.engines.protocol import Delta, Event, Failed, Finished, Request


@dataclass
class Asked:
    """Iterate for the pieces of the answer. Raises UserError where the engine cannot answer."""

    engine: Any
    """A `ta_serve` engine: the protocol's `submit` and `cancel` are used."""
    request: Request
    reason: str = ""
    """At the end: `stop`, `length` or `cancelled`."""
    completion_tokens: int = 0

    def __iter__(self) -> Iterator[str]:
        heard: SimpleQueue[Event] = SimpleQueue()
        self.engine.submit(self.request, heard.put)
        try:
            while isinstance(event := heard.get(), Delta):
                yield event.text
            if isinstance(event, Failed):
                raise as_error(event)
            if isinstance(event, Finished):
                self.reason, self.completion_tokens = event.reason, event.usage.completion_tokens
        finally:
            self.engine.cancel(self.request.id)

    def stop(self) -> None:
        """End the answer; what was said of it stays."""
        self.engine.cancel(self.request.id)


def request_of(messages: list[ChatMessage], model: str, generation: Generation | None) -> Request:
    """The request for an answer; without `generation` the server's own settings hold."""
    if generation is None:
        return Request(id=uuid.uuid4().hex, model=model, messages=messages)
    return Request(
        id=uuid.uuid4().hex,
        model=model,
        messages=messages,
        max_tokens=generation.max_tokens,
        temperature=generation.temperature,
    )
