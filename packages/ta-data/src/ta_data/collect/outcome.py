"""What a reader gives: rows, or the reason why a file is skipped or cannot be read; and the limits it obeys."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ta_data.checks import Bad

MIB = 2**20
READY = b"ready\n"
"""What the reading process says once it has loaded everything: a file's time begins after it."""

Raw = dict[str, Any]
"""A row before it has an id: `text` with `span`, or `messages`, and what else is known of it."""

Reader = Callable[["Given"], Iterator[Raw | Bad]]


class Skipped(Exception):
    """The file is fine and holds nothing for us; the message is the reason that is counted."""


class Unreadable(Exception):
    """The file is broken, hostile or too large for the limits; the message is the reason that is counted."""


@dataclass(frozen=True)
class Limits:
    """What a file may cost. A file over a limit is reported with the limit's name; the run goes on."""

    file_mb: int = 64
    """Of one file that is read whole, MiB. Line formats (JSONL, CSV, mbox, dumps) stream and are exempt."""
    expansion: int = 100
    """A compressed file may grow to this many times its size (files below 1 MiB grown are let through)."""
    archive_mb: int = 512
    """Everything in one archive together, unpacked, MiB."""
    members: int = 10_000
    """Files in one archive."""
    nesting: int = 2
    """Archives within archives."""
    silent_s: float = 20.0
    """Seconds a reader may work without giving a row before it is ended."""
    download_mb: int = 256
    """Of one URL or hub dataset, MiB."""
    download_s: float = 300.0
    """Seconds that it may take."""
    memory_mb: int = 1_536
    """Address space of the reading process, MiB."""

    @property
    def file_bytes(self) -> int:
        """`file_mb` in bytes."""
        return self.file_mb * MIB


@dataclass
class Given:
    """A file to read: where it stands in the folder, its bytes as a seekable stream, and the rules."""

    name: str
    stream: BinaryIO
    limits: Limits = field(default_factory=Limits)
    columns: Mapping[str, str] = field(default_factory=dict)
    """Roles (`prompt`, `answer`, `system`, `id`, `group`, …) by the column that holds them."""
    notes: Raw = field(default_factory=dict)
    """What the reader found out on the way, such as the mapping of columns it used."""

    def whole(self) -> bytes:
        """All bytes; Unreadable where there are more than the limit."""
        raw = self.stream.read(self.limits.file_bytes + 1)
        if len(raw) > self.limits.file_bytes:
            raise Unreadable(f"larger than {self.limits.file_mb} MiB")
        return raw
