"""Sequences of the cache: what a new one can share with those that run, or take over from those that ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ta_serve.engines.llama_cpp.answer import Answer
from ta_serve.engines.llama_cpp.cells import Ledger
from ta_serve.engines.llama_cpp.model import Model, State

Tokens = npt.NDArray[np.int32]

MIN_SHARED = 16
"""Tokens worth a copy; fewer are computed as fast."""


MIN_SAVED = 64
"""New tokens worth saving; fewer are computed again in no time."""


@dataclass(eq=False)
class Saved:
    """A finished conversation: its tokens and its part of the cache, in memory."""

    tokens: Tokens
    adapter: str
    state: State


class KvCache:
    """Hands out sequences and cells.

    What has ended does not stay in the cache: each step would pay for it, an eighth more CPU time for
    1,024 cells. It's copied out, within `keep_bytes`, and copied in again where a new prompt begins like it: a
    next turn, or the same system prompt. A copy takes milliseconds where computing takes seconds.
    """

    def __init__(self, model: Model, *, sequences: int, keep_bytes: int) -> None:
        self._model = model
        self._ledger = Ledger(model.context_tokens)
        self._unused = list(range(sequences - 1, -1, -1))
        self._keep_bytes = keep_bytes if model.can_share else 0
        self._saved: list[Saved] = []

    @property
    def room(self) -> int:
        """Cells that are free."""
        return self._ledger.free

    def shareable(self, answer: Answer, running: Iterable[Answer]) -> tuple[int, int]:
        """How much of a prompt is computed, and how much will be once those who run have read theirs."""
        now = soon = 0
        if not self._model.can_share:
            return now, soon
        wanted = np.array(answer.tokens, np.int32)
        for saved in self._saved:
            if saved.adapter == answer.adapter:
                now = max(now, common(wanted, saved.tokens))
        for other in running:
            if other.adapter == answer.adapter:
                alike = common(wanted, np.array(other.tokens[: len(wanted)], np.int32))
                now = max(now, min(alike, other.computed))
                soon = max(soon, alike)
        most = len(wanted) - 1  # the last one must be computed: its logits pick the first token
        return min(now, most), min(max(soon, now), most)

    def begin(self, answer: Answer, running: Sequence[Answer]) -> None:
        """Give an answer a sequence, and in it what others have computed of its tokens."""
        answer.sequence = self._unused.pop()
        if self._model.can_share:
            wanted = np.array(answer.tokens[:-1], np.int32)
            shared, source = self._longest_running(wanted, answer, running)
            kept, saved = self._longest_saved(wanted, answer)
            taken = saved is not None and kept >= shared + MIN_SHARED and self._restore(answer, saved, kept)
            if not taken and source is not None and shared >= MIN_SHARED:
                answer.cells = source.cells[:shared]
                self._ledger.share(answer.cells)
                self._model.copy_sequence(source.sequence, answer.sequence, shared)
        if answer.cached_tokens < 0:
            answer.cached_tokens = answer.computed

    def _longest_running(
        self, wanted: Tokens, answer: Answer, running: Sequence[Answer]
    ) -> tuple[int, Answer | None]:
        best, source = 0, None
        for other in running:
            if other.adapter == answer.adapter and other.computed > best:
                alike = common(wanted, np.array(other.tokens[: other.computed], np.int32))
                if alike > best:
                    best, source = alike, other
        return best, source

    def _longest_saved(self, wanted: Tokens, answer: Answer) -> tuple[int, Saved | None]:
        fitting = [saved for saved in self._saved if saved.adapter == answer.adapter]
        best = max(fitting, key=lambda saved: common(wanted, saved.tokens), default=None)
        return (common(wanted, best.tokens), best) if best else (0, None)

    def _restore(self, answer: Answer, saved: Saved, length: int) -> bool:
        """Copy in the first `length` tokens; False where the whole of it has no room in between."""
        if len(saved.tokens) > self._ledger.free or not self._model.load_state(answer.sequence, saved.state):
            return False
        self._model.forget(answer.sequence, length)
        answer.cells = self._ledger.take(length)
        self._saved.remove(saved)
        self._saved.append(saved)  # used last
        return True

    def grow(self, answer: Answer, count: int) -> None:
        """Take cells for its next tokens; there must be `room`."""
        answer.cells += self._ledger.take(count)

    def end(self, answer: Answer) -> None:
        """It is finished: free its cells, and keep a copy for those that begin alike."""
        if self._keep_bytes:
            self._save(answer)
        self.drop(answer)

    def _save(self, answer: Answer) -> None:
        tokens = np.array(answer.tokens[: answer.computed], np.int32)
        if len(tokens) - self._longest_saved(tokens, answer)[0] < MIN_SAVED:
            return
        covered = [  # an earlier turn of it, or all of it
            saved
            for saved in self._saved
            if saved.adapter == answer.adapter and common(saved.tokens, tokens) == len(saved.tokens)
        ]
        self._saved = [saved for saved in self._saved if saved not in covered]
        self._saved.append(Saved(tokens, answer.adapter, self._model.save_state(answer.sequence)))
        while sum(saved.state.nbytes for saved in self._saved) > self._keep_bytes:
            del self._saved[0]

    def drop(self, answer: Answer) -> None:
        """Take an answer out of the cache."""
        self._model.forget(answer.sequence)
        self._unused.append(answer.sequence)
        self._ledger.release(answer.cells)
        answer.sequence, answer.cells = -1, []


def common(one: Tokens, other: Tokens) -> int:
    """How many tokens both begin with."""
    length = min(len(one), len(other))
    differ = one[:length] != other[:length]
    return int(differ.argmax()) if differ.any() else length
