"""JSON and JSONL: conversations in every common chat format, question-answer objects, or documents."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from ta_data.checks import ROLES, Bad
from ta_data.collect.chat_formats import WrongRowError, detect_format, to_conversation
from ta_data.collect.columns import map_columns
from ta_data.collect.columns import to_row as columns_to_row
from ta_data.collect.encoding import decode, guess_encoding
from ta_data.collect.outcome import Given, Raw, Skipped
from ta_schemas.jsonl import MAX_LINE_BYTES, to_object

CHATML = re.compile(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL)
SPOKEN = re.compile(r"^(?:### ?)?(human|user|assistant|bot|gpt|system) ?:\s*", re.IGNORECASE | re.MULTILINE)
SPEAKERS = {"human": "user", "bot": "assistant", "gpt": "assistant", "model": "assistant"}
TEXT_KEYS = ("text", "content", "body", "document", "markdown")


def read_jsonl(given: Given) -> Iterator[Raw | Bad]:
    """One object a line; a broken or overlong line is named and the rest read."""
    encoding = guess_encoding(given.stream.read(4096))
    given.stream.seek(0)
    count = 0
    lines = _decoded_lines(given) if encoding.startswith("utf-16") else _lines(given.stream)
    for number, line in lines:
        if isinstance(line, Bad):
            count += 1
            yield line
        elif line.strip():
            count += 1
            yield from _object(line, f":{number}", given)
    if not count:
        raise Skipped("empty")


def read_json(given: Given) -> Iterator[Raw | Bad]:
    """A list of objects, an object that holds one, or one object; JSON lines under the name of JSON too."""
    raw = given.whole()
    text, given.notes["encoding"] = decode(raw)
    if not text.strip():
        raise Skipped("empty")
    try:
        content = msgspec.json.decode(text)
    except msgspec.DecodeError:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield from _object(line.encode(), f":{number}", given)
        return
    if isinstance(content, dict) and detect_any(content) is None:
        lists = [value for value in content.values() if isinstance(value, list) and value]
        content = max(lists, key=len) if lists else content
    for i, item in enumerate(content if isinstance(content, list) else [content]):
        yield _row(item, f"#item={i}", given)


def detect_any(raw: dict[str, Any]) -> str | None:
    """The format of an object, among those of `ta-data prepare` and the ones read only here."""
    if isinstance(raw.get("mapping"), dict):
        return "chatgpt-export"
    found = detect_format(raw)
    if found:
        return found
    if isinstance(text := raw.get("text"), str) and (CHATML.search(text) or len(SPOKEN.findall(text)) > 1):
        return "transcript"
    mapping = map_columns(list(raw), {})
    if "prompt" in mapping and "answer" in mapping:
        return "columns"
    return "document" if any(isinstance(raw.get(key), str) for key in TEXT_KEYS) else None


def _object(line: bytes, where: str, given: Given) -> Iterator[Raw | Bad]:
    try:
        raw = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        yield Bad(where, "not valid JSON", str(error))
        return
    except RecursionError:
        yield Bad(where, "not valid JSON", "nested too deep")
        return
    yield _row(raw, where, given)


def _row(raw: Any, where: str, given: Given) -> Raw | Bad:
    if not isinstance(raw, dict):
        return Bad(where, "not an object", "expected one JSON object")
    raw = {key: value for key, value in raw.items() if value is not None}
    mapping = map_columns(list(raw), given.columns)
    found = "columns" if given.columns and {"prompt", "answer"} <= mapping.keys() else detect_any(raw)
    if found:
        formats = given.notes.setdefault("formats", {})
        formats[found] = formats.get(found, 0) + 1
    try:
        if found == "columns":
            given.notes |= {"columns": mapping, "header": list(raw)}
            row = columns_to_row(raw, mapping)
        elif found == "document":
            row = {**raw, "text": next(raw[key] for key in TEXT_KEYS if isinstance(raw.get(key), str))}
        elif found == "chatgpt-export":
            row = {"messages": _exported(raw["mapping"]), "title": raw.get("title", "")}
        elif found == "transcript":
            row = {**{k: v for k, v in raw.items() if k != "text"}, "messages": _transcript(raw["text"])}
        else:
            plain = {**raw, "messages": _flat(raw["messages"])} if found == "messages" else raw
            known = to_conversation(plain, found, where)  # type: ignore[arg-type]
            row = {k: v for k, v in to_object(known).items() if k not in ("id", "source") or k in raw}
    except WrongRowError as error:
        return Bad(where, error.reason, str(error), str(raw.get("id", "")))
    if row.get("source"):  # where it came from before; `source` is where it stands here
        row = {**row, "origin": row["source"]}
    row["source"] = "" if where.startswith(":") else where
    return {**row, "span": [int(where[1:])] * 2} if where.startswith(":") else row


def _flat(messages: Any) -> Any:
    """Content given as parts, as OpenAI has it for pictures, as one text where every part is text."""
    if not isinstance(messages, list):
        return messages
    flat = []
    for i, message in enumerate(messages):
        parts = message.get("content") if isinstance(message, dict) else None
        if isinstance(parts, list):
            if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in parts):
                raise WrongRowError("not only text", f"messages[{i}]: a part of it is no text")
            message = {**message, "content": "\n".join(part["text"] for part in parts)}
        flat.append(message)
    return flat


def _exported(mapping: dict[str, Any]) -> list[dict[str, str]]:
    """The last branch of a conversation tree: nodes with `parent`, `children` and `message`."""
    ends = [key for key, node in mapping.items() if isinstance(node, dict) and not node.get("children")]
    path: list[dict[str, str]] = []
    key: Any = ends[-1] if ends else None
    seen: set[str] = set()
    while isinstance(key, str) and key in mapping and key not in seen:
        seen.add(key)
        message = mapping[key].get("message") or {}
        role = (message.get("author") or {}).get("role")
        parts = (message.get("content") or {}).get("parts") or []
        text = "\n".join(part for part in parts if isinstance(part, str)).strip()
        if role in ROLES and text:
            path.append({"role": role, "content": text})
        key = mapping[key].get("parent")
    if not path:
        raise WrongRowError("empty conversation", "no message with text in it")
    return path[::-1]


def _transcript(text: str) -> list[dict[str, str]]:
    turns = CHATML.findall(text)
    if not turns:
        parts = SPOKEN.split(text)
        turns = list(zip(parts[1::2], parts[2::2], strict=True))
    named = [(SPEAKERS.get(who.lower(), who.lower()), said.strip()) for who, said in turns]
    if any(role not in ROLES for role, _ in named):
        raise WrongRowError("wrong role", f"a speaker is none of {', '.join(ROLES)}")
    return [{"role": role, "content": said} for role, said in named if said]


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | Bad]]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield number, Bad(f":{number}", "line too long", f"more than {MAX_LINE_BYTES // 2**20} MiB")
        else:
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def _decoded_lines(given: Given) -> Iterator[tuple[int, bytes | Bad]]:
    text, given.notes["encoding"] = decode(given.whole())
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.encode()
