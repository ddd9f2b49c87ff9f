"""Every file below a folder, in the order of their paths; links and special files are named, not followed."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ta_schemas.errors import InputError


class Met(NamedTuple):
    """A file of the folder; `skipped` says why it is not to be read."""

    path: Path
    name: str
    """Relative to the folder, with forward slashes."""
    skipped: str = ""


def walk(root: Path) -> Iterator[Met]:
    """The files of a folder, or the one file. Hidden names (.git, .DS_Store) are passed over."""
    if not root.exists():
        raise InputError(f"{root}: no such file or folder")
    if root.is_file():
        yield Met(root, root.name)
        return
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted([*files, *(name for name in folders if (Path(folder) / name).is_symlink())]):
            path = Path(folder) / name
            if not name.startswith("."):
                yield Met(path, path.relative_to(root).as_posix(), _reason(path))


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _reason(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if stat.S_ISLNK(mode):
        return "a link: not followed"
    if not stat.S_ISREG(mode):
        return "not a regular file"
    if not mode & 0o444 or not os.access(path, os.R_OK):
        return "cannot be read: permission denied"
    return "" if path.stat().st_size else "empty"
