"""The conversations that are compared: ours, and held-out ones from a file."""

from pathlib import Path
from typing import NamedTuple

from ta_schemas import InputError, read_jsonl
from ta_schemas.rows import Message, Row

ChatMessage = dict[str, str]


class Chat(NamedTuple):
    """A conversation that ends with a question."""

    name: str
    messages: list[ChatMessage]


_QUESTIONS = {
    "plain": ["How do I list the hidden files of a folder?"],
    "multi-turn": ["Where is the log of nginx?", "It is in /var/log/nginx.", "And how do I follow it?"],
    "Unicode": ["Grüße! Was heißt 日本語 auf Ελληνικά? 🙂👩‍💻 ½ – „so“"],
    "code": [
        "What does this print?\n\n```python\nfor i in range(3):\n\tprint(f\"{i:>04}\", {'a': [1, 2]})\n```"
    ],
    "numbers and signs": [
        "Is 3.14159 < 22/7? chmod 0644 *.txt && echo \"$?\" | sed 's/[0-9]\\+/<n>/g' # 1,000,000"
    ],
    "five turns": [
        "Hi",
        "Hello. What can I do for you?",
        "tar or zip?",
        "tar keeps owners and modes.",
        "Thanks. Why?",
    ],
}
_SYSTEM = "You answer in one short sentence, and you name the command."


def built_in_chats(*, system: str = "") -> list[Chat]:
    """Our conversations with and without a system prompt; `system`: the one the model was tuned with."""
    chats = []
    for name, turns in _QUESTIONS.items():
        spoken = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(turns)]
        chats.append(Chat(f"{name}, no system prompt", spoken))
        chats.append(
            Chat(f"{name}, a system prompt", [{"role": "system", "content": system or _SYSTEM}, *spoken])
        )
    return chats


class ChatRow(Row, kw_only=True, omit_defaults=True):
    """A line of a file of conversations; what else it holds is not looked at."""

    messages: list[Message]
    id: str = ""


def read_chats(file: Path, *, limit: int) -> list[Chat]:
    """The first `limit` conversations of a dataset or benchmark file, without their last answers.

    Raises InputError(file: …) for a conversation without a question, and for an empty file.
    """
    chats: list[Chat] = []
    for number, row in enumerate(read_jsonl(file, ChatRow), start=1):
        messages = [{"role": str(m.role), "content": m.content} for m in row.messages]
        while messages and messages[-1]["role"] != "user":
            messages.pop()
        if not messages:
            raise InputError(f"{file}: id {row.id or number!r}: messages: no question in it")
        chats.append(Chat(row.id or f"line {number}", messages))
        if len(chats) == limit:
            break
    if not chats:
        raise InputError(f"{file}: no rows")
    return chats
