"""One request inside the engine: its events for the event loop, its end for whatever reason."""

import asyncio
import time
from collections import deque
from types import TracebackType
from typing import Self

from starlette.types import Receive

from ta_serve.engines.protocol import Delta, Engine, Event, Failed, Finished, Request
from tunedassist_api.answers.admission import Place
from tunedassist_api.wire.errors import CallerGone


class Answer:
    """Submits on entry; on exit the engine is told to stop unless it has finished.

    Ends early when the caller's connection closes (CallerGone), at the deadline (Failed) or by `fail`.
    """

    def __init__(
        self, engine: Engine, request: Request, place: Place, receive: Receive, *, deadline_s: float
    ) -> None:
        self.engine, self.request, self._place = engine, request, place
        self._receive, self._deadline_s = receive, deadline_s
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._gone = self._over = False
        self.started = time.monotonic()
        self.first_token_s: float | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._deadline_s, self._run_out)
        self._watch = asyncio.create_task(self._watch_caller())
        try:
            self.engine.submit(self.request, self._deliver)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._watch.cancel()
        if not self._over:
            self.engine.cancel(self.request.id)

    async def next(self) -> Event:
        """The next event; text that came meanwhile is one Delta. Raises CallerGone."""
        while not self._events and not self._gone:
            self._wake.clear()
            await self._wake.wait()
        if self._gone:
            raise CallerGone
        text = ""
        while self._events:
            event = self._events[0]
            if not isinstance(event, Delta):
                break
            text += event.text
            self._events.popleft()
        return Delta(text) if text else self._events.popleft()

    def fail(self, failed: Failed) -> None:
        """End it with this failure, unless it has ended."""
        if not self._over:
            self.engine.cancel(self.request.id)
            self._put(failed)

    def _deliver(self, event: Event) -> None:
        """Called from the engine's thread."""
        try:
            self._loop.call_soon_threadsafe(self._put, event)
        except RuntimeError:  # the loop is closed: the server has stopped, nobody listens
            return

    def _put(self, event: Event) -> None:
        if self._over:
            return
        if isinstance(event, Finished) and event.reason == "cancelled":
            event = Failed("closed", "the engine gave the answer up")  # we cancel only what is over
        if isinstance(event, Delta):
            if not event.text:
                return
            if self.first_token_s is None:
                self.first_token_s = time.monotonic() - self.started
        else:
            self._over = True
            # A place is free when the engine is done, however slowly the caller reads.
            self._place.leave()
        self._events.append(event)
        self._wake.set()

    def _run_out(self) -> None:
        self.fail(Failed("deadline", f"no whole answer within {self._deadline_s:g} s: ask for fewer tokens"))

    async def _watch_caller(self) -> None:
        """The body has been read, so what comes next is the end of the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._wake.set()
