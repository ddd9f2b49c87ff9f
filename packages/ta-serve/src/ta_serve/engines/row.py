"""One conversation being answered: its tokens, its text so far, when it ends."""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from ta_serve.completion import Completion, FinishReason

REPLACEMENT = "\ufffd"
"""What a decoder puts where the bytes of a character are not complete yet."""


class Choice(NamedTuple):
    """What narrows the choice of the next token, besides the temperature."""

    top_p: float = 1.0
    top_k: int = 0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0


class Row:
    """Takes tokens one by one until a stop token, a stop string or the longest length."""

    def __init__(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        stop_ids: frozenset[int],
        stop: Sequence[str],
        decode: Callable[[list[int]], str],
        seed: int,
        choice: Choice = Choice(),
    ) -> None:
        self.prompt = list(prompt)
        self.tokens: list[int] = []
        self.finish_reason: FinishReason | None = None
        self.max_tokens = max_tokens
        self.choice = choice
        self._stop_ids = stop_ids
        self._stop = [text for text in stop if text]
        self._decode = decode
        self._cut: str | None = None
        # By conversation, not by place: the same answer whatever else is in the batch.
        self._random = Random(f"{seed}:{self.prompt}")

    def draw(self) -> float:
        """The next number in [0, 1) of this row's own sequence."""
        return self._random.random()

    def accept(self, token: int) -> None:
        """Add a token, and see whether the answer ends with it."""
        if token in self._stop_ids:
            self.finish_reason = "stop"
            return
        self.tokens.append(token)
        if self._stop:
            text = self._decode(self.tokens)
            found = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
            if found:
                self._cut, self.finish_reason = text[: min(found)], "stop"
                return
        if len(self.tokens) >= self.max_tokens:
            self.finish_reason = "length"

    def text(self) -> str:
        """All of the answer so far."""
        return self._decode(self.tokens) if self._cut is None else self._cut

    def settled_text(self) -> str:
        """What later tokens cannot change: no half character, nothing that may become a stop string."""
        text = self.text()
        if self.finish_reason:
            return text
        text = text.rstrip(REPLACEMENT)
        held = max((_overlap(text, stop) for stop in self._stop), default=0)
        return text[: len(text) - held]

    def completion(self) -> Completion:
        """The finished answer."""
        return Completion(self.text(), self.finish_reason or "length", len(self.prompt), len(self.tokens))


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` begin `stop`."""
    return next((n for n in range(min(len(stop), len(text)), 0, -1) if text.endswith(stop[:n])), 0)
