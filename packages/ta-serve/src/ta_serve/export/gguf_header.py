"""The head of a GGUF file: its keys and its tensors' names, types and sizes, but not their numbers.

The `gguf` library's reader makes a numpy array of every token and merge: 5 CPU-seconds for SmolLM2, 0.2 here.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

from ta_schemas import InputError
from ta_serve.export.needs import need

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST = 2**30
"""Bytes or items of one value; a larger number means that these are no sizes."""


class Tensor(NamedTuple):
    """A tensor as the file lists it; the row's length comes first in `shape`."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    size_bytes: int


class Header(NamedTuple):
    """What stands before the numbers; arrays are lists of strings or numbers."""

    fields: dict[str, Any]
    tensors: list[Tensor]


def read_header(file: Path) -> Header:
    """Read it. Raises InputError where the file is missing, truncated or not GGUF."""
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    try:
        with file.open("rb") as stream:
            return _read(stream, file.stat().st_size)
    except (struct.error, ValueError, KeyError) as error:
        raise InputError(f"{file}: unreadable GGUF file ({error}): truncated, or not GGUF") from None


def _read(stream: BufferedReader, file_size: int) -> Header:
    if stream.read(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version, tensor_count, field_count = _unpack(stream, "<IQQ")
    if version not in (2, 3):
        raise ValueError(f"version {version}, expected 2 or 3")
    fields = {}
    for _ in range(field_count):
        key = _string(stream)
        fields[key] = _value(stream, _unpack(stream, "<I")[0])
    tensors = [_tensor(stream) for _ in range(tensor_count)]
    alignment = int(fields.get("general.alignment", 32))
    start = -(-stream.tell() // alignment) * alignment
    if tensors and start + max(t.offset + t.size_bytes for t in tensors) > file_size:
        raise ValueError("it ends before its last tensor")
    return Header(fields, tensors)


def _tensor(stream: BufferedReader) -> Tensor:
    constants = need("gguf.constants", "export")
    name = _string(stream)
    (dimensions,) = _unpack(stream, "<I")
    if dimensions > 8:
        raise ValueError(f"{name} has {dimensions} dimensions")
    shape = _unpack(stream, f"<{dimensions}Q")
    number, offset = _unpack(stream, "<IQ")
    kind = constants.GGMLQuantizationType(number)
    block, block_bytes = constants.GGML_QUANT_SIZES[kind]
    weights = 1
    for length in shape:
        weights *= length
    return Tensor(name, shape, str(kind.name), offset, weights // block * block_bytes)


def _value(stream: BufferedReader, kind: int) -> Any:
    if kind == _STRING:
        return _string(stream)
    if kind != _ARRAY:
        return _unpack(stream, f"<{_SCALARS[kind]}")[0]
    inner, count = _unpack(stream, "<IQ")
    if count > _LONGEST:
        raise ValueError(f"an array of {count} items")
    if inner in (_STRING, _ARRAY):
        return [_value(stream, inner) for _ in range(count)]
    return list(_unpack(stream, f"<{count}{_SCALARS[inner]}"))


def _string(stream: BufferedReader) -> str:
    (length,) = _unpack(stream, "<Q")
    if length > _LONGEST:
        raise ValueError(f"a string of {length} bytes")
    return stream.read(length).decode("utf-8", errors="replace")


def _unpack(stream: BufferedReader, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))
