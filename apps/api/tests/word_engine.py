"""An engine without a model: answers with the words of the last message, a word a step, on a thread of its own.

Deterministic; has a bounded context, seeds, stop strings, cancelling, an adapter that shouts, and a way to
die and come back.
"""

import json
import random
import threading
import time

from ta_serve.engines.protocol import Delta, Failed, Finished, Stats, Usage


class WordEngine:
    """`step_s`: time of a step; `slots`: answers at the same time."""

    def __init__(self, *, step_s=0.0, slots=4, context_tokens=64):
        self.step_s, self.slots, self.context_tokens = step_s, slots, context_tokens
        self.requests = []
        self.cancelled = []
        self.restarts = 0
        self.words = 0
        self.prompt_tokens = 0
        self.closed = False
        self._down_until = 0.0
        self._waiting = []
        self._running = []
        self._lock = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def models(self):
        return ["base", "base:loud"]

    def submit(self, request, deliver):
        with self._lock:
            self.requests.append(request)
            del self.requests[:-100]  # a soak of many thousand must not find the test's own memory
            self.prompt_tokens += self.count_tokens(request)
            if self.closed:
                deliver(Failed("closed", "the engine is closed"))
            elif self.count_tokens(request) + (request.max_tokens or 1) > self.context_tokens:
                wanted = self.count_tokens(request) + (request.max_tokens or 1)
                message = f"{wanted} tokens wanted, the context holds {self.context_tokens}"
                deliver(Failed("context_length_exceeded", message))
            else:
                self._waiting.append(Sequence(request, deliver, answer_to(request)))
                self._lock.notify()

    def cancel(self, request_id):
        with self._lock:
            self.cancelled.append(request_id)
            del self.cancelled[:-100]
            for group in (self._waiting, self._running):
                for sequence in [s for s in group if s.request.id == request_id]:
                    group.remove(sequence)
                    sequence.finish("cancelled")

    def count_tokens(self, request):
        texts = [request.prompt] if request.messages is None else [m["content"] for m in request.messages]
        return sum(len(text.split()) for text in texts)

    def stats(self):
        return Stats(
            ready=time.monotonic() >= self._down_until,
            running=len(self._running),
            waiting=len(self._waiting),
            restarts=self.restarts,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.words,
            context_tokens=self.context_tokens,
        )

    def close(self):
        with self._lock:
            self.closed = True
            for sequence in [*self._waiting, *self._running]:
                sequence.finish("cancelled")
            self._waiting, self._running = [], []
            self._lock.notify()
        self._thread.join()

    def die(self, *, down_s=0.2):
        """As if the process had crashed: everything inside fails; it answers again after `down_s`."""
        with self._lock:
            self.restarts += 1
            self._down_until = time.monotonic() + down_s
            for sequence in [*self._waiting, *self._running]:
                sequence.deliver(Failed("engine_died", "the engine crashed: ask again"))
            self._waiting, self._running = [], []

    def come_back(self):
        """At once, however long it was to be down."""
        self._down_until = 0.0

    def _run(self):
        while True:
            with self._lock:
                while not self.closed and not self._waiting and not self._running:
                    self._lock.wait()
                if self.closed:
                    return
                while self._waiting and len(self._running) < self.slots:
                    self._running.append(self._waiting.pop(0))
                for sequence in list(self._running):
                    self.words += 1
                    if sequence.step():
                        self._running.remove(sequence)
            time.sleep(self.step_s)


class Sequence:
    """One request being answered."""

    def __init__(self, request, deliver, words):
        self.request, self.deliver, self.words, self.said = request, deliver, words, 0

    def step(self):
        """One word; True at the end."""
        if self.said >= len(self.words):
            self.finish("stop")
            return True
        word = self.words[self.said]
        if any(word.strip() == stop for stop in self.request.stop):
            self.finish("stop")
            return True
        self.said += 1
        self.deliver(Delta(word))
        if self.request.max_tokens is not None and self.said >= self.request.max_tokens:
            self.finish("length" if self.said < len(self.words) else "stop")
            return True
        return False

    def finish(self, reason):
        prompt = sum(len(m["content"].split()) for m in self.request.messages or []) or 1
        self.deliver(Finished(reason, Usage(prompt, self.said, 0)))


def answer_to(request):
    """The words, each with the blank before it."""
    if request.json_schema is not None:
        return [json.dumps({"schema": request.json_schema})]
    words = (request.prompt if request.messages is None else request.messages[-1]["content"]).split()
    if request.temperature > 0 and request.seed is not None:
        random.Random(request.seed).shuffle(words)
    if request.model.endswith(":loud"):
        words = [word.upper() for word in words]
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)]
