"""What the teacher wrote, row by row: kept, or a reason."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from ta_data.augment.prompts import Ask, Kind
from ta_data.clean.filters import REFUSAL
from ta_data.clean.keys import keys
from ta_data.clean.parts import parts
from ta_data.disjoint import normalised, words

GROUNDED = 0.5
MAX_WORDS = 400
WITH_ANSWER = ("questions", "hard-negative", "multi-turn")
STOP_LENGTH = 3


class Made(NamedTuple):
    """A question and an answer, or why they are not used."""

    question: str
    answer: str
    reason: str = ""


def read_reply(text: str, ask: Ask, kind: Kind, *, refusal: str) -> Iterator[Made]:
    """Every row of a reply, judged by itself: one bad one does not spoil the others."""
    question = parts(ask.about).prompt
    if kind == "distill":
        yield _judged(Made(question, text.strip()), ask, kind)
        return
    items = _items(text)
    if items is None:
        yield Made("", text[:200], "not a JSON list")
        return
    for item in items:
        asked = item.get("question") if isinstance(item, dict) else item if kind == "paraphrase" else None
        said = item.get("answer") if isinstance(item, dict) else None
        if not isinstance(asked, str) or (kind in WITH_ANSWER and not isinstance(said, str)):
            yield Made("", str(item)[:200], "wrong shape")
            continue
        answer = {"paraphrase": parts(ask.about).answer, "unanswerable": refusal}.get(kind, said)
        yield _judged(Made(asked.strip(), str(answer or "").strip()), ask, kind)


def _judged(made: Made, ask: Ask, kind: Kind) -> Made:
    original = parts(ask.about).prompt
    if not made.question or not made.answer:
        return made._replace(reason="empty")
    if len(made.question.split()) + len(made.answer.split()) > MAX_WORDS:
        return made._replace(reason="too long")
    if kind != "unanswerable" and REFUSAL.match(made.answer):
        return made._replace(reason="refusal")
    if kind != "distill" and original and normalised(made.question) == normalised(original):
        return made._replace(reason="the question again")
    if kind == "paraphrase" and not keys(original) <= keys(made.question) | set(made.question.split()):
        return made._replace(reason="a name, number or option is lost")
    if kind == "questions" and grounded(made.answer, ask.text) < GROUNDED:
        return made._replace(reason="answer not in the document")
    if kind in ("questions", "unanswerable") and re.search(
        r"\b(the|this) (document|text|passage|part|section|article)\b", made.question, re.IGNORECASE
    ):
        return made._replace(reason="refers to the document")
    return made


def grounded(answer: str, document: str) -> float:
    """The share of the answer's longer words that stand in the document."""
    known = set(words(document))
    said = [word for word in words(answer) if len(word) > STOP_LENGTH]
    return sum(word in known for word in said) / len(said) if said else 1.0


def _items(text: str) -> list[Any] | None:
    found = re.search(r"\[.*\]", text, re.DOTALL)
    try:
        content = msgspec.json.decode(found[0]) if found else None
    except msgspec.DecodeError:
        return None
    return content if isinstance(content, list) else None
