"""Texts to sets of word 3-gram hashes, and sets to MinHash signatures, thousands of texts at a time.

A word is hashed once (blake2b, so a text has the same set in every process), runs of three words by mixing
their hashes in numpy. Sets are kept as sorted 32-bit hashes: in two sets of 100 a false match has a chance of
2 in a million. Signatures are rensa's (Rust).
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from ta_schemas.errors import SetupError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GRAM = 3
PERMUTATIONS = 126
SEED = 1
WORDS = re.compile(r"\w+")


class Sets(NamedTuple):
    """Sets of many texts in one array: set i is `hashes[offsets[i]:offsets[i + 1]]`, sorted."""

    hashes: "NDArray[np.uint32]"
    offsets: "NDArray[np.int64]"


class Shingler:
    """Turns texts into sets; remembers the hash of every word it met."""

    def __init__(self) -> None:
        self._words: dict[str, int] = _Hashes()

    def sets(self, texts: Sequence[str], *, salt: int = 0) -> Sets:
        """The set of each text; a text of fewer than three words is one gram, one without words is empty.

        Another `salt` gives hashes that match no other salt's.
        """
        import numpy as np

        found = [WORDS.findall(text.lower()) for text in texts]
        lengths = np.fromiter(map(len, found), dtype=np.int64, count=len(found))
        of = self._words.__getitem__
        flat = np.fromiter(map(of, chain.from_iterable(found)), dtype=np.uint64, count=int(lengths.sum()))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        owner = np.repeat(np.arange(len(found)), lengths)
        left = starts[1:][owner] - np.arange(len(flat))  # words from here to the end of the text
        full = lengths[owner] >= GRAM
        # A text that is too short for a gram is padded with nothing: its first word begins its only one.
        begins = np.where(full, left >= GRAM, left == lengths[owner])
        padded = np.concatenate([flat, np.zeros(GRAM, dtype=np.uint64)])
        grams = np.full(len(flat), np.uint64(salt * 0x9E3779B97F4A7C15 & 2**64 - 1))
        for i in range(GRAM):
            word = np.where(left > i, padded[i : i + len(flat)], np.uint64(0))
            grams = (grams ^ word) * np.uint64(0x9FB21C651E98DF25)
            grams ^= grams >> np.uint64(32)
        # Sorting (text, hash) packed into one number sorts every set at once.
        packed = (owner[begins].astype(np.uint64) << np.uint64(32)) | (grams[begins] & np.uint64(0xFFFFFFFF))
        packed.sort()
        if len(packed):
            packed = packed[np.concatenate([[True], packed[1:] != packed[:-1]])]
        sizes = np.bincount((packed >> np.uint64(32)).astype(np.int64), minlength=len(found))
        return Sets(packed.astype(np.uint32), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


class _Hashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        value = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
        self[word] = value
        return value


def signatures(sets: Sets) -> "NDArray[np.uint32]":
    """MinHash signatures, one row of `PERMUTATIONS` a set. Raises SetupError without the extra `clean`."""
    rensa = need("rensa")
    import numpy as np

    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        sets.hashes.astype(np.uint64), sets.offsets.astype(np.uint64), PERMUTATIONS, SEED
    )
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(-1, PERMUTATIONS)


def joined(columns: Iterable[Sets]) -> Sets:
    """The union of each text's sets, field by field (their salts keep them apart)."""
    import numpy as np

    columns = list(columns)
    count = len(columns[0].offsets) - 1
    sizes = np.stack([np.diff(c.offsets) for c in columns], axis=1).ravel()
    starts = np.concatenate([[0], np.cumsum(sizes)])
    hashes = np.empty(int(starts[-1]), dtype=np.uint32)
    for i, column in enumerate(columns):
        mine = starts[i :: len(columns)][:count]
        where = np.repeat(mine - column.offsets[:-1], np.diff(column.offsets)) + np.arange(len(column.hashes))
        hashes[where] = column.hashes
    return Sets(hashes, starts[:: len(columns)])


def need(name: str) -> Any:
    """Import a library of the extra `clean`."""
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise SetupError(f"{name} is not installed: install ta-data[clean]") from None
