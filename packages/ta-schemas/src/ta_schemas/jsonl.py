"""Reading and writing JSONL: streaming, validated, atomic; an error names file, line and field."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar

import msgspec

from ta_schemas.errors import InputError
from ta_schemas.rows import Message, Row

RowT = TypeVar("RowT", bound=Row)
OnError = Literal["raise", "skip"]

MAX_LINE_BYTES = 16 * 1024 * 1024
READ_BYTES = WRITE_BYTES = 2**18
MESSAGES = ("messages", "prompt", "chosen", "rejected")
"""Fields that hold lists of messages."""


@dataclass
class RowErrors:
    """What `on_error="skip"` left out: a count for each reason, and the first few in full."""

    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many lines were left out."""
        return self.reasons.total()

    def add(self, reason: str, message: str) -> None:
        """Count one."""
        self.reasons[reason] += 1
        if len(self.examples) < 5:
            self.examples.append(message)


def read_jsonl(
    path: Path,
    row_type: type[RowT],
    *,
    on_error: OnError = "raise",
    errors: RowErrors | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[RowT]:
    """Yield the rows of a file, one line in memory at a time; blank lines are passed over.

    Raises InputError("file:line: field: reason"). With `on_error="skip"` bad lines are counted in `errors`
    instead, which must then be given: nothing is dropped silently.
    """
    if on_error == "skip" and errors is None:
        raise ValueError("on_error='skip' needs errors=RowErrors() to count what it leaves out")
    report = _Report(Path(path), on_error, errors)
    decode = msgspec.json.Decoder(row_type).decode
    for number, line in _lines(report, max_line_bytes):
        try:
            row = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Unknown fields, or an error: the slow way keeps the ones and explains the other.
            try:
                row = to_row(_parsed(line), row_type)
            except _WrongLine as error:
                report(number, str(error))
                continue
            except msgspec.ValidationError as error:
                report(number, _field_first(str(error)), whole=True)
                continue
        yield row


def read_objects(
    path: Path,
    *,
    on_error: OnError = "raise",
    errors: RowErrors | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[tuple[int, Any]]:
    """Yield (line number from 1, parsed JSON) for formats other than ours."""
    report = _Report(Path(path), on_error, errors)
    for number, line in _lines(report, max_line_bytes):
        try:
            raw = _parsed(line)
        except _WrongLine as error:
            report(number, str(error))
            continue
        yield number, raw


class _WrongLine(Exception):
    """A line that is no JSON; the message is the reason."""


@dataclass
class _Report:
    """What becomes of a bad line: an error, or a count."""

    path: Path
    on_error: OnError
    errors: RowErrors | None

    def __call__(self, number: int, reason: str, *, whole: bool = False) -> None:
        """Raise, or count by what stands before the first colon (or by the `whole` reason)."""
        message = f"{self.path}:{number}: {reason}"
        if self.on_error == "raise" or self.errors is None:
            raise InputError(message) from None
        self.errors.add(reason if whole else reason.split(":")[0], message)


def _lines(report: _Report, max_line_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line) of what is not blank; one line in memory at a time."""
    path = report.path
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a directory, expected a JSONL file")
    with path.open("rb", buffering=READ_BYTES) as stream:
        _refuse_utf16(stream, path)
        number = 0
        while line := stream.readline(max_line_bytes + 1):
            number += 1
            if len(line) > max_line_bytes:
                while line and not line.endswith(b"\n"):
                    line = stream.readline(max_line_bytes)
                report(number, f"line is longer than {max_line_bytes // 2**20} MiB: split it")
                continue
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.isspace():
                yield number, line


def _parsed(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise _WrongLine(f"not valid JSON: {error}") from None
    except UnicodeDecodeError as error:
        raise _WrongLine(f"not UTF-8: byte {error.start + 1}: {error.reason}") from None
    except RecursionError:
        raise _WrongLine("not valid JSON: nested too deep") from None


def write_jsonl(path: Path, rows: Iterable[Row]) -> int:
    """Write rows as UTF-8 JSONL and return how many; the file appears whole or not at all."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    encode_into = msgspec.json.Encoder().encode_into
    count = 0
    waiting = bytearray()
    try:
        with partial.open("wb") as stream:
            for row in rows:
                encode_into(row if _is_plain(row) else to_object(row), waiting, -1)
                waiting += b"\n"
                count += 1
                if len(waiting) > WRITE_BYTES:
                    stream.write(waiting)
                    waiting.clear()
            stream.write(waiting)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def to_row(raw: Any, row_type: type[RowT]) -> RowT:
    """Validate a parsed object; fields the type does not know go to `extra`, in messages too.

    Raises msgspec.ValidationError.
    """
    return msgspec.convert(_gathered(raw, row_type), row_type)


def to_object(row: Row) -> dict[str, Any]:
    """The reverse of `to_row`: a plain dict, unknown fields back in place, defaults left out."""
    plain: dict[str, Any] = msgspec.to_builtins(row)
    if not _is_plain(row):
        _restore_unknown(plain)
    return plain


def _gathered(raw: Any, row_type: type[Row]) -> Any:
    """The object with its unknown fields under `extra`, where it has any; what is no object as it is."""
    if not isinstance(raw, dict):
        return raw
    fields, nested = _fields(row_type)
    unknown = {key: value for key, value in raw.items() if key not in fields}
    if unknown and isinstance(raw.get("extra", unknown), dict):
        raw = {key: value for key, value in raw.items() if key in fields}
        raw["extra"] = {**raw.get("extra", {}), **unknown}
    for name in nested:
        children = raw.get(name)
        if isinstance(children, list):
            raw = {**raw, name: [_gathered(child, Message) for child in children]}
    return raw


def _is_plain(row: Row) -> bool:
    """Whether the struct can be written as it is: nothing unknown in it or in its messages."""
    if row.extra:
        return False
    for name in _fields(type(row)).messages:
        for message in getattr(row, name):
            if message.extra:
                return False
    return True


def _restore_unknown(plain: dict[str, Any]) -> None:
    extra = plain.pop("extra", None)
    if extra:
        plain.update(extra)
    for name in MESSAGES:
        for child in plain.get(name, ()):
            if isinstance(child, dict) and "extra" in child:
                child.update(child.pop("extra"))


class _Fields(NamedTuple):
    """The names of a row type's fields, and of those that hold lists of messages."""

    all: frozenset[str]
    messages: tuple[str, ...]


@cache
def _fields(row_type: type[Row]) -> _Fields:
    names = row_type.__struct_fields__
    return _Fields(frozenset(names), tuple(name for name in MESSAGES if name in names))


def _refuse_utf16(stream: BinaryIO, path: Path) -> None:
    head = stream.read(512)
    stream.seek(0)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head.count(0) > len(head) // 4:
        raise InputError(f"{path}: UTF-16 text: convert it first (iconv -f UTF-16 -t UTF-8)")


def _field_first(message: str) -> str:
    """Turn msgspec's 'Expected `str`, got `int` - at `$.messages[0].content`' round: field first."""
    what, _, where = message.partition(" - at `$")
    missing = "Object missing required field `"
    if what.startswith(missing):
        name = what.removeprefix(missing).rstrip("`")
        where = where.rstrip("`").lstrip(".")
        return f"{where + '.' if where else ''}{name}: required field is missing"
    return f"{where.rstrip('`').lstrip('.') or 'row'}: {what[0].lower()}{what[1:]}"
