"""Answers as the OpenAPI document describes them; the server itself writes plain dicts (`shape`)."""

from typing import Any, Literal

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """Any answer of status 400 and above."""

    error: ErrorDetail


class UsageBody(BaseModel):
    """Token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]


FinishReason = Literal["stop", "length", "content_filter"]


class AssistantMessage(BaseModel):
    """What the model says."""

    role: Literal["assistant"]
    content: str
    refusal: str | None


class ChatChoice(BaseModel):
    """The one answer."""

    index: int
    message: AssistantMessage
    logprobs: None
    finish_reason: FinishReason


class ChatCompletion(BaseModel):
    """`chat.completion`."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageBody


class TextChoice(BaseModel):
    """The one answer."""

    index: int
    text: str
    logprobs: None
    finish_reason: FinishReason


class TextCompletion(BaseModel):
    """`text_completion`."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: UsageBody


class ModelCard(BaseModel):
    """A model that can be named in a request."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    parent: str | None


class ModelList(BaseModel):
    """`/v1/models`."""

    object: Literal["list"]
    data: list[ModelCard]


STREAM: dict[str, Any] = {
    "text/event-stream": {"schema": {"type": "string", "description": "chunks, then `data: [DONE]`"}}
}
