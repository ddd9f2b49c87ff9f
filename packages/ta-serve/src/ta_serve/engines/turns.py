"""Requests to the transformers engine take turns: those that wait are answered as one batch, in a thread."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from ta_serve.engines.check import Refused
from ta_serve.engines.protocol import Deliver, Delta, Failed, Finished, Request, Stats, Usage

if TYPE_CHECKING:
    from ta_serve.engines.row import Row
    from ta_serve.engines.transformers import TransformersEngine

MOST_WAITING = 1024
MOST_ROWS = 16


@dataclass(eq=False)
class Turn:
    """A request on its way."""

    request: Request
    deliver: Deliver
    deadline: float
    cancelled: bool = False
    said: str = ""
    row: "Row | None" = field(default=None, repr=False)


class Turns:
    """The engine's thread. A batch is not joined by those who come later: for that there is llama.cpp."""

    def __init__(self, engine: "TransformersEngine") -> None:
        self._engine = engine
        self._came: SimpleQueue[Turn | None] = SimpleQueue()
        self._aside: list[Turn] = []
        self._open: dict[str, Turn] = {}
        self._running = 0
        self._counted = Usage(0, 0, 0)
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="transformers", daemon=True)
        self._thread.start()

    def submit(self, request: Request, deliver: Deliver) -> None:
        """See `protocol.Engine`."""
        late = float("inf") if request.deadline_s is None else time.monotonic() + request.deadline_s
        turn = Turn(request, deliver, late)
        with self._lock:
            failed = None
            if self._closed:
                failed = Failed("closed", "the engine is closed")
            elif request.id in self._open:
                failed = Failed("invalid_request", f"a request with id {request.id!r} is running already")
            elif len(self._open) >= MOST_WAITING:
                failed = Failed("overloaded", f"{MOST_WAITING} requests wait already")
            else:
                self._open[request.id] = turn
                self._came.put(turn)
        if failed:
            deliver(failed)

    def cancel(self, request_id: str) -> None:
        """See `protocol.Engine`."""
        with self._lock:
            if request_id in self._open:
                self._open[request_id].cancelled = True

    def stats(self) -> Stats:
        """See `protocol.Engine`."""
        with self._lock:
            prompt, completion, _ = self._counted
            return Stats(
                ready=not self._closed,
                running=self._running,
                waiting=max(len(self._open) - self._running, 0),
                prompt_tokens=prompt,
                completion_tokens=completion,
                context_tokens=self._engine.tokens.context,
            )

    def close(self) -> None:
        """See `protocol.Engine`."""
        with self._lock:
            self._closed = True
        self._came.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._closed:
            batch = self._next_batch()
            rows = [turn for turn in batch if self._begin(turn)]
            if rows:
                self._answer(rows)
        for turn in list(self._open.values()):
            self._end(turn, Failed("closed", "the engine is closed"))

    def _next_batch(self) -> list[Turn]:
        """Who waits, as far as their temperature is the first one's; waits for the first."""
        if not self._aside:
            first = self._came.get()
            self._aside = [first] if first else []
        while True:
            try:
                turn = self._came.get_nowait()
            except Empty:
                break
            if turn:
                self._aside.append(turn)
        if not self._aside:
            return []
        wanted = self._aside[0].request.temperature
        alike = [turn for turn in self._aside if turn.request.temperature == wanted][:MOST_ROWS]
        self._aside = [turn for turn in self._aside if turn not in alike]
        return alike

    def _begin(self, turn: Turn) -> bool:
        """Make its row; False where it ends before it begins."""
        try:
            turn.row = self._engine.row(turn.request)
        except Refused as refused:
            self._end(turn, refused.event())
            return False
        return not self._left(turn)

    def _answer(self, turns: Sequence[Turn]) -> None:
        from ta_serve.engines.decode import Prefix, decode

        self._running = len(turns)
        engine, rows = self._engine, [turn.row for turn in turns if turn.row]
        prefix = Prefix(engine.model, [row.prompt for row in rows])
        heat = turns[0].request.temperature
        for _ in decode(engine.model, rows, prefix, pad_id=engine.tokens.pad_id, temperature=heat):
            for turn in turns:
                self._tell(turn)
            self._running = sum(turn.request.id in self._open for turn in turns)
        self._running = 0

    def _tell(self, turn: Turn) -> None:
        row = turn.row
        if row is None or turn.request.id not in self._open or self._left(turn):
            return
        settled = row.settled_text()
        if len(settled) > len(turn.said):
            turn.deliver(Delta(settled[len(turn.said) :]))
            turn.said = settled
        if row.finish_reason:
            self._end(turn, Finished(row.finish_reason, self._usage(turn)))

    def _left(self, turn: Turn) -> bool:
        """End a turn that was cancelled, or that is late."""
        if not (turn.cancelled or self._closed or turn.deadline <= time.monotonic()):
            return False
        if turn.row:
            turn.row.finish_reason = "length"  # it leaves the batch
        if self._closed:
            self._end(turn, Failed("closed", "the engine is closed"))
        elif turn.cancelled:
            self._end(turn, Finished("cancelled", self._usage(turn)))
        else:
            self._end(turn, Failed("deadline", f"not done within {turn.request.deadline_s} s"))
        return True

    def _end(self, turn: Turn, event: Finished | Failed) -> None:
        with self._lock:
            self._open.pop(turn.request.id, None)
            if isinstance(event, Finished):
                self._counted = Usage(*(a + b for a, b in zip(self._counted, event.usage, strict=True)))
        turn.deliver(event)

    def _usage(self, turn: Turn) -> Usage:
        return Usage(len(turn.row.prompt), len(turn.row.tokens), 0) if turn.row else Usage(0, 0, 0)
