"""Near-duplicates: MinHash finds candidates, the sets themselves decide.

Signatures are cut into bands; texts that share a band are candidates. A candidate whose signature agrees well
enough is verified on the sets: what is reported has a Jaccard similarity of the threshold or more, never an
estimate of it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ta_data.clean.sketch import PERMUTATIONS, Sets, Shingler, joined, need, signatures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 4096
MISSED = 0.002
"""The share of pairs exactly at the threshold that no band may find; above it far fewer are missed."""
SLACK = 0.12
"""How far a signature's estimate may lie below the threshold: 3.4 standard deviations at 0.8."""
CHUNK = 8192
BLOCK = 2048


class Near(NamedTuple):
    """A text and an earlier one that it resembles."""

    row: int
    of: int
    similarity: tuple[float, ...]
    """Jaccard by field."""


class Texts:
    """Sets, bands and short signatures of many texts; about 600 bytes a text of 75 words."""

    def __init__(self, *, fields: int, threshold: float) -> None:
        need("numpy")
        need("rensa")
        self.threshold = threshold
        self._bands = bands_for(threshold)
        self._shingler = Shingler()
        self._sets: list[list[Sets]] = [[] for _ in range(fields)]
        self._keys: list[NDArray[np.uint64]] = []
        self._short: list[NDArray[np.uint8]] = []
        self._waiting: list[Sequence[str]] = []
        self.count = 0

    def add(self, fields: Sequence[str]) -> None:
        """Take one text, given by its fields."""
        self._waiting.append(fields)
        self.count += 1
        if len(self._waiting) == BATCH:
            self._sketch()

    def _sketch(self) -> None:
        import numpy as np

        if not self._waiting:
            return
        columns = [
            self._shingler.sets([fields[i] for fields in self._waiting], salt=i) for i in range(len(self._sets))
        ]
        for kept, new in zip(self._sets, columns, strict=True):
            kept.append(new)
        signature = signatures(columns[0] if len(columns) == 1 else joined(columns))
        rows = PERMUTATIONS // self._bands
        cut = signature[:, : self._bands * rows].reshape(len(signature), self._bands, rows).astype(np.uint64)
        keys = np.zeros(cut.shape[:2], dtype=np.uint64)
        for r in range(rows):
            keys = (keys ^ cut[:, :, r]) * np.uint64(0x9FB21C651E98DF25)
            keys ^= keys >> np.uint64(29)
        self._keys.append(keys)
        self._short.append(signature.astype(np.uint8))
        self._waiting = []

    def duplicates(self, allowed: Callable[[int, int], bool] | None = None) -> list[Near]:
        """Texts that resemble an earlier one which is itself no duplicate, in order.

        Similar means: in every field a Jaccard of the threshold or more; and `allowed(row, of)`.
        """
        found: dict[int, Near] = {}

        def take(row: int, matches: list[Near]) -> bool:
            for near in matches:
                if near.of not in found and (allowed is None or allowed(row, near.of)):
                    found[row] = near
                    return False
            return True

        self._go_through(take)
        return list(found.values())

    def resembling(self, worth: Callable[[int, int], bool], allowed: Callable[[int, int], bool]) -> list[Near]:
        """Texts with the earlier one that they resemble most, among those for which both tests hold.

        `worth(row, of)` is asked before anything is compared, `allowed(row, of)` of what was found.
        """
        found: list[Near] = []

        def take(row: int, matches: list[Near]) -> bool:
            found.extend([near for near in matches if allowed(row, near.of)][:1])
            return True

        self._go_through(take, worth)
        return found

    def clusters(self) -> list[int]:
        """The cluster of each text, named by its first member: all that is similar, directly or in steps."""
        parent = list(range(self.count))

        def root(i: int) -> int:
            while parent[i] != i:
                parent[i] = parent[parent[i]]
                i = parent[i]
            return i

        def take(row: int, matches: list[Near]) -> bool:
            for near in matches:
                a, b = sorted((root(near.of), root(row)))
                parent[b] = a
            # What is equal to an earlier text stands for nothing new.
            return not any(min(near.similarity) == 1 for near in matches)

        self._go_through(take)
        return [root(i) for i in range(self.count)]

    def _go_through(
        self, take: Callable[[int, list[Near]], bool], worth: Callable[[int, int], bool] | None = None
    ) -> None:
        """Call `take` with each text and the earlier ones it resembles, most similar first.

        A text for which `take` answers False is not compared with later ones. Texts are looked up in blocks, so
        that the comparisons of a block are one run of numpy.
        """
        import numpy as np

        self._sketch()
        if not self.count:
            return
        places = self._shared()
        verify = _Verifier(self._sets, np.concatenate(self._short), self.threshold)
        kept: dict[int, list[int]] = {}
        rows = np.flatnonzero((places >= 0).any(axis=1)).tolist()
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            mine = [row[row >= 0].tolist() for row in places[block]]
            pairs: list[tuple[int, int]] = []
            waiting: dict[int, list[int]] = {}
            for i, at in zip(block, mine, strict=True):
                candidates = {j for place in at for j in kept.get(place, ())}
                candidates.update(j for place in at for j in waiting.get(place, ()))
                pairs += [(i, j) for j in candidates if worth is None or worth(i, j)]
                for place in at:
                    waiting.setdefault(place, []).append(i)
            matches = verify(pairs)
            for i, at in zip(block, mine, strict=True):
                if take(i, matches.get(i, [])):
                    for place in at:
                        kept.setdefault(place, []).append(i)

    def _shared(self) -> "NDArray[np.int64]":
        """For each text and band the number of its bucket, -1 where it is alone in it."""
        import numpy as np

        keys = np.concatenate(self._keys)
        self._keys = [keys]
        places = np.full(keys.shape, -1, dtype=np.int64)
        base = 0
        for band in range(self._bands):
            _, inverse, counts = np.unique(keys[:, band], return_inverse=True, return_counts=True)
            places[:, band] = np.where(counts[inverse] > 1, inverse + base, -1)
            base += len(counts)
        return places


