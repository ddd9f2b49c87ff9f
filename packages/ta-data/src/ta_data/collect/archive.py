"""Zip folders, read in memory and in bounds: nothing is unpacked to the disk."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

from ta_data.collect.outcome import MIB, Limits, Skipped, Unreadable


class Member(NamedTuple):
    """A file in an archive, or why it is left out."""

    name: str
    stream: BinaryIO | None
    skipped: str = ""
    error: str = ""


def open_archive(stream: BinaryIO, limits: Limits, depth: int) -> zipfile.ZipFile:
    """The archive, checked against the limits. Raises Skipped or Unreadable."""
    if depth > limits.nesting:
        raise Skipped(f"archives within archives deeper than {limits.nesting}")
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError):
        raise Unreadable("not a valid zip file: truncated or damaged") from None
    check_expansion(archive, limits)
    return archive


def members(archive: zipfile.ZipFile, limits: Limits) -> Iterator[Member]:
    """The files of a checked archive, in the order of their names."""
    left = limits.archive_mb * MIB
    for item in sorted(archive.infolist(), key=lambda item: item.filename):
        path = PurePosixPath(item.filename)
        if item.is_dir() or any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
            continue
        if item.flag_bits & 1:
            yield Member(item.filename, None, skipped="encrypted")
            continue
        try:
            with archive.open(item) as packed:
                # The size in the directory can lie: what is read counts.
                raw = packed.read(min(limits.file_bytes, left) + 1)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, zipfile.zlib.error):  # type: ignore[attr-defined]
            yield Member(item.filename, None, error="damaged member of a zip file")
            continue
        left -= len(raw)
        if left < 0 or len(raw) > limits.file_bytes:
            yield Member(item.filename, None, error=f"larger than {limits.file_mb} MiB")
            continue
        yield Member(item.filename, io.BytesIO(raw))


def check_expansion(archive: zipfile.ZipFile, limits: Limits) -> None:
    """Raise Unreadable for a zip bomb: too many members, too large, or growing too much."""
    items = archive.infolist()
    if len(items) > limits.members:
        raise Unreadable(f"zip bomb: more than {limits.members} members")
    packed = sum(item.compress_size for item in items)
    unpacked = sum(item.file_size for item in items)
    if unpacked > limits.archive_mb * MIB:
        raise Unreadable(f"zip bomb: more than {limits.archive_mb} MiB unpacked")
    if unpacked > MIB and unpacked > packed * limits.expansion:
        raise Unreadable(f"zip bomb: grows more than {limits.expansion}-fold")
