"""llama-server from the wheel `xllamacpp`: no compiler needed. Extra `ta-serve[fast]`.

It runs in a child process, on a port of the loopback interface that only a random key opens.
"""

import asyncio
import importlib
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ta_schemas import InputError, SetupError
from ta_serve.config import Settings
from ta_serve.engines.check import Refused
from ta_serve.engines.llama_cpp.threads import usable_cores
from ta_serve.engines.openai_http import OpenAiHttpEngine
from ta_serve.engines.protocol import Delta, Finished, Request, Stats

MOST_CONTEXT = 8192

LONGEST_PAUSE_S = 10.0
"""Between attempts to start a child that keeps dying; the first one follows at once."""


class XLlamaCppEngine(OpenAiHttpEngine):
    """A GGUF model in llama-server. When the child dies, what it was asked fails as `engine_died`, and the next
    one is started at once; what comes meanwhile waits for it."""

    def __init__(
        self,
        model: Path,
        *,
        settings: Settings | None = None,
        context_tokens: int = 0,
        parallel: int = 16,
        threads: int = 0,
    ) -> None:
        """Load it. `context_tokens`, at most 8192 unless given, are shared by `parallel` answers."""
        if importlib.util.find_spec("xllamacpp") is None:
            raise SetupError("xllamacpp is not installed: install ta-serve[fast]")
        if not model.is_file():
            raise InputError(f"{model}: no such file")
        key = secrets.token_urlsafe(32)
        self._options = {
            "model": str(model),
            "key": key,
            "context_tokens": context_tokens or MOST_CONTEXT,
            "parallel": parallel,
            "threads": threads or usable_cores(),
        }
        url = self._launch()
        self._up, self._why_down = asyncio.Event(), ""
        self._up.set()
        self._restarts = 0
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="llama-server", daemon=True)
        try:
            super().__init__(url, api_key=key, settings=settings)
        except BaseException:
            self._end_process()
            raise
        self._watcher.start()

    def models(self) -> list[str]:
        """It has one."""
        return ["base"]

    def stats(self) -> Stats:
        """See `protocol.Engine`."""
        told = super().stats()
        up = self._up.is_set() and not self._why_down
        return replace(told, ready=told.ready and up, restarts=self._restarts)

    def close(self) -> None:
        """See `protocol.Engine`."""
        self._closing.set()
        super().close()
        self._process.kill()
        if self._watcher.is_alive():  # not where the first child was never heard
            self._watcher.join()

    def _launch(self) -> str:
        """Start a child; gives the address of its server. Raises InputError."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"GGML_NO_BACKTRACE": "1"},
            text=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(self._options) + "\n")  # as an argument others could read the key
        self._process.stdin.flush()
        url = self._process.stdout.readline().strip()
        if not url:
            self._end_process()
            raise InputError(
                f"{self._options['model']}: llama-server cannot load it: truncated, or of an architecture it "
                "does not know"
            )
        return f"{url}/v1"

    def _watch(self) -> None:
        """The thread that waits for the child's death, and starts the next one."""
        pause = 0.0
        while True:
            born = time.monotonic()
            self._process.wait()
            self._tell(up=False)
            self._end_process()
            if time.monotonic() - born > LONGEST_PAUSE_S:
                pause = 0.0
            if self._closing.wait(pause):
                return
            pause = min(2 * pause + 0.25, LONGEST_PAUSE_S)
            try:
                self.url, self._why_down = self._launch(), ""
                self._restarts += 1
            except InputError as error:
                self._why_down = f"the engine died and cannot be started again: {error}"
            self._tell(up=True)

    def _tell(self, *, up: bool) -> None:
        """Let what waits go on; with `_why_down` it is refused."""
        with suppress(RuntimeError):  # the loop is closed: so is the engine
            self._loop.call_soon_threadsafe(self._up.set if up else self._up.clear)

    async def _answer(self, request: Request, model: str) -> AsyncIterator[Delta | Finished]:
        import httpx

        await self._up.wait()
        if self._why_down:
            raise Refused("engine_died", self._why_down)
        try:
            async for event in super()._answer(request, model):
                yield event
        except httpx.HTTPError:
            raise Refused("engine_died", "the engine died: ask again") from None

    def _end_process(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()


def serve() -> None:
    """The child: serve until the parent closes its end of the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent's to handle
        signal.signal(number, signal.SIG_IGN)
    options = json.loads(sys.stdin.readline())
    out = os.dup(1)
    os.dup2(2, 1)  # what llama-server prints is not the address
    xllamacpp: Any = importlib.import_module("xllamacpp")  # it has no types
    params = xllamacpp.CommonParams()
    params.model.path = options["model"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [options["key"]]
    params.n_ctx = options["context_tokens"]
    params.n_parallel = options["parallel"]
    params.kv_unified = True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options["threads"]
    params.ui = False
    server = xllamacpp.Server(params)
    os.write(out, f"{server.listening_address}\n".encode())
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    serve()
