"""The rows that RAG metrics read: a question, what was retrieved, what was answered."""

from pathlib import Path
from typing import Any, NamedTuple

from ta_eval.pipe import read_lines
from ta_schemas import InputError


class Context(NamedTuple):
    """A retrieved piece of text."""

    id: str
    text: str


class RagRow(NamedTuple):
    """One question; what is empty is not measured."""

    id: str
    question: str
    answer: str
    contexts: list[Context]
    """As retrieved, the best first."""
    relevant: list[str]
    """Ids of the contexts that hold the answer."""
    reference: str
    answerable: bool
    """False: the corpus does not hold the answer, and saying so is right."""
    confidence: float | None
    score: float | None
    """How right the answer is, where a scorer has said so (0 to 1)."""


def read_rag_rows(file: Path) -> list[RagRow]:
    """JSON lines with `id`, `question`, `answer`, and perhaps the rest; `contexts` are texts or {id, text}.

    Raises InputError naming file, line and field.
    """
    rows: dict[str, RagRow] = {}
    for where, raw in read_lines(file):
        for name in ("id", "question", "answer"):
            if not isinstance(raw.get(name), str):
                raise InputError(f"{where}: {name}: expected a text")
        if raw["id"] in rows:
            raise InputError(f"{where}: id: {raw['id']!r} is there twice")
        relevant, answerable = raw.get("relevant") or [], raw.get("answerable", True)
        if not isinstance(relevant, list) or not all(isinstance(id_, str) for id_ in relevant):
            raise InputError(f"{where}: relevant: expected a list of context ids")
        if not isinstance(answerable, bool):
            raise InputError(f"{where}: answerable: expected true or false")
        rows[raw["id"]] = RagRow(
            id=raw["id"],
            question=raw["question"],
            answer=raw["answer"],
            contexts=_contexts(raw.get("contexts") or [], where),
            relevant=relevant,
            reference=str(raw.get("reference") or ""),
            answerable=answerable,
            confidence=_number(raw.get("confidence"), f"{where}: confidence"),
            score=_number(raw.get("score"), f"{where}: score"),
        )
    if not rows:
        raise InputError(f"{file}: no rows: expected JSON lines with id, question and answer")
    return list(rows.values())


def _contexts(raw: Any, where: str) -> list[Context]:
    if not isinstance(raw, list):
        raise InputError(f"{where}: contexts: expected a list")
    found = []
    for number, context in enumerate(raw, start=1):
        if isinstance(context, str):
            found.append(Context(str(number), context))
        elif isinstance(context, dict) and isinstance(context.get("text", ""), str) and context.get("id"):
            found.append(Context(str(context["id"]), context.get("text", "")))
        else:
            raise InputError(f"{where}: contexts[{number - 1}]: expected a text, or an object with id and text")
    return found


def _number(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise InputError(f"{where}: expected a number, got {value!r}")
    return float(value)
