"""The child process: `python -m ta_serve.engines.llama_cpp.worker FD`, started by `child.py`.

FD is one end of a socket pair over which the messages of `wire.py` go. It ends when the other end is closed.
"""

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any

from ta_schemas import InputError
from ta_serve.engines.check import Refused
from ta_serve.engines.llama_cpp.answer import Answer
from ta_serve.engines.llama_cpp.wire import (
    Cancel,
    Count,
    Counted,
    Events,
    FromChild,
    Loaded,
    NotLoaded,
    Submit,
)

Inbox = SimpleQueue[Answer | Cancel]


def main() -> None:
    """Load the model, then serve until the parent goes."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent's to handle: it may want to finish its answers
        signal.signal(number, signal.SIG_IGN)
    pipe = Pipe(int(sys.argv[1]))
    options = pipe.receive()
    from ta_serve.engines.llama_cpp.intake import Intake
    from ta_serve.engines.llama_cpp.model import Model
    from ta_serve.engines.llama_cpp.scheduler import Scheduler

    try:
        model = Model(
            options.model,
            options.adapters,
            context_tokens=options.context_tokens,
            sequences=options.parallel,
            threads=options.threads,
            batch_tokens=options.batch_tokens,
        )
        intake = Intake(model, list(options.adapters))
    except InputError as error:
        pipe.send(NotLoaded(str(error)))
        return
    scheduler = Scheduler(model, options, pipe.send)
    inbox: Inbox = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, intake, inbox, scheduler), daemon=True).start()
    pipe.send(Loaded(model.context_tokens, intake.chat))
    while True:
        _receive(inbox, scheduler)
        scheduler.step()


class Pipe:
    """This end of the socket pair; both threads send."""

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)
        self._lock = threading.Lock()

    def receive(self) -> Any:
        """The next message; ends the process when the parent has gone."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            os._exit(0)  # from either thread, at once: nothing is left to be said

    def send(self, message: FromChild) -> None:
        """Say something; ends the process when the parent has gone."""
        try:
            with self._lock:
                self._connection.send(message)
        except OSError:
            os._exit(0)


def _listen(pipe: Pipe, intake: Any, inbox: Inbox, scheduler: Any) -> None:
    while True:
        message = pipe.receive()
        try:
            if isinstance(message, Submit):
                inbox.put(intake.answer(message.request))
            elif isinstance(message, Count):
                pipe.send(Counted(message.number, len(intake.prompt(message.request))))
            elif isinstance(message, Cancel):
                inbox.put(message)
        except Refused as refused:
            if isinstance(message, Count):
                pipe.send(Counted(message.number, refused.event()))
            else:
                pipe.send(Events([(message.request.id, refused.event())], scheduler.counters()))


def _receive(inbox: Inbox, scheduler: Any) -> None:
    """Take over what has come in; wait only where there is nothing to compute."""
    try:
        while True:
            message = inbox.get(block=scheduler.idle)
            if isinstance(message, Cancel):
                scheduler.cancel(message.request_id)
            else:
                scheduler.submit(message)
    except Empty:
        return


if __name__ == "__main__":
    main()
