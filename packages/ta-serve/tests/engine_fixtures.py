"""Asks an engine and listens."""

import os
from queue import SimpleQueue

from serve_fixtures import ask

from ta_serve.engines.protocol import Delta, Failed, Request


def heard(engine, request, *, timeout=60):
    """All events of a request."""
    queue, events = SimpleQueue(), []
    engine.submit(request, queue.put)
    while not events or isinstance(events[-1], Delta):
        events.append(queue.get(timeout=timeout))
    return events


def text(events):
    return "".join(event.text for event in events if isinstance(event, Delta))


def answered(engine, **fields):
    """Text and last event of a request for one question."""
    events = heard(
        engine, Request(id=os.urandom(4).hex(), **({"messages": ask("Hi"), "max_tokens": 24} | fields))
    )
    return text(events), events[-1]


def failure(engine, **fields):
    last = answered(engine, **fields)[1]
    assert isinstance(last, Failed), last
    return last
