"""What is asked and what is answered in a row of any origin."""

from collections.abc import Mapping
from typing import Any, NamedTuple

PAIRS = (
    ("prompt", "completion"), ("instruction", "output"), ("question", "answer"), ("prompt", "response"),
    ("prompt", "chosen"), ("query", "response"), ("input", "output"),
)  # fmt: skip


class Parts(NamedTuple):
    """The two sides of a row; a document has only the second."""

    prompt: str
    answer: str


def parts(row: Mapping[str, Any]) -> Parts:
    """Prompt and answer of a conversation, a pair or a document; the system prompt belongs to neither."""
    turns = row.get("messages", row.get("conversations"))
    if isinstance(turns, list):
        said = [_turn(turn) for turn in turns if isinstance(turn, Mapping)]
        asked = "\n".join(text for role, text in said if role in ("user", "human"))
        return Parts(asked, "\n".join(text for role, text in said if role in ("assistant", "gpt")))
    for asked, answered in PAIRS:
        if asked in row and answered in row:
            more = f"\n\n{row['input']}" if asked == "instruction" and row.get("input") else ""
            return Parts(_text(row[asked]) + more, _text(row[answered]))
    text = next(
        (row[key] for key in ("text", "content", "prompt", "question") if isinstance(row.get(key), str)), ""
    )
    return Parts("", text)


def _turn(turn: Mapping[str, Any]) -> tuple[str, str]:
    return str(turn.get("role", turn.get("from", ""))), _text(turn.get("content", turn.get("value", "")))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):  # messages, or the parts of a message
        return "\n".join(_text(v.get("content", v.get("text", ""))) for v in value if isinstance(v, Mapping))
    return ""
