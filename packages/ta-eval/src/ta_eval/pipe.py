"""JSON lines from a file or, as `-`, from standard input."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ta_schemas import InputError
from ta_schemas.jsonl import read_objects


@contextmanager
def as_file(path: Path) -> Iterator[Path]:
    """The path itself; for `-` a copy of standard input, so that it can be read twice."""
    if str(path) != "-":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin.jsonl"
        with copy.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        yield copy


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (`file:line`, object). InputError for what is no JSON object."""
    shown = "stdin" if str(path) == "-" else str(path)
    with as_file(path) as file:
        for number, row in read_objects(file):
            if not isinstance(row, dict):
                raise InputError(f"{shown}:{number}: expected a JSON object, got {type(row).__name__}")
            yield f"{shown}:{number}", row
