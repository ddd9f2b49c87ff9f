"""JSON lines in, JSON lines out: how every `ta-safety` filter works in a pipe."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ta_schemas.errors import InputError


def rows(source: Path, *, fields: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, or of standard input for `-`, each with at least one of `fields` as text.

    Bytes that are not UTF-8 are replaced and checked like the rest: an attack does not get past by being
    broken.
    Raises InputError("file:line: what is wrong").
    """
    if str(source) == "-":
        yield from _read(sys.stdin.buffer, "standard input", fields)
    elif not source.is_file():
        raise InputError(f"{source}: no such file: give a JSONL file, or - for standard input")
    else:
        with source.open("rb") as stream:
            yield from _read(stream, str(source), fields)


def write_verdicts(verdicts: Iterator[dict[str, Any]]) -> None:
    """One line each on standard output, flushed, so that the next program in the pipe need not wait."""
    encode = msgspec.json.Encoder().encode
    out = sys.stdout.buffer
    for verdict in verdicts:
        out.write(encode(verdict) + b"\n")
        out.flush()


def verdicts(
    source: Path, fields: tuple[str, ...], judge: Callable[[dict[str, Any]], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """`judge` of each row, with the row's `id` kept."""
    for row in rows(source, fields=fields):
        yield ({"id": row["id"]} if "id" in row else {}) | judge(row)


def _read(stream: BinaryIO, name: str, fields: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            row = decode(line.decode("utf-8", "replace").removeprefix("\ufeff"))
        except (msgspec.DecodeError, RecursionError) as error:
            raise InputError(
                f"{name}:{number}: not JSON ({error}): one JSON object a line is expected"
            ) from None
        wanted = " or ".join(f'"{field}"' for field in fields)
        if not isinstance(row, dict) or not any(isinstance(row.get(field), str) for field in fields):
            raise InputError(f"{name}:{number}: expected an object with {wanted} as text")
        yield row
