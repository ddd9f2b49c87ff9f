"""Answer relevancy: is the question that was asked the one that the answer answers?

A judge writes questions that the answer would be an answer to; their nearness to the real one is the cosine of
their embeddings. An answer that evades is worth 0. The arithmetic is RAGAS' (Es et al. 2024, section 3).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ta_eval.http_target import HttpTarget
from ta_eval.judge.prompts import quoted
from ta_eval.rag.rows import RagRow
from ta_eval.target import Message

QUESTIONS = 3
BATCH = 64
"""Texts in one request for embeddings."""


def relevancy_schema() -> dict[str, Any]:
    """Questions, and whether the answer evades."""
    question = {
        "type": "object",
        "properties": {"question": {"type": "string"}},
        "required": ["question"],
        "additionalProperties": False,
    }
    properties = {
        "questions": {"type": "array", "items": question},
        "evasive": {"type": "string", "enum": ["yes", "no"]},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def relevancy_messages(row: RagRow) -> list[Message]:
    """The answer alone: the judge must not see the question that it should find."""
    task = (
        f"Write {QUESTIONS} different questions that the text answers. Say also whether it evades, such as "
        '"I do not know" or "it depends". Reply with one JSON object only: '
        '{"questions": [{"question": "..."}, ...], "evasive": "yes" or "no"}.'
    )
    return quoted(task, {"answer": row.answer}, row.id)


def relevancy_values(
    said: Mapping[str, Mapping[str, Any]], rows: Mapping[str, RagRow], embedder: HttpTarget
) -> dict[str, float]:
    """Row id: relevancy from 0 to 1, of the judgments `said`; a row with no question written is absent.

    Raises SetupError where the embedder fails for good.
    """
    written = {
        id_: [entry["question"] for entry in answer["questions"] if entry["question"].strip()]
        for id_, answer in said.items()
    }
    asked = {id_: [rows[id_].question, *questions] for id_, questions in written.items() if questions}
    texts = list(dict.fromkeys(text for every in asked.values() for text in every))
    parts = [embedder.embed(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
    vectors = dict(zip(texts, (vector for part in parts for vector in part), strict=True))
    return {
        id_: relevancy(vectors[real], [vectors[text] for text in others], evasive=said[id_]["evasive"] == "yes")
        for id_, (real, *others) in asked.items()
    }


def relevancy(question: Sequence[float], written: Sequence[Sequence[float]], *, evasive: bool) -> float:
    """Mean cosine of the question's vector with those of the written ones, at least 0; 0 for an evasion."""
    import numpy as np

    real, others = np.asarray(question, dtype=float), np.asarray(written, dtype=float)
    scale = np.linalg.norm(others, axis=1) * np.linalg.norm(real)
    cosines = others @ real / np.where(scale > 0, scale, 1.0)
    return 0.0 if evasive else min(1.0, max(0.0, float(cosines.mean())))
