"""Reading and writing JSONL: streaming, validated, atomic; an error names file, line and field."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import msgspec

from ta_schemas.errors import InputError
from ta_schemas.rows import Row

RowT = TypeVar("RowT", bound=Row)
OnError = Literal["raise", "skip"]

MAX_LINE_BYTES = 16 * 1024 * 1024


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
    for number, raw in read_objects(path, on_error=on_error, errors=errors, max_line_bytes=max_line_bytes):
        try:
            yield to_row(raw, row_type)
        except msgspec.ValidationError as error:
            reason = _field_first(str(error))
            message = f"{path}:{number}: {reason}"
            if on_error == "raise" or errors is None:
                raise InputError(message) from None
            errors.add(reason, message)


def read_objects(
    path: Path,
    *,
    on_error: OnError = "raise",
    errors: RowErrors | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[tuple[int, Any]]:
    """Yield (line number from 1, parsed JSON) for formats other than ours."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a directory, expected a JSONL file")
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as stream:
        _refuse_utf16(stream, path)
        number = 0
        while True:
            line = stream.readline(max_line_bytes + 1)
            if not line:
                return
            number += 1
            reason = ""
            if len(line) > max_line_bytes:
                while line and not line.endswith(b"\n"):
                    line = stream.readline(max_line_bytes)
                reason = f"line is longer than {max_line_bytes // 2**20} MiB: split it"
            elif number == 1 and line.startswith(b"\xef\xbb\xbf"):
                line = line[3:]
            if not reason:
                if not line.strip():
                    continue
                try:
                    raw = decode(line)
                except msgspec.DecodeError as error:
                    reason = f"not valid JSON: {error}"
                except UnicodeDecodeError as error:
                    reason = f"not UTF-8: byte {error.start + 1}: {error.reason}"
            if not reason:
                yield number, raw
            elif on_error == "raise" or errors is None:
                raise InputError(f"{path}:{number}: {reason}")
            else:
                errors.add(reason.split(":")[0], f"{path}:{number}: {reason}")


def write_jsonl(path: Path, rows: Iterable[Row]) -> int:
    """Write rows as UTF-8 JSONL and return how many; the file appears whole or not at all."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    encode = msgspec.json.Encoder().encode
    count = 0
    try:
        with partial.open("wb") as stream:
            for row in rows:
                stream.write(encode(to_object(row)) + b"\n")
                count += 1
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
    row = msgspec.convert(raw, row_type)
    _keep_unknown(row, raw)
    return row


def to_object(row: Row) -> dict[str, Any]:
    """The reverse of `to_row`: a plain dict, unknown fields back in place, defaults left out."""
    plain: dict[str, Any] = msgspec.to_builtins(row)
    _restore_unknown(plain)
    return plain


def _keep_unknown(row: Row, raw: dict[str, Any]) -> None:
    fields = row.__struct_fields__
    unknown = raw.keys() - set(fields)
    if unknown:
        row.extra = {**row.extra, **{key: raw[key] for key in raw if key in unknown}}
    for name in _nested_fields(type(row)):
        for child, child_raw in zip(getattr(row, name), raw.get(name, ()), strict=False):
            if len(child_raw) > 2:
                _keep_unknown(child, child_raw)


def _restore_unknown(plain: dict[str, Any]) -> None:
    extra = plain.pop("extra", None)
    if extra:
        plain.update(extra)
    for name in ("messages", "prompt", "chosen", "rejected"):
        for child in plain.get(name, ()):
            if isinstance(child, dict) and "extra" in child:
                child.update(child.pop("extra"))


_NESTED: dict[type[Row], tuple[str, ...]] = {}


def _nested_fields(row_type: type[Row]) -> tuple[str, ...]:
    """Names of the fields that hold lists of messages."""
    if row_type not in _NESTED:
        names = ("messages", "prompt", "chosen", "rejected")
        _NESTED[row_type] = tuple(name for name in names if name in row_type.__struct_fields__)
    return _NESTED[row_type]


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
