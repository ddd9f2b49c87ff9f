"""How many people one model serves on this machine: tokens/s and time to first token at so many at a time."""

import itertools
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, NamedTuple

from ta_serve.completion import ChatMessage
from ta_serve.engines.chat_engine import ChatEngine, as_error
from ta_serve.engines.protocol import Delta, Event, Failed, Request


class Load(NamedTuple):
    """What so many clients, each with one question at a time, were given."""

    clients: int
    requests: int
    tokens_per_s: float
    first_token_p50_ms: float
    first_token_p95_ms: float
    answer_p50_ms: float


class Heard(NamedTuple):
    """One answer."""

    tokens: int
    first_s: float
    whole_s: float


def measure(
    engine: ChatEngine,
    conversations: Sequence[list[ChatMessage]],
    *,
    clients: Sequence[int],
    requests: int,
    max_tokens: int,
    say: Callable[[str], None] = lambda step: None,
) -> list[Load]:
    """A load for each number of clients, of at least `requests` requests; conversations are asked in turn.

    One more request goes before, unmeasured: the first one reads the file. Raises InputError, SetupError.
    """
    turns = itertools.cycle(conversations)
    _ask(engine, next(turns), max_tokens)
    loads = []
    for count in clients:
        say(f"{count} clients")
        asked = [next(turns) for _ in range(max(requests, count))]
        started = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            heard = list(pool.map(lambda messages: _ask(engine, messages, max_tokens), asked))
        loads.append(_load(count, heard, time.perf_counter() - started))
    return loads


def table(loads: Sequence[Load]) -> list[str]:
    """Markdown."""
    lines = [
        "| clients | requests | tokens/s | first token p50, ms | p95, ms | whole answer p50, ms |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for load in loads:
        lines.append(
            f"| {load.clients} | {load.requests} | {load.tokens_per_s:.1f} | {load.first_token_p50_ms:.0f} "
            f"| {load.first_token_p95_ms:.0f} | {load.answer_p50_ms:.0f} |"
        )
    return lines


def _ask(engine: ChatEngine, messages: list[ChatMessage], max_tokens: int) -> Heard:
    events: SimpleQueue[Event] = SimpleQueue()
    request = Request(id=uuid.uuid4().hex, model=engine.default_model, messages=messages, max_tokens=max_tokens)
    started = time.perf_counter()
    first = 0.0
    engine.submit(request, events.put)
    while isinstance(event := events.get(), Delta):
        first = first or time.perf_counter() - started
    if isinstance(event, Failed):
        raise as_error(event)
    whole = time.perf_counter() - started
    return Heard(event.usage.completion_tokens, first or whole, whole)


def _load(clients: int, heard: Sequence[Heard], seconds: float) -> Load:
    first = sorted(1000 * one.first_s for one in heard)
    figures: dict[str, Any] = {
        "tokens_per_s": sum(one.tokens for one in heard) / seconds,
        "first_token_p50_ms": statistics.median(first),
        "first_token_p95_ms": first[min(len(first) - 1, int(0.95 * len(first)))],
        "answer_p50_ms": 1000 * statistics.median(one.whole_s for one in heard),
    }
    return Load(clients, len(heard), **{name: round(value, 1) for name, value in figures.items()})
