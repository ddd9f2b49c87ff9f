"""Answers as the OpenAPI document describes them; the server itself writes plain dicts (`shape`)."""

from typing import Any, Literal

from pydantic import BaseModel, Field


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


class Rail(BaseModel):
    """What one rail made of the question, a document or the answer."""

    rail: str
    stage: Literal["input", "document", "output"]
    action: Literal["allow", "warn", "mask", "block"]
    milliseconds: float
    score: float | None
    threshold: float | None
    reason: str
    span: list[int]


class GuardReport(BaseModel):
    """Not OpenAI's: what the rails did; in a stream it stands in the chunk with the finish reason."""

    name: str
    blocked: bool
    rails: list[Rail]


class Citation(BaseModel):
    """Not OpenAI's: a passage that the model was given; in a stream it stands beside the finish reason."""

    number: int
    document: str
    source: str
    span: list[int]
    score: float
    named: bool


class ChatCompletion(BaseModel):
    """`chat.completion`."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageBody
    guard: GuardReport | None = Field(None, description="Where there is a guard.")
    citations: list[Citation] | None = Field(None, description="Where answers are grounded (`--index`).")


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
    guard: GuardReport | None = Field(None, description="Where there is a guard.")


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
