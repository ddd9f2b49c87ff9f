"""`POST /v1/feedback`: what a person said of an answer, kept as rows that ta-data reads."""

import asyncio
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field, field_validator

from ta_schemas.jsonl import to_object
from ta_schemas.rows import FeedbackRow, Message
from tunedassist_api.routes.errors import error_responses
from tunedassist_api.service import Service
from tunedassist_api.wire.chat import MessageIn
from tunedassist_api.wire.errors import ApiError
from tunedassist_api.wire.strict import WholeBody


class FeedbackIn(WholeBody):
    """A conversation that ends with the answer in question, and what was thought of it."""

    messages: Annotated[list[MessageIn], Field(min_length=2, max_length=2048)]
    rating: Literal["up", "down"]
    correction: str | None = Field(None, description="What the answer should have been.")
    comment: str | None = Field(None, description="Why.")
    model: str | None = Field(None, max_length=256)
    completion_id: str | None = Field(None, max_length=128, description="`id` of the answer.")

    @field_validator("messages")
    @classmethod
    def _ends_with_the_answer(cls, messages: list[MessageIn]) -> list[MessageIn]:
        if messages[-1].role != "assistant":
            raise ValueError("the last message must be the assistant's: the answer in question")
        return messages


class FeedbackKept(BaseModel):
    """Where it is found again."""

    id: str
    object: Literal["feedback"]


def feedback_routes(service: Service) -> APIRouter:
    """The one path."""
    router = APIRouter(tags=["feedback"])

    @router.post("/v1/feedback", responses=error_responses(400, 401, 403, 404, 413, 415, 429, 503))
    async def create_feedback(body: FeedbackIn) -> FeedbackKept:
        """Append a row to the server's feedback file."""
        file = service.config.feedback
        if file is None:
            raise ApiError(
                404, "this server keeps no feedback: start it with --feedback FILE", code="feedback_off"
            )
        row = FeedbackRow(
            id=f"fb-{uuid.uuid4().hex}",
            messages=[Message(**message.plain()) for message in body.messages],  # type: ignore[arg-type]
            rating=body.rating,
            correction=body.correction or "",
            model=body.model or service.config.name,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        optional = {"comment": body.comment, "completion_id": body.completion_id}
        row.extra = {key: value for key, value in optional.items() if value}
        try:
            await asyncio.to_thread(append, file, row)
        except OSError as error:
            raise ApiError(
                503, f"the feedback could not be kept: {error.strerror}", code="feedback_not_kept"
            ) from None
        return FeedbackKept(id=row.id, object="feedback")

    return router


def append(file: Path, row: FeedbackRow) -> None:
    """One write of a whole line: rows of several servers do not mix. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    line = msgspec.json.encode(to_object(row)) + b"\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
