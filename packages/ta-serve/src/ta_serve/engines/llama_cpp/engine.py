"""The engine that callers hold: hands requests to the child process, and starts a new one where it dies."""

import importlib.util
import itertools
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from ta_schemas import InputError, SetupError, UserError
from ta_serve.config import Settings
from ta_serve.engines.chat_engine import ChatEngine, as_error
from ta_serve.engines.llama_cpp.child import Child, Gone
from ta_serve.engines.llama_cpp.threads import usable_cores
from ta_serve.engines.llama_cpp.wire import Cancel, Count, Counted, Counters, Events, Options, Submit, ToChild
from ta_serve.engines.protocol import Deliver, Delta, Event, Failed, Finished, Request, Stats, Usage

LONGEST_PAUSE_S = 10.0
"""Between attempts to start a child that keeps dying; the first one follows at once."""


class LlamaCppEngine(ChatEngine):
    """A GGUF model and its LoRA adapters. Any number of threads may use it."""

    def __init__(
        self,
        model: Path,
        *,
        adapters: Mapping[str, Path] | None = None,
        settings: Settings | None = None,
        context_tokens: int = 0,
        parallel: int = 16,
        threads: int = 0,
        batch_tokens: int = 256,
        keep_bytes: int = 256 * 2**20,
        max_waiting: int = 1024,
        max_adapters: int = 8,
    ) -> None:
        """Load it; returns when it can answer.

        `adapters`: GGUF files by name, asked for as `base:name`. For the numbers see `wire.Options`;
        `threads` 0: the real cores. More than `max_waiting` waiting requests are refused as `overloaded`.
        Raises InputError for files that cannot be loaded, SetupError where the extra is missing.
        """
        super().__init__(settings)
        require_llama_cpp()
        adapters = dict(adapters or {})
        for file in (model, *adapters.values()):
            _check_gguf(file)
        if len(adapters) > max_adapters:
            raise InputError(
                f"{len(adapters)} adapters, at most {max_adapters}: raise max_adapters or name fewer"
            )
        self._options = Options(
            model,
            adapters,
            context_tokens=context_tokens,
            parallel=parallel,
            threads=threads or usable_cores(),
            batch_tokens=max(batch_tokens, parallel),
            keep_bytes=keep_bytes,
        )
        self._most = parallel + max_waiting
        self._lock = threading.Lock()
        self._sent: dict[str, Deliver] = {}
        self._early: dict[str, tuple[Request, Deliver]] = {}
        """Came while a new child was loading."""
        self._counting: dict[int, Future[int]] = {}
        self._numbers = itertools.count()
        self._counters, self._before = Counters(), Counters()
        self._restarts = 0
        self._closing = threading.Event()
        self._refusal: Failed | None = None
        """Given to every request: it is closed, or could not be started again."""
        self._child: Child | None = Child(self._options)
        self._loaded = self._child.loaded
        self._thread = threading.Thread(target=self._listen, name="llama-cpp", daemon=True)
        self._thread.start()

    def models(self) -> list[str]:
        """`base`, and `base:NAME` for each adapter."""
        return ["base", *(f"base:{name}" for name in self._options.adapters)]

    def submit(self, request: Request, deliver: Deliver) -> None:
        """See `protocol.Engine`. A refusal for want of room may be delivered before this returns."""
        failed, child = self._admit(request, deliver)
        if failed:
            deliver(failed)
        elif child:
            _say(child, Submit(self.with_settings(request)))

    def _admit(self, request: Request, deliver: Deliver) -> tuple[Failed | None, Child | None]:
        """Why not, or the child to tell; none while there is none."""
        with self._lock:
            if self._refusal:
                return self._refusal, None
            if request.id in self._sent or request.id in self._early:
                return Failed("invalid_request", f"a request with id {request.id!r} is running already"), None
            if len(self._sent) + len(self._early) >= self._most:
                return Failed("overloaded", f"{self._most} requests run and wait already"), None
            if self._child is None:
                self._early[request.id] = (request, deliver)
            else:
                self._sent[request.id] = deliver
            return None, self._child

    def cancel(self, request_id: str) -> None:
        """See `protocol.Engine`."""
        with self._lock:
            child = self._child if request_id in self._sent else None
            early = self._early.pop(request_id, None)
        if child:
            _say(child, Cancel(request_id))
        if early:
            early[1](Finished("cancelled", Usage(0, 0, 0)))

    def count_tokens(self, request: Request) -> int:
        """See `protocol.Engine`. Raises InputError for a request that cannot be rendered."""
        number, counted = next(self._numbers), Future[int]()
        with self._lock:
            child = self._child
            if child is None:
                raise as_error(self._refusal or Failed("engine_died", "the engine is being restarted"))
            self._counting[number] = counted
        _say(child, Count(number, request))
        return counted.result()

    def stats(self) -> Stats:
        """See `protocol.Engine`."""
        with self._lock:
            inside = len(self._sent) + len(self._early)
            running = min(self._counters.running, inside)
            return Stats(
                ready=self._child is not None,
                running=running,
                waiting=inside - running,
                restarts=self._restarts,
                prompt_tokens=self._before.prompt_tokens + self._counters.prompt_tokens,
                completion_tokens=self._before.completion_tokens + self._counters.completion_tokens,
                cached_tokens=self._before.cached_tokens + self._counters.cached_tokens,
                context_tokens=self._loaded.context_tokens,
                adapters=tuple(self._options.adapters),
            )

    def close(self) -> None:
        """See `protocol.Engine`. What runs and waits fails with code `closed`."""
        self._closing.set()
        with self._lock:
            self._refusal = Failed("closed", "the engine is closed")
            if self._child:
                self._child.process.kill()  # the listening thread notices, and ends
        self._thread.join()

    def _listen(self) -> None:
        """The thread that hears the child, and starts another one when it has died."""
        pause = 0.0
        child = self._child
        while True:
            born = time.monotonic()
            if child:
                self._hear(child)
                self._bury(child)
            if time.monotonic() - born > LONGEST_PAUSE_S:
                pause = 0.0
            if self._closing.wait(pause):
                break
            pause = min(2 * pause + 0.25, LONGEST_PAUSE_S)
            child = self._start()
        self._fail_all(Failed("closed", "the engine is closed"))

    def _hear(self, child: Child) -> None:
        """Pass on what the child says until it has gone."""
        while True:
            try:
                message = child.receive()
            except Gone:
                return
            if isinstance(message, Counted):
                counted = self._counting.pop(message.number)
                if isinstance(message.result, Failed):
                    counted.set_exception(as_error(message.result))
                else:
                    counted.set_result(message.result)
            elif isinstance(message, Events):
                for deliver, event in self._take(message):
                    deliver(event)

    def _take(self, message: Events) -> list[tuple[Deliver, Event]]:
        with self._lock:
            self._counters = message.counters
            taken = []
            for request_id, event in message.events:
                deliver = (
                    self._sent.get(request_id) if isinstance(event, Delta) else self._sent.pop(request_id, None)
                )
                if deliver:
                    taken.append((deliver, event))
        return taken

    def _bury(self, child: Child) -> None:
        """Fail what it was asked; from here on requests wait for the next one."""
        code = child.end()
        with self._lock:
            self._child = None
            total = [sum(pair) for pair in zip(self._before, self._counters, strict=True)]
            self._before, self._counters = Counters(*total), Counters()
            sent, self._sent = self._sent, {}
            counting, self._counting = self._counting, {}
        failed = self._refusal or Failed("engine_died", f"the engine died (exit code {code}): ask again")
        for deliver in sent.values():
            deliver(failed)
        for counted in counting.values():
            counted.set_exception(as_error(failed))

    def _start(self) -> Child | None:
        """A new child, given what came in the meantime; None where it cannot be started."""
        try:
            child = Child(self._options)
        except UserError as error:
            failed = Failed("engine_died", f"the engine died and cannot be started again: {error}")
            with self._lock:
                self._refusal = self._refusal or failed
            self._fail_all(failed)
            return None
        with self._lock:
            self._restarts += 1
            if self._closing.is_set():
                child.process.kill()
            else:
                self._refusal = None
            self._child = child
            early, self._early = self._early, {}
            self._sent |= {request.id: deliver for request, deliver in early.values()}
        messages = [Submit(self.with_settings(request)) for request, _ in early.values()]
        # This thread must listen meanwhile: the child could wait for it to be heard.
        threading.Thread(target=_say, args=(child, *messages), daemon=True).start()
        return child

    def _fail_all(self, failed: Failed) -> None:
        with self._lock:
            early, self._early = self._early, {}
        for _, deliver in early.values():
            deliver(failed)


def _say(child: Child, *messages: ToChild) -> None:
    """Not under the engine's lock, or both sides could wait for one another to listen."""
    with suppress(Gone):  # noticed by the listening thread
        for message in messages:
            child.send(message)


def require_llama_cpp() -> None:
    """SetupError unless llama-cpp-python is there."""
    if importlib.util.find_spec("llama_cpp") is None:
        raise SetupError(
            "llama-cpp-python is not installed: install ta-serve[llama-cpp] (it needs a C++ compiler)"
        )


def _check_gguf(file: Path) -> None:
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise InputError(f"{file}: not a GGUF file")
