"""The process that reads foreign files: a request a line on stdin, rows and reports a line on stdout.

    python -m ta_data.collect.child

It is expendable: the parent (`worker.py`) ends it when a file makes it hang or grow, and starts another.
"""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from ta_data.collect.outcome import MIB, READY, Limits
from ta_data.collect.readers import read_file


def serve() -> None:
    """Answer requests until stdin ends."""
    # A library that prints must not get between the lines.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=2**16)
    sys.stdout = sys.stderr
    encode = msgspec.json.Encoder().encode

    def emit(message: dict[str, Any]) -> None:
        out.write(encode(message) + b"\n")

    out.write(READY)
    out.flush()
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line)
        limits = Limits(**request["limits"])
        bound_memory(limits)
        with Path(request["path"]).open("rb") as stream:
            kind = Path(request["path"]).name
            read_file(request["name"], stream, limits, request["columns"], emit, kind=kind)
        emit({"end": True})
        out.flush()


def bound_memory(limits: Limits) -> None:
    """Cap the address space, where the system can."""
    import resource

    most = limits.memory_mb * MIB
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    serve()
