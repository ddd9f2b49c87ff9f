"""Equal texts among a million: eight bytes each, grouped by sorting; dicts would take ten times that."""

import hashlib
from array import array
from collections.abc import Iterator


def digest(text: str) -> int:
    """64 bits of a text, the same in every process; 0 is no text's."""
    found = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(found, "little") or 1


def groups(values: "array[int]") -> Iterator[list[int]]:
    """The places of each value that stands at several, in order; 0 stands for nothing."""
    order = sorted(range(len(values)), key=values.__getitem__)
    start = 0
    for at in range(1, len(order) + 1):
        if at == len(order) or values[order[at]] != values[order[start]]:
            if at - start > 1 and values[order[start]]:
                yield order[start:at]
            start = at
