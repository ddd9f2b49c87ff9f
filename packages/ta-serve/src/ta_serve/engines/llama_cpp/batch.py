"""The tokens of one step, in the arrays that llama.cpp reads."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np


class Batch:
    """At most `size` tokens; each belongs to one sequence, and the wanted ones give logits."""

    def __init__(self, c: Any, size: int) -> None:
        self.size = size
        self.used = 0
        self.rows = 0
        """Tokens with logits; row n of the logits is the n-th of them."""
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._sequence = np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        ones = np.ones(size, np.int32)
        pointer = ctypes.POINTER(ctypes.c_int32)
        start = self._sequence.ctypes.data
        places = (pointer * size)(*[ctypes.cast(start + 4 * at, pointer) for at in range(size)])
        self.struct = c.llama_batch(
            token=self._token.ctypes.data_as(pointer),
            pos=self._position.ctypes.data_as(pointer),
            n_seq_id=ones.ctypes.data_as(pointer),
            seq_id=ctypes.cast(places, ctypes.POINTER(pointer)),
            logits=self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )
        self._alive = (ones, places)  # the struct holds addresses only

    def clear(self) -> None:
        """Begin a new step."""
        self.used = self.rows = 0

    @property
    def room(self) -> int:
        """Tokens that still fit."""
        return self.size - self.used

    def add(self, tokens: Sequence[int], *, sequence: int, position: int, wanted: bool) -> int:
        """Add a run of one sequence's tokens. `wanted`: the logits after its last; gives their row, else -1."""
        start, end = self.used, self.used + len(tokens)
        self._token[start:end] = tokens
        self._position[start:end] = np.arange(position, position + len(tokens))
        self._sequence[start:end] = sequence
        self._wanted[start:end] = 0
        self.used = self.struct.n_tokens = end
        if not wanted:
            return -1
        self._wanted[end - 1] = 1
        self.rows += 1
        return self.rows - 1

    def index(self, row: int) -> int:
        """Place in the batch of the token that gave this row."""
        return int(np.flatnonzero(self._wanted[: self.used])[row])
