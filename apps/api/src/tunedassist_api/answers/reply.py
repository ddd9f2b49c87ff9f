"""The response to a completion: asks rails and engine, then writes JSON or a stream of chunks."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ta_serve.engines.protocol import Delta, Failed, Finished, Request, Usage
from ta_serve.retrieve.ground import Grounded
from tunedassist_api.answers.answer import Answer
from tunedassist_api.answers.event_stream import EventStream
from tunedassist_api.answers.rails import Rails
from tunedassist_api.retrieval import added_citations
from tunedassist_api.service import Service
from tunedassist_api.wire.errors import ApiError, from_failure
from tunedassist_api.wire.shape import Shape


class Reply(Response):
    """Runs when the server sends it, so that errors before the first chunk still have their status."""

    def __init__(self, service: Service, request: Request, shape: Shape, *, stream: bool) -> None:
        super().__init__()
        self.service, self.request, self.shape, self.stream = service, request, shape, stream
        self._reason, self._usage = "content_filter", Usage(0, 0, 0)  # unless the engine is heard to the end
        self._grounded: Grounded | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises ApiError before anything was sent, CallerGone where nobody listens any more."""
        service = self.service
        log: dict[str, Any] = scope["state"]["log"]
        log |= {"model": self.shape.model, "completion_id": self.shape.id}
        rails = Rails(service.guard, service.metrics)
        with service.admission.enter() as place:
            request, refusal = await rails.check_input(self.request)
            if refusal is not None:
                await self._write(_only(refusal), rails, send, log)
                return
            if service.retrieval is not None:
                request, self._grounded = await service.retrieval.ground(request, rails)
                log["passages"] = len(self._grounded.hits) if self._grounded else 0
            deadline_s = service.config.deadline_s
            answer = Answer(service.require_engine(), request, place, receive, deadline_s=deadline_s)
            pieces = self._streamed(answer, rails) if self.stream else self._checked(answer, rails)
            async with service.running(answer):
                try:
                    await self._write(pieces, rails, send, log)
                finally:
                    service.metrics.observe_answer(answer.first_token_s)
                    if answer.first_token_s is not None:
                        log["first_token_ms"] = round(answer.first_token_s * 1000)

    async def _checked(self, answer: Answer, rails: Rails) -> AsyncIterator[str]:
        """The whole answer, as the rails leave it."""
        pieces: list[str] = []
        while isinstance(event := await answer.next(), Delta):
            pieces.append(event.text)
        self._end(event)
        verdict = await rails.check_output(self.request, "".join(pieces))
        if verdict.blocked:
            self._reason = "content_filter"
        yield verdict.text

    async def _streamed(self, answer: Answer, rails: Rails) -> AsyncIterator[str]:
        """The answer while it comes, as the rails let it pass."""
        rails.open_stream(self.request)
        while isinstance(event := await answer.next(), Delta):
            verdict = await rails.feed(event.text)
            if verdict.text:
                yield verdict.text
            if verdict.blocked:
                return
        self._end(event)
        verdict = await rails.finish()
        if verdict.blocked:
            self._reason = "content_filter"
        if verdict.text:
            yield verdict.text

    def _end(self, event: Finished | Failed) -> None:
        if isinstance(event, Failed):
            raise from_failure(event, asked_in="prompt" if self.request.messages is None else "messages")
        self._reason, self._usage = event.reason, event.usage

    async def _write(self, pieces: AsyncIterator[str], rails: Rails, send: Send, log: dict[str, Any]) -> None:
        said: list[str] = []
        if self.stream:
            await self._write_stream(pieces, said, rails, send, log)
        else:
            said = [piece async for piece in pieces]
            body = self.shape.whole("".join(said), self._reason, self._usage)
            await JSONResponse(self._with_extensions(body, rails, said))({"type": "http"}, _nothing_more, send)
        log |= {"finish_reason": self._reason, **self._usage._asdict()}
        if self.service.config.log_prompts:
            log |= {"messages": self.request.messages or self.request.prompt, "answer": "".join(said)}

    async def _write_stream(
        self, pieces: AsyncIterator[str], said: list[str], rails: Rails, send: Send, log: dict[str, Any]
    ) -> None:
        out, shape = EventStream(send), self.shape
        try:
            async for piece in pieces:
                await self._open(out)
                await out.write(shape.chunk(shape.piece(piece, None)))
                said.append(piece)
        except ApiError as error:
            if not out.started:
                raise
            self._reason = "error"
            log["code"] = error.code
            await out.write(error.body())
        else:
            await self._open(out)
            last = shape.chunk(shape.piece("", self._reason))
            await out.write(self._with_extensions(last, rails, said))
            if shape.with_usage:
                await out.write(shape.usage_chunk(self._usage))
        await out.close()

    def _with_extensions(self, body: dict[str, Any], rails: Rails, said: list[str]) -> dict[str, Any]:
        """With what OpenAI's format has no field for."""
        return added_citations(rails.added_to(body), self._grounded, "".join(said))

    async def _open(self, out: EventStream) -> None:
        opening = self.shape.opening()
        if opening is not None and not out.started:
            await out.write(self.shape.chunk(opening))


async def _only(text: str) -> AsyncIterator[str]:
    yield text


async def _nothing_more() -> Any:
    raise AssertionError("a JSON response reads nothing")
