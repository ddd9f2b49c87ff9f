"""A child process that has loaded the model, seen from the parent."""

import os
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection

import ta_serve
from ta_schemas import InputError, SetupError
from ta_serve.engines.llama_cpp.wire import FromChild, Loaded, NotLoaded, Options, ToChild

WORKER = "ta_serve.engines.llama_cpp.worker"

SPIN = "100"
"""Rounds that a thread waits for the others before it sleeps. On cores that others use too, 4000 gave 9 tokens
a CPU-second, 1000 gave 21, and 100 as many as none at all, 38 (SmolLM2-135M, two threads, November 2026)."""


class Gone(Exception):
    """The child has died."""


class Child:
    """Started, loaded, ready to hear. Raises InputError (the model cannot be loaded), SetupError (it died)."""

    def __init__(self, options: Options) -> None:
        # Not multiprocessing's spawn: that would import the caller's main module a second time.
        ours, theirs = socket.socketpair()
        environment = child_environment()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
            )
        self._connection = Connection(ours.detach())
        self._lock = threading.Lock()
        try:
            self.send(options)
            message = self.receive()
        except Gone:
            code = self.end()
            raise SetupError(f"{options.model}: the process that loads it ended with code {code}") from None
        except BaseException:  # Ctrl-C while it loads
            self.end()
            raise
        if not isinstance(message, Loaded):
            self.end()
            raise InputError(message.message if isinstance(message, NotLoaded) else f"unexpected {message}")
        self.loaded = message

    def send(self, message: Options | ToChild) -> None:
        """Raises Gone."""
        try:
            with self._lock:
                self._connection.send(message)
        except OSError:
            raise Gone from None

    def receive(self) -> FromChild:
        """Wait for the next message. Raises Gone."""
        try:
            message: FromChild = self._connection.recv()
        except (EOFError, OSError):
            raise Gone from None
        return message

    def end(self) -> int:
        """Stop the process at once and wait for it; gives its exit code."""
        self.process.kill()
        code = self.process.wait()
        self._connection.close()
        return code


def child_environment() -> dict[str, str]:
    """Ours, and how llama.cpp is to wait and to die."""
    # Without it llama.cpp's abort handler starts a debugger and hangs, where it should die.
    ours = {"GGML_NO_BACKTRACE": "1", "GOMP_SPINCOUNT": ta_serve.GIVEN_SPIN or SPIN}
    return os.environ | ours
