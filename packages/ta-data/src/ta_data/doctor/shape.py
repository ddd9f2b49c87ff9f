"""Whether a row can be trained on at all."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from ta_data.pipe import Object

KNOWN_ROLES = ("system", "user", "assistant", "tool")


class Fault(NamedTuple):
    """A check that fails, and on what."""

    check: str
    what: str


def faults(row: Object) -> Iterator[Fault]:
    """What is wrong with the shape of a conversation or a preference."""
    if "messages" in row:
        yield from _conversation(row["messages"])
    elif {"prompt", "chosen", "rejected"} <= row.keys():
        yield from _preference(row)
    elif {"prompt", "completion"} <= row.keys():
        if not row["completion"]:
            yield Fault("empty-message", "completion")
    else:
        yield Fault("misshaped", f"keys: {', '.join(list(row)[:8])}")


def _conversation(messages: Any) -> Iterator[Fault]:
    if not isinstance(messages, list) or not all(isinstance(m, dict) and "role" in m for m in messages):
        yield Fault("misshaped", "messages: expected a list of {role, content}")
        return
    for i, message in enumerate(messages):
        if message["role"] not in KNOWN_ROLES:
            yield Fault("unknown-role", f"messages[{i}]: {message['role']!r}")
        content = message.get("content")
        if not (isinstance(content, str) and content.strip()) and not message.get("tool_calls"):
            yield Fault("empty-message", f"messages[{i}]: {message['role']}")
    spoken = [m["role"] for m in messages if m["role"] != "system"]
    if "assistant" not in spoken:
        yield Fault("no-answer", f"roles: {', '.join(map(str, spoken)) or 'none'}")
        return
    if spoken[0] != "user":
        yield Fault("not-user-first", f"first is {spoken[0]!r}")
    if spoken[-1] != "assistant":
        yield Fault("last-not-assistant", f"last is {spoken[-1]!r}")
    if any(a == b for a, b in pairwise(spoken) if a != "tool"):
        yield Fault("roles-repeat", " ".join(map(str, spoken)))


def _preference(row: Object) -> Iterator[Fault]:
    chosen, rejected = _last(row["chosen"]), _last(row["rejected"])
    if not chosen.strip() or not rejected.strip():
        yield Fault("empty-message", "chosen or rejected is empty")
    elif " ".join(chosen.split()) == " ".join(rejected.split()):
        yield Fault("chosen-is-rejected", chosen[:80])


def _last(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    return value if isinstance(value, str) else ""
