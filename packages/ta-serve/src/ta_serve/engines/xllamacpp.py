"""llama-server from the wheel `xllamacpp`: no compiler needed. Extra `ta-serve[fast]`.

It runs in a child process, on a port of the loopback interface that only a random key opens.
"""

import importlib
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from ta_schemas import InputError, SetupError
from ta_serve.config import Settings
from ta_serve.engines.llama_cpp.threads import usable_cores
from ta_serve.engines.openai_http import OpenAiHttpEngine

MOST_CONTEXT = 8192


class XLlamaCppEngine(OpenAiHttpEngine):
    """A GGUF model in llama-server. When the child dies, requests fail as `engine_died`: open it anew."""

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
        options = {
            "model": str(model),
            "key": key,
            "context_tokens": context_tokens or MOST_CONTEXT,
            "parallel": parallel,
            "threads": threads or usable_cores(),
        }
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
        self._process.stdin.write(json.dumps(options) + "\n")  # not as an argument: others could read the key
        self._process.stdin.flush()
        url = self._process.stdout.readline().strip()
        if not url:
            self._end_process()
            raise InputError(f"{model}: llama-server cannot load it")
        try:
            super().__init__(f"{url}/v1", api_key=key, settings=settings)
        except BaseException:
            self._end_process()
            raise

    def models(self) -> list[str]:
        """It has one."""
        return ["base"]

    def close(self) -> None:
        """See `protocol.Engine`."""
        super().close()
        self._end_process()

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
