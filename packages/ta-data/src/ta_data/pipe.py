"""Rows in a pipe: JSON lines from stdin, a file, an artifact or a folder; JSON lines and a summary out."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import msgspec

from ta_data.checks import Bad
from ta_data.spool import Spool
from ta_schemas.errors import InputError
from ta_schemas.jsonl import MAX_LINE_BYTES, to_object
from ta_schemas.manifest import MANIFEST_NAME

STDIN = Path("-")
ROW_FILES = ("train", "validation", "test", "documents", "conversations", "predictions", "feedback")

Object = dict[str, Any]
EXAMPLES = 5


class Placed(NamedTuple):
    """A row and where it stands: `file:line`, or `-:line` on stdin."""

    where: str
    row: Object


def read_rows(source: Path) -> Iterator[Placed | Bad]:
    """The rows of stdin (`-`), a JSON lines file, an artifact, or a folder or file of any other kind.

    A line that is no JSON object comes as Bad. Raises InputError where there is nothing at `source`.
    """
    if source == STDIN:
        yield from _lines(sys.stdin.buffer, "-")
    elif files := [source / f"{name}.jsonl" for name in ROW_FILES if (source / f"{name}.jsonl").is_file()]:
        for file in files:
            with file.open("rb") as stream:
                yield from _lines(stream, file.name)
    elif (source / MANIFEST_NAME).is_file():
        raise InputError(f"{source}: an artifact without rows: none of {', '.join(ROW_FILES)}")
    elif source.is_file() and source.suffix in (".jsonl", ".ndjson"):
        with source.open("rb") as stream:
            yield from _lines(stream, source.name)
    else:
        yield from _collected(source)


def _collected(source: Path) -> Iterator[Placed | Bad]:
    from ta_data.collect.folder import Account, Source, read_sources
    from ta_data.collect.outcome import Limits

    for row in read_sources([Source(source)], Limits(), Account()):
        yield row if isinstance(row, Bad) else Placed(row.source or row.id, to_object(row))


def _lines(stream: IO[bytes], name: str) -> Iterator[Placed | Bad]:
    decode = msgspec.json.Decoder().decode
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"{name}:{number}"
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield Bad(where, "line too long", f"more than {MAX_LINE_BYTES // 2**20} MiB")
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            row = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield Bad(where, "not valid JSON", str(error))
            continue
        yield (
            Placed(where, row)
            if isinstance(row, dict)
            else Bad(where, "not an object", "expected a JSON object")
        )


class Rows(Spool[Placed]):
    """Rows that are gone through more than once; lines that are none are in `bad`."""

    def __init__(self, source: Path) -> None:
        super().__init__(Placed)
        self.bad: list[Bad] = []
        for placed in read_rows(source):
            if isinstance(placed, Bad):
                self.bad.append(placed)
            else:
                self.append(placed)


class Out:
    """Where rows go: stdout, or a file that appears whole or not at all."""

    def __init__(self, path: Path | None) -> None:
        self._path = None if path is None or path == STDIN else path
        self._encode = msgspec.json.Encoder().encode
        self._stream: IO[bytes]
        self._partial = Path()

    def __enter__(self) -> Self:
        if self._path is None:
            self._stream = sys.stdout.buffer
        else:
            self._partial = self._path.with_name(f"{self._path.name}.partial-{os.getpid()}")
            try:
                self._stream = self._partial.open("wb")
            except FileNotFoundError:
                raise InputError(f"{self._path.parent}: no such folder") from None
        return self

    def write(self, row: Any) -> None:
        """Write one row."""
        self._stream.write(self._encode(row) + b"\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is None:
            try:
                self._stream.flush()
            except BrokenPipeError as broken:
                error = broken
            if isinstance(error, BrokenPipeError):  # `… | head`: the reader has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise SystemExit(141)
            return
        self._stream.close()
        if error is None:
            self._partial.replace(self._path)
        self._partial.unlink(missing_ok=True)


class Left:
    """What is left out: counted by reason, the first few kept, every line written where a file is wanted."""

    def __init__(self, path: Path | None) -> None:
        self._out = None if path is None else Out(path)
        self.reasons: Counter[str] = Counter()
        self.examples: list[Object] = []

    def __enter__(self) -> Self:
        if self._out is not None:
            self._out.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._out is not None:
            self._out.__exit__(kind, error, trace)

    def __len__(self) -> int:
        return self.reasons.total()

    def row(self, placed: Placed, reason: str, detail: str = "", **more: Any) -> None:
        """Leave a row out."""
        name = str(placed.row.get("id") or placed.where)
        self._add({"id": name, "reason": reason, "source": placed.where, "detail": detail, **more})

    def bad(self, bad: Bad) -> None:
        """The same for what was no row at all."""
        line = {"id": bad.id or bad.where, "reason": bad.reason, "source": bad.where, "detail": bad.detail}
        self._add(line)

    def summary(self, read: int) -> Object:
        """Counts of `read` rows by outcome and reason, with examples."""
        return {
            "input": read,
            "output": read - len(self),
            "dropped": dict(sorted(self.reasons.items())),
            "examples": self.examples,
        }

    def _add(self, line: Object) -> None:
        self.reasons[line["reason"]] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(line)
        if self._out is not None:
            self._out.write(line)


def write_summary(summary: Any, path: Path | None) -> None:
    """The summary as JSON: to a file, else on stderr, so that stdout holds rows alone."""
    encoded = msgspec.json.format(msgspec.json.encode(summary)) + b"\n"
    if path is None:
        sys.stderr.write(encoded.decode())
    else:
        partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
        partial.write_bytes(encoded)
        partial.replace(path)
