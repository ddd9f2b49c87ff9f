"""`/v1/chat/completions` and `/v1/completions`."""

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from ta_serve.completion import ChatMessage
from ta_serve.engines.protocol import Request
from tunedassist_api.answers.reply import Reply
from tunedassist_api.routes.errors import error_responses
from tunedassist_api.service import Service
from tunedassist_api.wire.answers import STREAM, ChatCompletion, TextCompletion
from tunedassist_api.wire.chat import ChatRequest, ChatShape
from tunedassist_api.wire.completion import DEFAULT_MAX_TOKENS, CompletionRequest, CompletionShape
from tunedassist_api.wire.errors import ApiError
from tunedassist_api.wire.sampling import Sampling

_MOST_CHARACTERS_A_TOKEN = 64  # over a whole prompt; spares tokenizing what cannot fit
_ERRORS = error_responses(400, 401, 403, 404, 408, 413, 415, 429, 500, 503, 504)


def completion_routes(service: Service) -> APIRouter:
    """Both paths."""
    router = APIRouter(tags=["completions"])

    @router.post(
        "/v1/chat/completions",
        response_class=Response,
        responses={200: {"model": ChatCompletion, "content": STREAM}, **_ERRORS},
    )
    async def create_chat_completion(body: ChatRequest) -> Response:
        """The next turn of a conversation; with `stream: true` in chunks."""
        model, name = service.find_model(body.model)
        messages = _with_system_prompt(service, [message.plain() for message in body.messages])
        longest = body.max_completion_tokens or body.max_tokens
        request = _request(service, body, name, messages=messages, max_tokens=longest)
        shape = ChatShape(model, with_usage=_wants_usage(body))
        return Reply(service, request, shape, stream=bool(body.stream))

    @router.post(
        "/v1/completions",
        response_class=Response,
        responses={200: {"model": TextCompletion, "content": STREAM}, **_ERRORS},
    )
    async def create_completion(body: CompletionRequest) -> Response:
        """How a text goes on, without a chat template."""
        model, name = service.find_model(body.model)
        longest = body.max_tokens or DEFAULT_MAX_TOKENS
        request = _request(service, body, name, prompt=body.text, max_tokens=longest)
        shape = CompletionShape(model, with_usage=_wants_usage(body))
        return Reply(service, request, shape, stream=bool(body.stream))

    return router


def _wants_usage(body: Sampling) -> bool:
    return bool(body.stream_options and body.stream_options.include_usage)


def _with_system_prompt(service: Service, messages: list[ChatMessage]) -> list[ChatMessage]:
    """A tuned model is asked as it was tuned and measured, unless the caller brings a system prompt."""
    tuned = service.settings.system_prompt
    if not tuned or messages[0]["role"] == "system":
        return messages
    return [{"role": "system", "content": tuned}, *messages]


def _request(
    service: Service,
    body: Sampling,
    name: str,
    *,
    max_tokens: int | None,
    messages: list[ChatMessage] | None = None,
    prompt: str | None = None,
) -> Request:
    texts = [prompt or ""] if messages is None else [message["content"] for message in messages]
    context = service.require_engine().stats().context_tokens
    characters = sum(map(len, texts))
    if context and characters > context * _MOST_CHARACTERS_A_TOKEN:
        raise ApiError(
            400,
            f"{characters} characters cannot fit into the context of {context} tokens",
            code="context_length_exceeded",
            param="prompt" if messages is None else "messages",
        )
    tuned = service.settings.generation
    options: dict[str, Any] = {"temperature": tuned.temperature, **body.engine_options}
    if max_tokens is None and "max_tokens" in tuned.model_fields_set:
        max_tokens = tuned.max_tokens
    return Request(
        id=uuid.uuid4().hex,
        model=name,
        messages=messages,
        prompt=prompt,
        max_tokens=max_tokens,
        stop=body.stop_strings,  # the engine adds those that travel with the model
        json_schema=getattr(body, "json_schema", None),
        deadline_s=service.config.deadline_s,
        **options,
    )
