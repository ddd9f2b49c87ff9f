"""An answer grounded in passages: they go into the system prompt, their places come back as citations."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ta_serve.completion import ChatMessage
from ta_serve.retrieve.index import Hit, Index

Answer = Callable[[list[ChatMessage]], Iterator[str]]
"""Streams the answer to a conversation."""

INSTRUCTION = "Use these passages where they help, and name the number of each one used, such as [1]."

MOST_CHARACTERS = 4_000
"""Of all passages together, about 1,000 tokens; what does not fit is cut off at a line's end."""

SOURCES = "\n\nSources: "


class Grounded(NamedTuple):
    """A conversation with passages, and where they come from."""

    messages: list[ChatMessage]
    hits: list[Hit]

    def citations(self, answer: str) -> list[dict[str, Any]]:
        """What an API response carries: document, lines, score, and whether the answer names the passage."""
        return [
            {
                "number": number,
                "document": hit.document.id,
                "source": hit.document.source,
                "span": [hit.document.first_line, hit.document.last_line],
                "score": round(hit.score, 3),
                "named": f"[{number}]" in answer,
            }
            for number, hit in enumerate(self.hits, start=1)
        ]


def ground(index: Index, messages: Sequence[ChatMessage], *, count: int = 3) -> Grounded:
    """Search for the last question and put what is found into the system prompt, if anything is."""
    return put_in(find(index, messages, count=count), messages)


def find(index: Index, messages: Sequence[ChatMessage], *, count: int = 3) -> list[Hit]:
    """The best passages for the last question, as far as MOST_CHARACTERS hold them."""
    question = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    hits: list[Hit] = []
    room = MOST_CHARACTERS
    for hit in index.search(question, count=count):
        document = hit.document.within(room)
        room -= len(document.text)
        if document.text:
            hits.append(Hit(document, hit.score))
    return hits


def put_in(hits: list[Hit], messages: Sequence[ChatMessage]) -> Grounded:
    """The conversation with these passages in its system prompt."""
    if not hits:
        return Grounded(list(messages), [])
    passages = [f"[{number}] {hit.document.text}" for number, hit in enumerate(hits, start=1)]
    added = "\n\n".join([INSTRUCTION, *passages])
    first, rest = ([messages[0]], messages[1:]) if messages[0]["role"] == "system" else ([], messages)
    system = "\n\n".join([*(message["content"] for message in first), added])
    return Grounded([{"role": "system", "content": system}, *rest], hits)


def grounded(answer: Answer, index: Index, *, count: int = 3) -> Answer:
    """The same engine, its answers followed by the places of the passages it was given."""

    def with_sources(messages: list[ChatMessage]) -> Iterator[str]:
        found = ground(index, [_without_sources(message) for message in messages], count=count)
        yield from answer(found.messages)
        if found.hits:
            places = [f"[{number}] {hit.document.place}" for number, hit in enumerate(found.hits, start=1)]
            yield SOURCES + ", ".join(places)

    return with_sources


def _without_sources(message: ChatMessage) -> ChatMessage:
    """An earlier answer as the model gave it: it would go on to write such lists itself."""
    if message["role"] != "assistant":
        return message
    return {**message, "content": message["content"].rpartition(SOURCES)[0] or message["content"]}
