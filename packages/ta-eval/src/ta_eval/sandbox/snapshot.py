"""What files there are after a command: names, kinds, modes, contents, and times where the command set them."""

import hashlib
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

# Git's own bookkeeping: times, inodes, object files. What is staged and stashed the driver writes down.
NOT_COMPARED = re.compile(r"/\.git/(index|logs(/.*)?|objects(/.*)?|COMMIT_EDITMSG|ORIG_HEAD)$")


class Entry(NamedTuple):
    """One file, directory or link."""

    kind: str
    """As find's %y: f, d, l, p, s."""
    mode: str
    """Octal; empty for links."""
    content: str
    """Digest of a file's content, target of a link."""
    time: str
    """Seconds since 1970, or `new` where it was written during the run; empty for directories."""


Tree = dict[str, Entry]
"""Absolute path: what is there."""


def read_tree(listing: bytes, archive: bytes, *, start: int) -> Tree:
    """Join find's list (kinds, modes, times) with tar's archive (contents)."""
    contents = dict(_contents(archive))
    tree: Tree = {}
    for line in listing.decode("utf-8", "surrogateescape").split("\0"):
        if not line:
            continue
        kind, mode, modified, path, target = line.split("\t", 4)
        if NOT_COMPARED.search(path):
            continue
        seconds = float(modified)
        time = "" if kind in "dl" else "new" if seconds >= start else f"{seconds:.0f}"
        content = target if kind == "l" else contents.pop(path, "")
        tree[path] = Entry(kind, "" if kind == "l" else mode, content, time)
    # What find could not reach: files in a directory that nobody may enter, git's state.
    for path, content in contents.items():
        if path not in tree and not NOT_COMPARED.search(path):
            tree[path] = Entry("f", "", content, "")
    return tree


def _contents(archive: bytes) -> Iterator[tuple[str, str]]:
    if not archive:
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                path = member.name.removeprefix(".")
                if member.isreg():
                    file = tar.extractfile(member)
                    yield path, content_digest(file.read() if file else b"")
                elif member.islnk():
                    yield path, f"link to {member.linkname.removeprefix('.')}"
    except tarfile.TarError:
        return  # cut off by the size limit: the rest is compared by name and mode


def content_digest(data: bytes) -> str:
    """A digest by which two archives of the same members are equal, though made at another time."""
    members: object = None
    kind = b"tar" if data[257:262] == b"ustar" else data[:2]
    if data[:4] == b"PK\x03\x04":
        members = _zip_members(data)
    elif kind in (b"tar", b"\x1f\x8b", b"BZ", b"\xfd7"):
        members = _tar_members(data)
        if members is None and kind == b"\x1f\x8b":
            data = data[:4] + data[8:]  # gzip's header holds the file's time (RFC 1952, 2.3)
    return hashlib.sha256(data if members is None else kind + repr(members).encode()).hexdigest()


def _zip_members(data: bytes) -> object:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return sorted((m.filename, m.compress_type, m.CRC, m.flag_bits & 1) for m in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return None


def _tar_members(data: bytes) -> object:
    members = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                content = hashlib.sha256(file.read()).hexdigest() if file else member.linkname
                name = member.name.removeprefix("./").rstrip("/")
                members.append((name, member.type, member.mode, content))
    except (tarfile.TarError, EOFError, OSError, zlib.error):
        return None
    return sorted(members)
