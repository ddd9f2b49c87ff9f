"""One request on its way: its tokens, how many of them are in the cache, when it ends."""

import time
from collections.abc import Sequence

from ta_serve.engines.llama_cpp.sampler import Sampler
from ta_serve.engines.llama_cpp.text import AnswerText
from ta_serve.engines.protocol import Request


class Answer:
    """A request that has been rendered and tokenized."""

    def __init__(
        self,
        request: Request,
        prompt: Sequence[int],
        *,
        adapter: str,
        most_tokens: int,
        stop_tokens: frozenset[int],
        stop: Sequence[str],
        grammar: str | None,
    ) -> None:
        self.request = request
        self.adapter = adapter
        self.grammar = grammar
        self.prompt_tokens = len(prompt)
        self.most_tokens = most_tokens
        """How many it may say: what was asked for, or what the context still holds."""
        self.stop_tokens = stop_tokens
        self.deadline = float("inf") if request.deadline_s is None else time.monotonic() + request.deadline_s
        self.text = AnswerText(stop)
        self.tokens = list(prompt)
        """Prompt and answer."""
        self.cached_tokens = -1
        """Prompt tokens that were computed already when it was first begun; -1 before."""
        self.sampler: Sampler | None = None
        self.sequence = -1
        """Its sequence in the cache; -1 while it waits."""
        self.cells: list[int] = []
        """Cache cells of the tokens that are computed."""

    @property
    def computed(self) -> int:
        """Tokens whose keys and values are in the cache."""
        return len(self.cells)

    @property
    def pending(self) -> int:
        """Tokens to compute before the next one can be picked; 1: it is talking, more: it is reading."""
        return len(self.tokens) - self.computed

    @property
    def said(self) -> int:
        """Tokens of the answer so far."""
        return len(self.tokens) - self.prompt_tokens
