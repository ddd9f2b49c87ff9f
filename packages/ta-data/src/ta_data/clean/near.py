"""Near-duplicates: MinHash finds candidates, the sets themselves decide.

Signatures are cut into bands; texts that share a band are candidates. A candidate whose signature agrees well
enough is verified on the sets: what is reported has a Jaccard similarity of the threshold or more, never an
estimate of it.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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
    """Sets, bands and short signatures of many texts; about 600 bytes a text of 75 words.

    It is compared once: `duplicates`, `resembling` and `clusters` use up what was added.
    """

    def __init__(self, *, fields: int, threshold: float) -> None:
        need("numpy")
        need("rensa")
        self.threshold = threshold
        self._bands = bands_for(threshold)
        self._shingler = Shingler()
        self._sets: list[list[Sets]] = [[] for _ in range(fields)]
        self._keys: list[NDArray[np.uint32]] = []
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
        # A false candidate in a hundred million pairs costs a comparison, and the keys half the memory.
        self._keys.append((keys >> np.uint64(32)).astype(np.uint32))
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
        buckets = _Buckets(self._keys, self._bands)
        verify = _Verifier(self._sets, _joined(self._short), self.threshold)
        rows = np.flatnonzero((buckets.places >= 0).any(axis=1))
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            mine = [row[row >= 0].tolist() for row in buckets.places[block]]
            pairs: list[tuple[int, int]] = []
            waiting: dict[int, list[int]] = {}
            for i, at in zip(block.tolist(), mine, strict=True):
                candidates = {j for place in at for j in buckets.of(place)}
                candidates.update(j for place in at for j in waiting.get(place, ()))
                pairs += [(i, j) for j in candidates if worth is None or worth(i, j)]
                for place in at:
                    waiting.setdefault(place, []).append(i)
            matches = verify(pairs)
            for i, at in zip(block.tolist(), mine, strict=True):
                if take(i, matches.get(i, [])):
                    for place in at:
                        buckets.put(place, i)


class _Buckets:
    """The texts that share a band, in one array: every bucket has room for all that fall into it.

    `places` is the number of a text's bucket by band (shape: texts, bands), -1 where it is alone in it. A dict
    of lists would take five times the memory.
    """

    def __init__(self, keys: "list[NDArray[np.uint32]]", bands: int) -> None:
        import numpy as np

        self.places = np.full((sum(map(len, keys)), bands), -1, dtype=np.int32)
        sizes = []
        base = 0
        for band in range(bands):
            column = np.concatenate([batch[:, band] for batch in keys])
            _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
            shared = counts > 1
            numbers = np.where(shared, np.cumsum(shared) - 1 + base, -1)
            self.places[:, band] = numbers[inverse]
            sizes.append(counts[shared])
            base += int(shared.sum())
        keys.clear()
        ends = np.cumsum(np.concatenate(sizes))
        self._starts = array("i", (ends - np.concatenate(sizes)).astype(np.int32).tobytes())
        self._filled = array("i", self._starts)
        self._rows = array("i", bytes(4 * int(ends[-1]) if len(ends) else 0))

    def of(self, place: int) -> "array[int]":
        """What was put into a bucket."""
        return self._rows[self._starts[place] : self._filled[place]]

    def put(self, place: int, row: int) -> None:
        """Into its bucket."""
        self._rows[self._filled[place]] = row
        self._filled[place] += 1


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

    sizes = np.concatenate([np.diff(batch.offsets) for batch in batches])
    hashes = [batch.hashes for batch in batches]
    batches.clear()
    return Sets(_joined(hashes), np.concatenate([[0], np.cumsum(sizes)]))


def _joined(batches: "list[NDArray[Any]]") -> "NDArray[Any]":
    """The batches one after the other; each is let go once it is copied, so that nothing is held twice."""
    import numpy as np

    whole = np.empty((sum(map(len, batches)), *batches[0].shape[1:]), dtype=batches[0].dtype)
    end = len(whole)
    while batches:
        batch = batches.pop()
        whole[end - len(batch) : end] = batch
        end -= len(batch)
    return whole


def bands_for(threshold: float) -> int:
    """The fewest bands of 126 permutations that miss at most 0.2 % of the pairs at the threshold."""
    for rows in (18, 14, 9, 7, 6, 3, 2):
        bands = PERMUTATIONS // rows
        if (1 - threshold**rows) ** bands <= MISSED:
            return bands
    return PERMUTATIONS
