"""The parent's side of the reading process: one file after the other, each within its limits."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from ta_data.collect.outcome import READY, Limits

PIPE_BYTES = 2**20


class ReadingProcess:
    """Reads files in a child process, which is replaced when a file ends it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  closed on leaving

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._said.close()

    def read(self, path: Path, name: str, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The messages of `read_file`, and always a last {"file"} for `name` itself."""
        child = self._start()
        request = {"path": str(path), "name": name, "columns": dict(columns), "limits": asdict(self._limits)}
        assert child.stdin is not None
        child.stdin.write(msgspec.json.encode(request) + b"\n")
        child.stdin.flush()
        rows = 0
        reason = "the reader was ended: out of memory or crashed"
        try:
            for message in self._messages(child):
                if "end" in message:
                    return
                rows += "row" in message
                yield message
            child.wait()
        except TimeoutError:
            reason = f"no row within {self._limits.silent_s:g} s"
        except GeneratorExit:
            self._end()
            raise
        if child.poll() == 1:  # an exception of ours: what a file does to its reader is caught there
            self._said.seek(0)
            traceback = self._said.read().decode("utf-8", "replace")[-3000:]
            if "MemoryError" not in traceback:
                raise RuntimeError(f"the reading process failed:\n{traceback}")
        self._end()
        yield {"file": {"path": name, "status": "error", "reason": reason, "rows": rows, "bad": {}}}

    def _messages(self, child: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
        assert child.stdout is not None
        descriptor, buffer = child.stdout.fileno(), b""
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        deadline = time.monotonic() + self._limits.silent_s
        while True:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            chunk = os.read(descriptor, PIPE_BYTES)
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                yield decode(line)
            deadline = time.monotonic() + self._limits.silent_s

    def _start(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "ta_data.collect.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,  # the parsers' warnings: what matters comes as a reason
                start_new_session=True,  # Ctrl-C goes to the parent alone, which then ends this one
            )
            assert self._child.stdout is not None
            os.read(self._child.stdout.fileno(), len(READY))
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            for stream in (self._child.stdin, self._child.stdout):
                if stream:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
            self._child = None
