"""The guard's calls for one request: in worker threads, counted, and refused where the guard itself fails."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, NamedTuple, ParamSpec

from ta_serve.completion import ChatMessage
from ta_serve.engines.protocol import Request
from tunedassist_api.guard import Guard, RailEvent, StreamFilter, Verdict
from tunedassist_api.logs import event
from tunedassist_api.metrics import Metrics
from tunedassist_api.wire.errors import ApiError

P = ParamSpec("P")


class Checked(NamedTuple):
    """The request as it may go on; or the refusal to give instead."""

    request: Request
    refusal: str | None


class Rails:
    """One request's rails; without a guard everything passes and no thread is used."""

    def __init__(self, guard: Guard | None, metrics: Metrics) -> None:
        self._guard, self._metrics = guard, metrics
        self._events: list[RailEvent] = []
        self._filter: StreamFilter | None = None
        self._blocked = False

    async def check_input(self, request: Request) -> Checked:
        """Before the engine."""
        if self._guard is None:
            return Checked(request, None)
        messages = _messages(request)
        verdict = await self._call(self._guard.check_input, messages)
        if verdict.blocked:
            return Checked(request, verdict.text)
        if request.messages is None:
            return Checked(replace(request, prompt=verdict.text), None)
        passed = [*messages[:-1], {**messages[-1], "content": verdict.text}]
        return Checked(replace(request, messages=await self._with_checked_documents(passed)), None)

    async def allows(self, document: str) -> bool:
        """Whether the model may read a retrieved passage."""
        return self._guard is None or not (await self._ask(self._guard.check_document, document)).blocked

    async def _with_checked_documents(self, messages: list[ChatMessage]) -> list[ChatMessage]:
        """What tools gave, as the guard leaves it; a blocked result does not end the request."""
        assert self._guard is not None
        return [
            {**message, "content": (await self._ask(self._guard.check_document, message["content"])).text}
            if message["role"] == "tool"
            else message
            for message in messages
        ]

    async def check_output(self, request: Request, text: str) -> Verdict:
        """A whole answer."""
        if self._guard is None:
            return Verdict(text)
        return await self._call(self._guard.check_output, _messages(request), text)

    def open_stream(self, request: Request) -> None:
        """Before `feed`."""
        if self._guard is not None:
            self._filter = self._guard.stream(_messages(request))

    async def feed(self, text: str) -> Verdict:
        """More of a streamed answer."""
        return Verdict(text) if self._filter is None else await self._call(self._filter.feed, text)

    async def finish(self) -> Verdict:
        """The end of a streamed answer."""
        return Verdict("") if self._filter is None else await self._call(self._filter.finish)

    def added_to(self, body: dict[str, Any]) -> dict[str, Any]:
        """With what the rails did, where there is a guard."""
        if self._guard is None:
            return body
        rails = [asdict(made) for made in self._events]
        return {**body, "guard": {"name": self._guard.name, "blocked": self._blocked, "rails": rails}}

    async def _call(self, check: Callable[P, Verdict], /, *arguments: P.args, **options: P.kwargs) -> Verdict:
        """Of a question or an answer: a blocked one ends the request."""
        verdict = await self._ask(check, *arguments, **options)
        self._blocked = self._blocked or verdict.blocked
        return verdict

    async def _ask(self, check: Callable[P, Verdict], /, *arguments: P.args, **options: P.kwargs) -> Verdict:
        try:
            verdict = await asyncio.to_thread(check, *arguments, **options)
        except Exception as error:
            event("guard_failed", level=logging.ERROR, error=error)
            raise ApiError(
                503, "the guard failed, so nothing is answered unchecked", code="guard_failed"
            ) from error
        self._events.extend(verdict.events)
        self._metrics.observe_rails(verdict.events)
        return verdict


def _messages(request: Request) -> list[ChatMessage]:
    """The conversation; a plain prompt counts as what a user said."""
    if request.messages is not None:
        return request.messages
    return [{"role": "user", "content": request.prompt or ""}]
