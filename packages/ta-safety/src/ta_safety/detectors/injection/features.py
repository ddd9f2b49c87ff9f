"""Hashed n-grams of characters and words, counted with numpy: a text of 2,000 characters in about 0.3 ms.

A window is WINDOW_WORDS words; a long text is scored window by window, so that one line in a page is not
drowned.
"""

import re
import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CHAR_BITS = 16
WORD_BITS = 16
SIZE = 2**CHAR_BITS + 2**WORD_BITS
"""Length of the feature vector."""

CHAR_GRAMS = (3, 4, 5)
WORD_GRAMS = (1, 2, 3)
WINDOW_WORDS = 96
MAX_WORDS = 6_000

_TOKEN = re.compile(r"\w+|[^\w\s]")


class Window(NamedTuple):
    """Feature numbers of one window, and where it stands in the text."""

    indices: npt.NDArray[np.int64]
    start: int
    end: int


def windows(text: str) -> list[Window]:
    """The windows of a text, each overlapping the one before by half. Empty text: none."""
    tokens = [(m[0], m.start(), m.end()) for m in _TOKEN.finditer(text.lower())][:MAX_WORDS]
    out = []
    for first in range(0, max(len(tokens), 1), WINDOW_WORDS // 2):
        part = tokens[first : first + WINDOW_WORDS]
        if part:
            out.append(Window(_indices([token for token, _, _ in part]), part[0][1], part[-1][2]))
        if first + WINDOW_WORDS >= len(tokens):
            break
    return out


def _indices(tokens: list[str]) -> npt.NDArray[np.int64]:
    """Distinct feature numbers of one window."""
    joined = " ".join(tokens).encode()
    codes = np.frombuffer(b" " + joined + b" ", dtype=np.uint8).astype(np.uint64)
    parts = [_hashed(codes, n, CHAR_BITS) for n in CHAR_GRAMS if len(codes) >= n]
    words = np.array([zlib.crc32(token.encode()) for token in ["^", *tokens, "$"]], dtype=np.uint64)
    parts += [_hashed(words, n, WORD_BITS) + 2**CHAR_BITS for n in WORD_GRAMS if len(words) >= n]
    return np.unique(np.concatenate(parts))


def _hashed(codes: npt.NDArray[np.uint64], n: int, bits: int) -> npt.NDArray[np.int64]:
    """Multiplicative hashes (Knuth, TAOCP 6.4) of all n-grams."""
    value = np.full(len(codes) - n + 1, n, dtype=np.uint64)
    for offset in range(n):
        value = (value ^ codes[offset : len(codes) - n + 1 + offset]) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(29)
    return (value >> np.uint64(64 - bits)).astype(np.int64)
