"""What a person says of an answer, kept as the rows that `ta-data feedback` reads."""

import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from ta_schemas import InputError
from ta_schemas.jsonl import to_object
from ta_schemas.rows import FeedbackRow, Message
from tunedassist_gradio_demo.talk.turn import Turn, messages_for

Rating = Literal["up", "down"]


def keep_feedback(
    file: Path,
    turns: Sequence[Turn],
    rating: Rating,
    *,
    system_prompt: str,
    correction: str = "",
    comment: str = "",
) -> FeedbackRow:
    """Append a row about the last answer, and return it.

    The messages are those the model was asked, its system prompt first, so that a correction trains what is
    served. Raises InputError where there is no answer yet, or the file cannot be written.
    """
    if not turns or not turns[-1].answer or turns[-1].running:
        raise InputError("there is no whole answer yet: ask something first")
    *before, last = turns
    said = [Message(role="system", content=system_prompt)] if system_prompt else []
    said += [Message(**message) for message in messages_for(before, last.question)]  # type: ignore[arg-type]
    row = FeedbackRow(
        id=f"fb-{uuid.uuid4().hex}",
        messages=[*said, Message(role="assistant", content=last.answer)],
        rating=rating,
        correction=correction.strip(),
        model=last.model,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    more = {"comment": comment.strip(), "blocked_by": last.blocked_by}
    row.extra = {key: value for key, value in more.items() if value}
    try:
        _append(file, row)
    except OSError as error:
        raise InputError(f"{file}: the feedback could not be kept: {error.strerror}") from None
    return row


def _append(file: Path, row: FeedbackRow) -> None:
    """One write of a whole line, so that rows of several writers do not mix."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, msgspec.json.encode(to_object(row)) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
