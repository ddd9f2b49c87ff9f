"""Hashed n-grams of characters and words, counted with numpy: 5,000 characters in about a millisecond.

A window is WINDOW_WORDS words; a long text is scored window by window, so that one line in a page is not
drowned. The n-grams of all windows are hashed in one go: numpy's calls cost more than its work here.
"""

import itertools
import re
import zlib
from typing import Any, NamedTuple

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

_TOKEN = re.compile(r"\w+|[^\w\s]{3,}|[^\w\s]")
"""A word, a mark, or a run of marks: a line of dashes must not fill a window."""

_BEGIN, _END = zlib.crc32(b"^"), zlib.crc32(b"$")


class Window(NamedTuple):
    """Feature numbers of one window, and which tokens of the text it holds."""

    indices: npt.NDArray[np.int64]
    first: int
    last: int
    """One past its last token."""


def windows(text: str) -> list[Window]:
    """The windows of a text, each overlapping the one before by half. Empty text: none."""
    tokens = [token.lower().encode() for token in _TOKEN.findall(text)[:MAX_WORDS]]
    if not tokens:
        return []
    step = WINDOW_WORDS // 2
    spans = [
        (first, min(first + WINDOW_WORDS, len(tokens)))
        for first in range(0, max(1, len(tokens) - WINDOW_WORDS + step), step)
    ]
    ends = np.cumsum([len(token) + 1 for token in tokens])  # in b" a b c ", the place of the blank after each
    letters = _hashed(np.frombuffer(b" " + b" ".join(tokens) + b" ", dtype=np.uint8), CHAR_GRAMS, CHAR_BITS)
    codes = {token: zlib.crc32(token) for token in set(tokens)}
    joined: list[int] = []
    for first, last in spans:
        joined += [_BEGIN, *(codes[token] for token in tokens[first:last]), _END]
    words = [hashed + 2**CHAR_BITS for hashed in _hashed(np.array(joined), WORD_GRAMS, WORD_BITS)]
    scratch = np.empty(SIZE, dtype=np.int64)
    out, at = [], 0
    for first, last in spans:
        begin, end = int(ends[first - 1]) if first else 0, int(ends[last - 1])
        size = last - first + 2
        parts = [part[begin : end - n + 2] for n, part in zip(CHAR_GRAMS, letters, strict=True)]
        parts += [part[at : at + size - n + 1] for n, part in zip(WORD_GRAMS, words, strict=True)]
        at += size
        out.append(Window(_distinct(np.concatenate(parts), scratch), first, last))
    return out


def span(text: str, first: int, last: int) -> tuple[int, int]:
    """Where the tokens `first` to `last` (one past) of a text stand, in characters."""
    places = [match.span() for match in itertools.islice(_TOKEN.finditer(text), first, last)]
    return places[0][0], places[-1][1]


def _distinct(numbers: npt.NDArray[np.int64], scratch: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Each number once. Without sorting: the last writer of a place keeps it."""
    order = np.arange(len(numbers))
    scratch[numbers] = order
    first: npt.NDArray[np.int64] = numbers[scratch[numbers] == order]
    return first


def _hashed(codes: npt.NDArray[Any], sizes: tuple[int, ...], bits: int) -> list[npt.NDArray[np.int64]]:
    """Multiplicative hashes (Knuth, TAOCP 6.4) of the n-grams of each size."""
    wide = codes.astype(np.uint64)
    out = []
    for n in sizes:
        value = np.full(max(0, len(wide) - n + 1), n, dtype=np.uint64)
        for offset in range(n):
            value = (value ^ wide[offset : offset + len(value)]) * np.uint64(0x9E3779B97F4A7C15)
            value ^= value >> np.uint64(29)
        out.append((value >> np.uint64(64 - bits)).astype(np.int64))
    return out
