"""What the teacher is asked, by kind of row. The digest of the text stands in every row that came of it."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from ta_data.clean.parts import parts
from ta_data.pipe import Object

Kind = Literal["questions", "paraphrase", "multi-turn", "unanswerable", "hard-negative", "distill"]

JSON_ONLY = "Reply with a JSON list alone, no other text."
TEXTS: dict[Kind, str] = {
    "questions": (
        "Below is a part of a document. Write {n} questions that a user would ask and that this part answers, "
        "each with an answer that uses nothing but this part. The user does not see the document: never refer "
        "to it.\n"
        'Form: [{{"question": "…", "answer": "…"}}]. ' + JSON_ONLY + "\n\n---\n{text}"
    ),
    "unanswerable": (
        "Below is a part of a document. Write {n} questions that sound as if it answered them, though it does "
        "not.\n"
        'Form: [{{"question": "…"}}]. ' + JSON_ONLY + "\n\n---\n{text}"
    ),
    "paraphrase": (
        "Write the question below in {n} other ways: short, long, polite, as keywords. Keep every name, "
        'number, path and option as it is.\nForm: [{{"question": "…"}}]. ' + JSON_ONLY + "\n\n---\n{question}"
    ),
    "hard-negative": (
        "Below are a question and its answer. Write {n} questions that look much like it and need another "
        'answer, each with that answer.\nForm: [{{"question": "…", "answer": "…"}}]. ' + JSON_ONLY + "\n\n---\n"
        "Question: {question}\nAnswer: {answer}"
    ),
    "multi-turn": (
        "Below are a question and its answer. Write {n} follow-ups that a user would ask next, each with its "
        'answer.\nForm: [{{"question": "…", "answer": "…"}}]. ' + JSON_ONLY + "\n\n---\n"
        "Question: {question}\nAnswer: {answer}"
    ),
    "distill": "{question}",
}
FROM_DOCUMENTS = ("questions", "unanswerable")
CHUNK_WORDS = 600


class Ask(NamedTuple):
    """A request to be made: the row or part it is about, and the text."""

    about: Object
    text: str
    """The part of the document; empty where a row is asked about."""
    prompt: str


def asks(row: Object, kind: Kind, count: int) -> Iterator[Ask]:
    """The requests for one row; none where the kind does not fit it."""
    question, answer = parts(row)
    if kind in FROM_DOCUMENTS:
        for chunk in chunks(str(row["text"])) if isinstance(row.get("text"), str) else ():
            yield Ask(row, chunk, TEXTS[kind].format(n=count, text=chunk))
    elif question and (answer or kind in ("paraphrase", "distill")):
        yield Ask(row, "", TEXTS[kind].format(n=count, question=question, answer=answer))


def chunks(text: str, words: int = CHUNK_WORDS) -> Iterator[str]:
    """Parts of at most `words` words, cut at headings and blank lines; a part keeps the heading above it."""
    part: list[str] = []
    size, heading = 0, ""
    for block in re.split(r"\n\s*\n", text):
        length = len(block.split())
        starts = block.lstrip().startswith("#")
        if part and (size + length > words or (starts and size > words // 3)):
            yield "\n\n".join(part)
            part, size = ([] if starts or not heading else [heading]), 0
        if starts:
            heading = block.strip().split("\n")[0]
        part.append(block)
        size += length
    if size:
        yield "\n\n".join(part)
