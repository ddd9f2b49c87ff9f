"""What a judge must read: is the answer held up by the contexts, and are the contexts of any use?

The arithmetic is RAGAS' (Es et al. 2024); a claim list and its verdicts come in one question, not in two.
"""

from collections.abc import Mapping
from typing import Any

from ta_eval.judge.prompts import quoted
from ta_eval.rag.retrieval import average_precision
from ta_eval.rag.rows import RagRow
from ta_eval.target import Message

YES_NO = {"type": "string", "enum": ["yes", "no"]}


def claims_schema() -> dict[str, Any]:
    """A list of claims, each held up or not."""
    return _list_schema("claims", {"claim": {"type": "string"}, "supported": YES_NO})


def contexts_schema() -> dict[str, Any]:
    """A verdict for each context, in their order."""
    return _list_schema("contexts", {"useful": YES_NO})


def faithfulness_messages(row: RagRow) -> list[Message]:
    """Every claim of the answer against the contexts."""
    return _claim_messages(row, "answer", row.answer)


def recall_messages(row: RagRow) -> list[Message]:
    """Every claim of the reference against the contexts."""
    return _claim_messages(row, "reference", row.reference)


def precision_messages(row: RagRow) -> list[Message]:
    """Every context: does it help to reach the reference, or the answer where there is none?"""
    name, text = ("reference", row.reference) if row.reference else ("answer", row.answer)
    task = (
        f"For each context, in order, say whether it is useful to get from the question to the {name}. Reply "
        'with one JSON object only: {"contexts": [{"useful": "yes" or "no"}, ...]}, one entry for each context.'
    )
    return quoted(task, {"question": row.question, name: text, **_contexts(row)}, row.id)


def supported_share(answer: Mapping[str, Any]) -> float | None:
    """Held-up claims of all; None where the text makes none."""
    verdicts = [claim["supported"] == "yes" for claim in answer["claims"]]
    return sum(verdicts) / len(verdicts) if verdicts else None


def context_precision(answer: Mapping[str, Any], contexts: int) -> float | None:
    """Average precision of the verdicts; None where their number is not that of the contexts."""
    verdicts = [context["useful"] == "yes" for context in answer["contexts"]]
    return average_precision(verdicts) if len(verdicts) == contexts else None


def _claim_messages(row: RagRow, name: str, text: str) -> list[Message]:
    task = (
        f"Split the {name} into its single claims. For each say whether it can be inferred from the contexts "
        'alone, not from what you know. Reply with one JSON object only: {"claims": [{"claim": "...", '
        '"supported": "yes" or "no"}, ...]}; an empty list if it claims nothing.'
    )
    return quoted(task, {"question": row.question, name: text, **_contexts(row)}, row.id)


def _contexts(row: RagRow) -> dict[str, str]:
    return {f"context {number}": context.text for number, context in enumerate(row.contexts, start=1)}


def _list_schema(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    item = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return {
        "type": "object",
        "properties": {name: {"type": "array", "items": item}},
        "required": [name],
        "additionalProperties": False,
    }
