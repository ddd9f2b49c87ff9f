"""The loop of the thread that owns the model: what runs, what waits, and what each step computes."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from ta_schemas import InputError
from ta_serve.engines.llama_cpp.answer import Answer
from ta_serve.engines.llama_cpp.batch import Batch
from ta_serve.engines.llama_cpp.kv_cache import KvCache
from ta_serve.engines.llama_cpp.model import Model
from ta_serve.engines.llama_cpp.sampler import Sampler
from ta_serve.engines.llama_cpp.wire import Counters, Events, Options
from ta_serve.engines.protocol import Delta, Event, Failed, Finished, Reason, Usage

GROWTH = 64
"""Cells that an answer should find free besides its prompt's; with fewer it would soon be put back."""

WORTH_WAITING = 32
"""Tokens of a shared beginning for which a request waits while another one computes them."""

STEPS_PER_ADAPTER = 4
"""An adapter belongs to the whole context: while several are wanted, each computes so many steps in turn."""


class Scheduler:
    """Runs answers side by side. Everything here happens in one thread."""

    def __init__(self, model: Model, options: Options, send: Callable[[Events], None]) -> None:
        self._model, self._options, self._send = model, options, send
        self._cache = KvCache(model, sequences=options.parallel, keep_bytes=options.keep_bytes)
        self._batch = Batch(model.c, options.batch_tokens)
        self._waiting: deque[Answer] = deque()
        self._running: list[Answer] = []
        self._adapter, self._steps = "", 0
        self._events: list[tuple[str, Event]] = []
        self._prompt_tokens = self._completion_tokens = self._cached_tokens = 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to compute and nothing to say."""
        return not (self._running or self._waiting or self._events)

    def submit(self, answer: Answer) -> None:
        """Queue an answer."""
        self._waiting.append(answer)

    def cancel(self, request_id: str) -> None:
        """End a request that waits or runs."""
        for answer in [*self._running, *self._waiting]:
            if answer.request.id == request_id:
                self._finish(answer, "cancelled")

    def step(self) -> None:
        """Compute one batch and say what came of it."""
        self._end_the_late()
        self._begin_waiting()
        wanted = self._fill()
        if wanted or self._batch.used:
            # Cannot fail: the cache counted the cells. If it does, the child dies and is started anew.
            if not self._model.decode(self._batch):
                raise RuntimeError("llama.cpp found no room for a batch that fits")
            self._pick(wanted)
        self._tell()

    def _end_the_late(self) -> None:
        now = time.monotonic()
        for answer in [a for a in (*self._running, *self._waiting) if a.deadline <= now]:
            self._fail(answer, Failed("deadline", f"not done within {answer.request.deadline_s} s"))

    def _begin_waiting(self) -> None:
        """Let what waits begin, in order, while there is room; who can soon share a beginning has patience."""
        for answer in list(self._waiting):
            if len(self._running) >= self._options.parallel:
                return
            shared, soon = self._cache.shareable(answer, self._running)
            if soon >= shared + WORTH_WAITING:
                continue
            reading = sum(other.pending for other in self._running)
            needed = len(answer.tokens) - shared + min(answer.most_tokens - answer.said, GROWTH)
            if self._running and needed > self._cache.room - reading:
                return
            self._waiting.remove(answer)
            self._begin(answer)

    def _begin(self, answer: Answer) -> None:
        if answer.sampler is None:
            try:
                answer.sampler = Sampler(self._model, answer.request, answer.grammar)
            except InputError as error:
                self._fail(answer, Failed("invalid_request", str(error)))
                return
        first = answer.cached_tokens < 0
        self._cache.begin(answer, self._running)
        self._running.append(answer)
        if first:
            self._prompt_tokens += answer.prompt_tokens
            self._cached_tokens += answer.cached_tokens

    def _fill(self) -> list[Answer]:
        """Fill the batch with one adapter's answers; gives those of the rows with logits, in their order."""
        self._batch.clear()
        group = self._turn()
        talking = [answer for answer in group if answer.pending == 1]
        while self._cache.room < len(talking):
            self._put_back(self._running[-1])
            talking = [answer for answer in talking if answer.sequence >= 0]
        wanted = []
        reading = [answer for answer in group if answer.pending > 1 and answer.sequence >= 0]
        for answer in [*talking, *reading]:
            count = min(answer.pending, self._batch.room, self._cache.room)
            if not count:
                continue
            last = count == answer.pending
            start = answer.computed
            self._cache.grow(answer, count)
            tokens = answer.tokens[start : start + count]
            self._batch.add(tokens, sequence=answer.sequence, position=start, wanted=last)
            if last:
                wanted.append(answer)
        if self._running and not self._batch.used:
            self._put_back(self._running[-1])
        return wanted

    def _turn(self) -> list[Answer]:
        """The answers of the adapter whose turn it is."""
        adapters = list(dict.fromkeys(answer.adapter for answer in self._running))
        if not adapters:
            return []
        self._steps += 1
        if self._adapter not in adapters or (len(adapters) > 1 and self._steps > STEPS_PER_ADAPTER):
            at = adapters.index(self._adapter) + 1 if self._adapter in adapters else 0
            self._adapter, self._steps = adapters[at % len(adapters)], 1
            self._model.use_adapter(self._adapter)
        return [answer for answer in self._running if answer.adapter == self._adapter]

    def _put_back(self, answer: Answer) -> None:
        """Free the cells of an answer; it goes on, from its tokens so far, as soon as there is room."""
        self._running.remove(answer)
        self._cache.drop(answer)
        self._waiting.appendleft(answer)

    def _pick(self, wanted: Iterable[Answer]) -> None:
        wanted = list(wanted)
        if not wanted:
            return
        logits = self._model.logits(len(wanted))
        for row, answer in enumerate(wanted):
            assert answer.sampler is not None
            self._accept(answer, answer.sampler.pick(logits[row], self._batch.index(row)))

    def _accept(self, answer: Answer, token: int) -> None:
        if token in answer.stop_tokens or self._model.ends_answer(token):
            self._finish(answer, "stop")
            return
        answer.tokens.append(token)
        self._completion_tokens += 1
        self._say(answer, answer.text.add(self._model.piece(token)))
        if answer.text.stopped:
            self._finish(answer, "stop")
        elif answer.said >= answer.most_tokens:
            self._finish(answer, "length")

    def _say(self, answer: Answer, text: str) -> None:
        if text:
            self._events.append((answer.request.id, Delta(text)))

    def _finish(self, answer: Answer, reason: Reason) -> None:
        self._say(answer, answer.text.end())
        usage = Usage(answer.prompt_tokens, answer.said, max(answer.cached_tokens, 0))
        self._end(answer, Finished(reason, usage))

    def _fail(self, answer: Answer, failed: Failed) -> None:
        self._end(answer, failed)

    def _end(self, answer: Answer, event: Event) -> None:
        if answer in self._running:
            self._running.remove(answer)
            self._cache.end(answer)
        elif answer in self._waiting:
            self._waiting.remove(answer)
        if answer.sampler:
            answer.sampler.close()
        self._events.append((answer.request.id, event))

    def _tell(self) -> None:
        if self._events:
            events, self._events = self._events, []
            self._send(Events(events, self.counters()))

    def counters(self) -> Counters:
        """Where it stands."""
        return Counters(
            running=len(self._running),
            waiting=len(self._waiting),
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            cached_tokens=self._cached_tokens,
        )
