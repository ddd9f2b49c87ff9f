"""What an answer looks like on the wire, whole or in chunks."""

import time
import uuid
from typing import Any

from ta_serve.engines.protocol import Usage


class Shape:
    """One answer's envelope; a subclass gives the choices."""

    id_prefix: str
    whole_object: str
    chunk_object: str

    def __init__(self, model: str, *, with_usage: bool = False) -> None:
        self.id = f"{self.id_prefix}{uuid.uuid4().hex}"
        self.model, self.created, self.with_usage = model, int(time.time()), with_usage

    def choice(self, text: str, finish_reason: str) -> dict[str, Any]:
        """A whole answer."""
        raise NotImplementedError

    def opening(self) -> dict[str, Any] | None:
        """The choice of a stream's first chunk, where it has one without text."""
        return None

    def piece(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        """The choice of a chunk: more text, or the end."""
        raise NotImplementedError

    def whole(self, text: str, finish_reason: str, usage: Usage) -> dict[str, Any]:
        """The answer in one piece."""
        return {
            **self._head(self.whole_object),
            "choices": [self.choice(text, finish_reason)],
            "usage": usage_body(usage),
        }

    def chunk(self, choice: dict[str, Any]) -> dict[str, Any]:
        """A chunk; where usage was asked for, each has the field (OpenAI's specification)."""
        body = {**self._head(self.chunk_object), "choices": [choice]}
        return {**body, "usage": None} if self.with_usage else body

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        """The last chunk of a stream with usage: no choices."""
        return {**self._head(self.chunk_object), "choices": [], "usage": usage_body(usage)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage_body(usage: Usage) -> dict[str, Any]:
    """Token counts in OpenAI's words."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
