"""Answering a question behind the guard: a step for every piece that the engine gives or the rails release."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ta_safety.guard import Guard, Piece
from ta_safety.stream import StreamGate
from ta_schemas import UserError
from tunedassist_gradio_demo.models.models import Models
from tunedassist_gradio_demo.talk.turn import State, Turn, messages_for

OF_THE_WHOLE = ("cut-off", "loop")
"""Rails that speak of the whole answer: there is no place of theirs to mark."""


class Step(NamedTuple):
    """The turn as it stands; `request_id` stops it."""

    turn: Turn
    request_id: str = ""


def respond(
    models: Models, guard: Guard, turns: Sequence[Turn], question: str, *, model: str, adapter: str = ""
) -> Iterator[Step]:
    """Check the question, ask the model, release its answer part by part as the rails allow.

    What fails becomes a turn in state `failed` with a sentence; nothing is raised for a user's error.
    """
    began = time.monotonic()
    earlier = [turn.question for turn in turns]
    verdict = guard.check_input(question, earlier=earlier)
    name = f"{model} + {adapter}" if adapter else model
    turn = Turn(question, name, entered=tuple(verdict.events))
    if verdict.action == "block":
        yield Step(replace(turn, state="blocked", answer=verdict.text, blocked_by=verdict.rail))
        return
    yield Step(turn)
    try:
        asked = models.ask(model, adapter, messages_for(turns, question))
    except UserError as error:
        yield Step(replace(turn, state="failed", note=str(error)))
        return
    gate = StreamGate(guard, question)
    raw = ""
    try:
        for chunk in asked:
            raw += chunk
            turn = _with_pieces(turn, gate.feed(chunk), raw)
            turn = replace(turn, state="answering", received=len(raw), seconds=time.monotonic() - began)
            if gate.blocked_by:
                asked.stop()
                break
            yield Step(turn, asked.request.id)
        turn = _with_pieces(turn, gate.finish(asked.reason or "stop"), raw)
    except UserError as error:
        yield Step(replace(turn, state="failed", note=str(error)))
        return
    finally:
        models.done(asked)
    state: State = "blocked" if gate.blocked_by else "stopped" if asked.reason == "cancelled" else "done"
    seconds = time.monotonic() - began
    yield Step(
        replace(turn, state=state, blocked_by=gate.blocked_by, seconds=seconds, tokens=asked.completion_tokens)
    )


def _with_pieces(turn: Turn, pieces: Sequence[Piece], raw: str) -> Turn:
    """The turn with what the rails have released, the events' spans moved to where their text stands now."""
    for piece in pieces:
        start = len(turn.answer)
        masked = any(event.action == "mask" for event in piece.events)
        # A warning may stand before the part that was checked: spans count from behind it.
        lead = 0 if piece.text in raw else piece.text.find("\n\n") + 2
        moved = [
            event._replace(
                span=(0, 0)
                if masked or piece.blocked_by or event.span == (0, 0) or event.rail in OF_THE_WHOLE
                else (start + lead + event.span[0], start + lead + event.span[1])
            )
            for event in piece.events
        ]
        turn = replace(turn, answer=turn.answer + piece.text, left=(*turn.left, *moved))
    return turn
