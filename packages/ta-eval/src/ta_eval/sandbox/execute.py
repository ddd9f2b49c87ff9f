"""execute(): one command, run once in the sandbox, and what could be seen of it."""

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.resources import files
from typing import BinaryIO, NamedTuple

from ta_eval.sandbox.bwrap import Sandbox, as_whom
from ta_eval.sandbox.snapshot import Tree, read_tree

WALL_S = 10.0
FROZEN = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
"""What the clock says in the sandbox, where libfaketime is installed."""
FILE_AGE_S = 3600
"""Files that setup has just made are made to look an hour old."""
SETUP_FAILED = 120
LONGEST_COMMAND = 64 * 1024
MOST_KEPT = 2**20
SUDO = """#!/bin/sh
case $1 in -*) echo "sudo: command not found" >&2; exit 127 ;; esac
exec "$@"
"""
"""All files there are the user's, so a plain `sudo` changes nothing; one with options is not there."""


class Execution(NamedTuple):
    """What a command did; `problem` says why nothing is known of it."""

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    files: Tree = {}  # noqa: RUF012
    state: str = ""
    """Working directory, exported variables, aliases, options and background processes after it."""
    problem: str = ""
    seconds: float = 0.0
    """Wall time, setup included."""

    @property
    def first_error(self) -> str:
        """The first line of stderr."""
        return _first_line(self.stderr)


@functools.lru_cache(maxsize=2048)
def execute(sandbox: Sandbox, command: str, *, setup: str = "", wall_s: float = WALL_S) -> Execution:
    """Run `setup`, then `command` with bash, in an empty home directory.

    `wall_s` bounds both together. The result is remembered: command and setup are all it depends on.
    """
    if "\0" in command + setup:
        return Execution(problem="it contains a NUL byte")
    if len(command) + len(setup) > LONGEST_COMMAND:
        return Execution(problem=f"it is longer than {LONGEST_COMMAND} characters")
    start, began = int(time.time()) - 1, time.monotonic()
    untouched = int(FROZEN.timestamp() if sandbox.clock else start) - FILE_AGE_S
    with contextlib.ExitStack() as stack:
        out, err, *extra = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(6))
        argv = list(sandbox.argv)
        texts = {"/.driver": _driver(), "/.setup": setup, "/.command": command, "/usr/local/bin/sudo": SUDO}
        for text in texts.values():
            extra.append(stack.enter_context(tempfile.TemporaryFile()))
            extra[-1].write(text.encode("utf-8", "surrogatepass"))
            extra[-1].seek(0)
        # Far from 6 to 9, which the driver calls them.
        numbers = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 20) for file in extra]
        for number in numbers:
            stack.callback(os.close, number)
        for path, number in zip(texts, numbers[4:], strict=True):
            argv += ["--perms", "0755", "--file", str(number), path]
        arguments = [start, untouched, sandbox.clock, f"{FROZEN:%Y-%m-%d %H:%M:%S}", *numbers[:4]]
        with subprocess.Popen(
            [*argv, "--", "/usr/bin/bash", "/.driver", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=numbers,
            cwd="/",
            **as_whom(),
        ) as process:
            try:
                exit_code = process.wait(timeout=wall_s)
            except subprocess.TimeoutExpired:
                return Execution(problem=f"still running after {wall_s:g} s")
            finally:
                process.kill()  # bwrap dies with all that it holds
        setup_errors, listing, archive, state = map(_read, extra[:4])
        if not listing and exit_code == SETUP_FAILED:
            told = _first_line(setup_errors.decode("utf-8", "replace"))
            return Execution(problem=f"setup failed: {told or 'its last command did not succeed'}")
        if not listing:
            return Execution(problem="it ended everything in the sandbox")
        return Execution(
            exit_code,
            _text(_read(out)),
            _text(_read(err)),
            read_tree(listing, archive, start=start),
            state.decode("utf-8", "replace"),
            seconds=time.monotonic() - began,
        )


@functools.cache
def _driver() -> str:
    return files("ta_eval.sandbox").joinpath("driver.sh").read_text(encoding="utf-8")


def _read(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _text(data: bytes) -> str:
    """Output to be compared and kept: of more than 1 MiB the start, and a digest of all."""
    if len(data) > MOST_KEPT:
        data = data[:MOST_KEPT] + f"\n({len(data)} bytes, {hashlib.sha256(data).hexdigest()})".encode()
    return data.decode("utf-8", "backslashreplace")


def _first_line(text: str) -> str:
    line = (text.strip().splitlines() or [""])[0][:200]
    return re.sub(r"\x1b\[[\d;]*m|[\x00-\x1f]", "", line)  # colours of apt and others
