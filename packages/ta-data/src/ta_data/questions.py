"""Questions and answers that a document holds already, found by its structure and without a model.

| in the document | becomes |
| --- | --- |
| `Q: …` and `A: …` | the pair |
| a heading that asks: `## How do I reset it?` | the heading and the section below it |
| a heading `How to reset it` or `Resetting it` | no question is made up: left for `ta-data augment` |
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ta_schemas.rows import ConversationRow, DocumentRow, Message

HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
ASKED = re.compile(
    r"^\s*(?:\*\*)?(?:Q|Question|Frage)\s*\d*\s*[:.)]\s*(?:\*\*)?\s*(.+?)(?:\*\*)?\s*$", re.IGNORECASE
)
ANSWERED = re.compile(r"^\s*(?:\*\*)?(?:A|Answer|Antwort)\s*\d*\s*[:.)]\s*(?:\*\*)?\s*(.*)$", re.IGNORECASE)
MIN_ANSWER_WORDS = 3


class Found(NamedTuple):
    """A question and its answer, and the line of the question in the document's text, from 0."""

    line: int
    question: str
    answer: str


def conversations_in(document: DocumentRow) -> Iterator[ConversationRow]:
    """The conversations that a document's structure gives; none is the usual answer."""
    first = document.span[0] if document.span else 1
    for found in find_questions(document.text):
        place = f"{document.source}:{first + found.line}"
        yield ConversationRow(
            id=place,
            messages=[
                Message(role="user", content=found.question),
                Message(role="assistant", content=found.answer),
            ],
            source=place,
            license=document.license,
            extra={"document": document.id},
        )


def find_questions(text: str) -> Iterator[Found]:
    """Pairs in the order of the text. A section with `Q:` lines in it is not taken as an answer itself."""
    lines = text.split("\n")
    marked = list(_marked(lines))
    yield from marked
    taken = {found.line for found in marked}
    for start, level, heading in _headings(lines):
        if not heading.endswith("?"):
            continue
        end = next((n for n, other, _ in _headings(lines) if n > start and other <= level), len(lines))
        if not taken & set(range(start, end)):
            found = _pair(start, heading, lines[start + 1 : end])
            if found:
                yield found


def _marked(lines: list[str]) -> Iterator[Found]:
    at, question, answer = -1, "", None
    for number, line in enumerate([*lines, "# end"]):
        asked = ASKED.match(line)
        if asked or HEADING.match(line):
            if answer is not None and (found := _pair(at, question, answer)):
                yield found
            at, question, answer = (number, asked[1], None) if asked else (-1, "", None)
        elif answer is not None:
            answer.append(line)
        elif at >= 0 and (answered := ANSWERED.match(line)):
            answer = [answered[1]]


def _pair(line: int, question: str, answer: list[str]) -> Found | None:
    text = "\n".join(answer).strip()
    return Found(line, question.strip(), text) if len(text.split()) >= MIN_ANSWER_WORDS else None


def _headings(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    fenced = False
    for number, line in enumerate(lines):
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and (match := HEADING.match(line)):
            yield number, len(match[1]), re.sub(r"[*_`]", "", match[2])
