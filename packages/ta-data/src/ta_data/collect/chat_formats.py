"""Reads chat data in JSONL: OpenAI messages, ShareGPT, Alpaca, prompt/completion.

| format | keys of an object |
| --- | --- |
| messages | `messages: [{role, content}]` |
| sharegpt | `conversations: [{from, value}]`, optional `system` |
| alpaca | `instruction`, `output`, optional `input`, `system`, `history: [[question, answer]]` |
| prompt-completion | `prompt`, `completion`: both strings or both lists of messages |

In every format `id`, `group`, `task`, `kind`, `license` and `source` are taken over, and keys nobody knows
are kept beside them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ta_data.checks import ROLES, Bad, Record
from ta_data.config import Format
from ta_schemas.errors import InputError
from ta_schemas.jsonl import RowErrors, read_objects, to_row
from ta_schemas.rows import ConversationRow

SHAREGPT_ROLES = {"human": "user", "gpt": "assistant"}

FORMAT_KEYS: dict[Format, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": ("instruction", "output"),
    "prompt-completion": ("prompt", "completion"),
}


class WrongRowError(Exception):
    """Why an object is no conversation: a reason to be counted and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class _BadLines(RowErrors):
    """Keeps every unreadable line, not only the first few."""

    def __init__(self, path: Path, relative: str) -> None:
        super().__init__()
        self.lines: list[Bad] = []
        self._path, self._relative = path, relative

    def add(self, reason: str, message: str) -> None:
        super().add(reason, message)
        number, _, detail = message.removeprefix(f"{self._path}:").partition(": ")
        self.lines.append(Bad(f"{self._relative}:{number}", reason, detail))


def detect_format(raw: dict[str, Any]) -> Format | None:
    """The format whose keys the object has."""
    return next((name for name, keys in FORMAT_KEYS.items() if all(key in raw for key in keys)), None)


def read_chat(
    path: Path, relative: str, chosen: Format | None, formats: dict[str, str]
) -> Iterator[Record | Bad]:
    """Yield the conversations of a file, and what is none. The format found goes to `formats[relative]`."""
    bad_lines = _BadLines(path, relative)
    found = chosen
    count = 0
    for number, raw in read_objects(path, on_error="skip", errors=bad_lines):
        yield from bad_lines.lines
        bad_lines.lines.clear()
        count += 1
        where = f"{relative}:{number}"
        if not isinstance(raw, dict):
            yield Bad(where, "not an object", "expected one JSON object a line (jq -c '.[]' splits a list)")
            continue
        found = found or detect_format(raw)
        try:
            yield Record(where, to_conversation(raw, found, where))
        except WrongRowError as error:
            yield Bad(where, error.reason, str(error), str(raw.get("id", "")))
    yield from bad_lines.lines
    if not count and not bad_lines.count:
        raise InputError(f"{path}: empty file: expected one JSON object a line")
    formats[relative] = found or "unknown"


def to_conversation(raw: dict[str, Any], chosen: Format | None, where: str) -> ConversationRow:
    """One object as a conversation; WrongRowError where it is none."""
    if chosen is None:
        known = "; ".join(f"{name}: {' + '.join(keys)}" for name, keys in FORMAT_KEYS.items())
        keys = ", ".join(raw) or "none"
        raise WrongRowError("unknown format", f"the keys {keys} are of no known format ({known})")
    missing = [key for key in FORMAT_KEYS[chosen] if key not in raw]
    if missing:
        raise WrongRowError("missing key", f"{missing[0]}: missing in an object of the format {chosen!r}")
    rest = dict(raw)
    if chosen == "messages":
        messages = rest.pop("messages")
    elif chosen == "sharegpt":
        messages = _sharegpt(rest)
    elif chosen == "alpaca":
        messages = _alpaca(rest)
    else:
        messages = _prompt_completion(rest)
    _check_messages(messages)
    if isinstance(rest.get("id"), int):
        rest["id"] = str(rest["id"])
    try:
        return to_row({"id": where, "source": where, **rest, "messages": messages}, ConversationRow)
    except msgspec.ValidationError as error:
        raise WrongRowError("wrong type", str(error).replace(" - at `$.", " at `")) from None


def _sharegpt(rest: dict[str, Any]) -> Any:
    turns = rest.pop("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise WrongRowError("wrong type", "conversations: expected a list of {from, value}")
    messages = _system(rest)
    for i, turn in enumerate(turns):
        if "from" not in turn or "value" not in turn:
            raise WrongRowError("missing key", f"conversations[{i}]: expected the keys 'from' and 'value'")
        others = {key: value for key, value in turn.items() if key not in ("from", "value")}
        role = SHAREGPT_ROLES.get(turn["from"], turn["from"]) if isinstance(turn["from"], str) else None
        messages.append({**others, "role": role, "content": turn["value"]})
    return messages


def _alpaca(rest: dict[str, Any]) -> Any:
    messages = _system(rest)
    history = rest.pop("history", None) or []
    if not isinstance(history, list) or not all(isinstance(h, list) and len(h) == 2 for h in history):
        raise WrongRowError("wrong type", "history: expected a list of [question, answer]")
    for question, answer in history:
        messages += [_message("user", question), _message("assistant", answer)]
    instruction, given = rest.pop("instruction"), rest.pop("input", None)
    if isinstance(instruction, str) and isinstance(given, str) and given.strip():
        instruction = f"{instruction}\n\n{given}"
    elif given is not None and not isinstance(given, str):
        raise WrongRowError("wrong type", "input: expected text")
    return [*messages, _message("user", instruction), _message("assistant", rest.pop("output"))]


def _prompt_completion(rest: dict[str, Any]) -> Any:
    prompt, completion = rest.pop("prompt"), rest.pop("completion")
    if isinstance(prompt, str) and isinstance(completion, str):
        return [_message("user", prompt), _message("assistant", completion)]
    if isinstance(prompt, list) and isinstance(completion, list):
        return prompt + completion
    raise WrongRowError("wrong type", "prompt and completion: expected two strings or two lists of messages")


def _system(rest: dict[str, Any]) -> list[dict[str, Any]]:
    system = rest.pop("system", None)
    return [_message("system", system)] if system else []


def _message(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def _check_messages(messages: Any) -> None:
    """Name the fault in our words before msgspec finds it in its own."""
    if not isinstance(messages, list):
        raise WrongRowError("wrong type", "messages: expected a list")
    for i, message in enumerate(messages):
        if not isinstance(message, dict) or "role" not in message or "content" not in message:
            raise WrongRowError("missing key", f"messages[{i}]: expected the keys 'role' and 'content'")
        if message["role"] not in ROLES:
            raise WrongRowError(
                "wrong role", f"messages[{i}]: role {message['role']!r} is none of {', '.join(ROLES)}"
            )
        if message["role"] == "assistant" and message["content"] is None:
            raise WrongRowError("empty answer", f"messages[{i}]: the assistant's text is empty")
        if not isinstance(message["content"], str):
            raise WrongRowError("wrong type", f"messages[{i}]: content: expected text")
