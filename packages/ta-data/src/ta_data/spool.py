"""Items that are gone through more than once, on the disk: a million rows cost 8 MB of memory."""

import os
import tempfile
from array import array
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

import msgspec

ItemT = TypeVar("ItemT")
WRITE_BYTES = 2**18


class Spool(Generic[ItemT]):
    """A list in a temporary file; items are of a type that msgspec writes and reads back. A context manager."""

    def __init__(self, item_type: type[ItemT]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed on leaving
        self._starts = array("q", [0])
        self._encode_into = msgspec.json.Encoder().encode_into
        self._decode = msgspec.json.Decoder(item_type).decode
        self._waiting = bytearray()
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, item: ItemT) -> None:
        """Put an item at the end."""
        self._encode_into(item, self._waiting, -1)
        self._waiting += b"\n"
        self._starts.append(self._written + len(self._waiting))
        if len(self._waiting) > WRITE_BYTES:
            self._flush()

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __iter__(self) -> Iterator[ItemT]:
        self._flush()
        self._file.seek(0)
        for line in self._file:
            yield self._decode(line)

    def __getitem__(self, i: int) -> ItemT:
        if self._waiting:
            self._flush()
        # pread, since items are looked up while others are gone through.
        return self._decode(
            os.pread(self._file.fileno(), self._starts[i + 1] - self._starts[i], self._starts[i])
        )

    def _flush(self) -> None:
        self._file.seek(0, os.SEEK_END)
        self._file.write(self._waiting)
        self._file.flush()
        self._written += len(self._waiting)
        self._waiting.clear()