class _Verifier:
    """Decides which candidate pairs are similar: signature first, then the sets of every field."""

    def __init__(self, sets: list[list[Sets]], short: "NDArray[np.uint8]", threshold: float) -> None:
        self._fields = [_concatenated(batches) for batches in sets]
        self._short, self._threshold = short, threshold

    def __call__(self, pairs: list[tuple[int, int]]) -> dict[int, list[Near]]:
        """By row, the similar earlier ones, most similar first; the earliest first among equals."""
        import numpy as np

        found: dict[int, list[Near]] = {}
        for start in range(0, len(pairs), CHUNK):
            some = np.array(pairs[start : start + CHUNK], dtype=np.int64)
            agree = (self._short[some[:, 0]] == self._short[some[:, 1]]).mean(axis=1)
            # One in 256 of the shortened hashes agrees by chance.
            some = some[agree >= (self._threshold - SLACK) * (255 / 256) + 1 / 256]
            similar = np.stack([_jaccards(field, some) for field in self._fields], axis=1)
            keep = (similar >= self._threshold).all(axis=1)
            for (i, j), values in zip(some[keep].tolist(), similar[keep].tolist(), strict=True):
                found.setdefault(i, []).append(Near(i, j, tuple(values)))
        for matches in found.values():
            matches.sort(key=lambda near: (-sum(near.similarity), near.of))
        return found


def _jaccards(sets: Sets, pairs: "NDArray[np.int64]") -> "NDArray[np.float64]":
    """Exact Jaccard of each pair of sets; two empty sets are equal."""
    import numpy as np

    left, left_sizes = _gathered(sets, pairs[:, 0])
    right, right_sizes = _gathered(sets, pairs[:, 1])
    if not len(left) or not len(right):
        return np.where(left_sizes == right_sizes, 1.0, 0.0)
    at = np.minimum(np.searchsorted(left, right), len(left) - 1)
    hits = np.concatenate([[0], np.cumsum(left[at] == right)])
    ends = np.cumsum(right_sizes)
    both = hits[ends] - hits[ends - right_sizes]
    union = left_sizes + right_sizes - both
    similar: NDArray[np.float64] = np.where(union > 0, both / np.maximum(union, 1), 1.0)
    return similar


def _gathered(sets: Sets, rows: "NDArray[np.int64]") -> "tuple[NDArray[np.uint64], NDArray[np.int64]]":
    """The sets of the rows one after the other, each hash with the number of its place in front: sorted."""
    import numpy as np

    sizes = sets.offsets[rows + 1] - sets.offsets[rows]
    starts = np.cumsum(sizes) - sizes
    where = np.repeat(sets.offsets[rows] - starts, sizes) + np.arange(int(sizes.sum()))
    owner = np.repeat(np.arange(len(rows), dtype=np.uint64), sizes)
    return (owner << np.uint64(32)) | sets.hashes[where], sizes


def _concatenated(batches: list[Sets]) -> Sets:
    import numpy as np

    if len(batches) > 1:
        sizes = np.concatenate([np.diff(batch.offsets) for batch in batches])
        hashes = np.concatenate([batch.hashes for batch in batches])
        batches[:] = [Sets(hashes, np.concatenate([[0], np.cumsum(sizes)]))]
    return batches[0]


def bands_for(threshold: float) -> int:
    """The fewest bands of 126 permutations that miss at most 0.2 % of the pairs at the threshold."""
    for rows in (18, 14, 9, 7, 6, 3, 2):
        bands = PERMUTATIONS // rows
        if (1 - threshold**rows) ** bands <= MISSED:
            return bands
    return PERMUTATIONS
