"""Which column is the question and which the answer: found by name, shown, and overridden by `columns:`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ta_data.collect.outcome import Raw

NAMES: dict[str, tuple[str, ...]] = {
    "prompt": (
        "prompt", "question", "instruction", "query", "user", "human", "input", "request", "subject", "title",
        "problem", "issue", "message", "frage", "description",
    ),
    "answer": (
        "answer", "response", "completion", "output", "assistant", "gpt", "reply", "solution", "resolution",
        "accepted_answer", "answer_text", "antwort", "target", "agent_reply",
    ),
    "system": ("system", "system_prompt"),
    "id": ("id", "uuid", "key", "ticket", "ticket_id"),
    "group": ("group", "category", "topic", "product", "tool", "tag"),
    "license": ("license", "licence"),
    "task": (),
    "kind": (),
}  # fmt: skip
"""Names by role, the likeliest first; case, blanks and underscores do not count. `task` and `kind`
are taken only where they are named: in other people's tables these words mean other things."""


def map_columns(header: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Role: column, for the roles that are found; `chosen` wins."""
    by_name = {_plain(name): name for name in reversed(header)}
    mapping = {role: name for role, name in chosen.items() if name in header}
    for role, names in NAMES.items():
        found = next((by_name[_plain(n)] for n in names if _plain(n) in by_name), None)
        if role not in mapping and found and found not in mapping.values():
            mapping[role] = found
    return mapping


def to_row(record: Mapping[str, Any], mapping: Mapping[str, str]) -> Raw:
    """A conversation where prompt and answer are mapped, else a document `column: value`."""
    values = {name: str(value).strip() for name, value in record.items() if value not in (None, "")}
    if "prompt" not in mapping or "answer" not in mapping:
        return {"text": "\n".join(f"{name}: {value}" for name, value in values.items())}
    said = {role: values.get(mapping[role], "") for role in ("system", "prompt", "answer") if role in mapping}
    roles = {"system": "system", "prompt": "user", "answer": "assistant"}
    row: Raw = {
        "messages": [
            {"role": roles[role], "content": text} for role, text in said.items() if text or role != "system"
        ]
    }
    for role in ("id", "group", "license", "task", "kind"):
        if role in mapping and values.get(mapping[role]):
            row[role] = values[mapping[role]]
    return row


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
