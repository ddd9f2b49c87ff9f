"""Reads the knowledge-base format: one Markdown file a topic, one `## ` section a task.

    ## Copy a directory tree
    - task: cp-tree
    - group: cp
    ### Questions
    - How do I copy {src} to {dst}?
    ### Values
    | src | dst |
    | --- | --- |
    | photos | backup |
    ### Answer
    `-a` keeps permissions and times. (then the command in a fenced block)
    ### Follow-up
    > Only what is newer. (then the answer to it)

Read line by line, not with a Markdown parser: questions and commands are literal text, in which no character
may be taken for emphasis, an escape or a nested list.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, get_args

from ta_data.checks import Bad, Record
from ta_schemas.errors import InputError
from ta_schemas.jsonl import MAX_LINE_BYTES
from ta_schemas.rows import ConversationKind, ConversationRow, Message

Complain = Callable[[int, str], None]
"""Takes a line number and what is wrong there; may raise."""

FIELDS = ("task", "group", "kind")
PARTS = ("Questions", "Values", "Answer", "Follow-up")
KINDS: tuple[str, ...] = get_args(ConversationKind)


class Line(NamedTuple):
    """A line of the file, numbered from 1."""

    number: int
    text: str


class Turn(NamedTuple):
    """A question and its answer, placeholders not yet filled in."""

    question: str
    answer: str


@dataclass
class Task:
    """One `## ` section."""

    line: int
    title: str
    task: str = ""
    group: str = ""
    kind: ConversationKind = "answer"
    questions: list[Line] = field(default_factory=list)
    values: list[dict[str, str]] = field(default_factory=list)
    answer: str = ""
    follow_ups: list[Turn] = field(default_factory=list)

    def filled(self, text: str, k: int) -> str:
        """`text` for question k (from 0): `{column}` replaced from row k of the values, wrapping round."""
        if not self.values:
            return text
        row = self.values[k % len(self.values)]
        # One pass: a value that holds braces is not filled in again.
        return re.sub(r"\{([^{}]*)\}", lambda match: row.get(match[1], match[0]), text)


def read_knowledge_base(path: Path, relative: str, refusal: str) -> Iterator[Record | Bad]:
    """Yield the conversations of a file in order; a broken section is yielded once, with its first fault."""
    sections = list(split_sections(read_text(path)))
    if not sections:
        raise InputError(f"{path}: no task in it: a task begins with a '## ' heading")
    for section in sections:
        faults: list[Bad] = []

        def complain(number: int, what: str, faults: list[Bad] = faults) -> None:
            faults.append(Bad(f"{relative}:{number}", "broken task section", what))

        task = read_task(section, complain)
        if not task.answer and not refusal and not faults:
            complain(task.line, f"task {task.task!r} has no answer, and domain.yaml has no refusal for it")
        if faults:
            yield faults[0]
        else:
            yield from conversations(task, relative, refusal)


def conversations(task: Task, relative: str, refusal: str = "") -> Iterator[Record]:
    """One conversation a question; the last question's goes on with the follow-ups."""
    for k, question in enumerate(task.questions):
        turns = [Turn(question.text, task.answer or refusal)]
        if k == len(task.questions) - 1:
            turns += task.follow_ups
        messages = []
        for turn in turns:
            messages.append(Message(role="user", content=task.filled(turn.question, k)))
            messages.append(Message(role="assistant", content=task.filled(turn.answer, k)))
        where = f"{relative}:{question.number}"
        yield Record(
            where,
            ConversationRow(
                id=f"{task.task}-q{k + 1}",
                messages=messages,
                group=task.group,
                task=task.task,
                kind=task.kind,
                source=where,
            ),
        )


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; InputError where it is another encoding or no text."""
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or raw[:512].count(0) > len(raw[:512]) // 4:
        raise InputError(f"{path}: UTF-16 text: convert it first (iconv -f UTF-16 -t UTF-8)")
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if len(line) > MAX_LINE_BYTES:
            raise InputError(f"{path}:{number}: line is longer than {MAX_LINE_BYTES // 2**20} MiB: split it")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        number = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{number}: not UTF-8: {error.reason}") from None


def split_sections(text: str) -> Iterator[list[Line]]:
    """The lines of each `## ` section, heading first; what stands before the first one is introduction."""
    section: list[Line] = []
    for line, fenced in _with_fences(text):
        if line.text.startswith("## ") and not fenced:
            if section:
                yield section
            section = []
        elif not section:
            continue
        section.append(line)
    if section:
        yield section


def read_task(section: list[Line], complain: Complain) -> Task:
    """One section as a task; every fault goes to `complain`."""
    task = Task(section[0].number, section[0].text[3:].strip())
    head, *parts = _split_parts(section)
    _read_fields(task, head[1:], complain)
    seen: set[str] = set()
    for heading, *body in parts:
        name = heading.text.removeprefix("###").strip()
        if name not in PARTS:
            complain(heading.number, f"unknown heading {name!r}, expected one of {', '.join(PARTS)}")
        elif name in seen and name != "Follow-up":
            complain(heading.number, f"a second {name!r} in task {task.task!r}")
        elif name == "Questions":
            task.questions = _read_questions(body, complain)
        elif name == "Values":
            task.values = _read_values(heading, body, complain)
        elif name == "Answer":
            task.answer = _text(body)
        else:
            task.follow_ups.append(_read_follow_up(heading, body, complain))
        seen.add(name)
    if not task.questions:
        complain(task.line, f"task {task.task!r} has no question: add '### Questions' with '- …' lines")
    if not task.answer and (task.kind != "out-of-scope" or "Answer" in seen):
        complain(task.line, f"task {task.task!r} has no answer: add '### Answer' with its text")
    _check_columns(task, complain)
    return task


def _read_fields(task: Task, lines: list[Line], complain: Complain) -> None:
    for number, text in lines:
        if not text.strip():
            continue
        match = re.fullmatch(r"- (\w+):\s*(.*?)\s*", text)
        if not match or match[1] not in FIELDS or not match[2]:
            complain(number, f"expected '- task: …', '- group: …' or '- kind: …', got {text!r}")
        elif match[1] == "kind" and match[2] not in KINDS:
            complain(number, f"kind: {match[2]!r} is none of {', '.join(KINDS)}")
        else:
            setattr(task, match[1], match[2])
    for name in ("task", "group"):
        if not getattr(task, name):
            complain(task.line, f"section {task.title!r} has no '- {name}: …'")


def _read_questions(body: list[Line], complain: Complain) -> list[Line]:
    questions = []
    for number, text in body:
        if not text.strip():
            continue
        if not text.startswith("- ") or not text[2:].strip():
            complain(number, f"expected a question '- …' on one line, got {text!r}")
        else:
            questions.append(Line(number, text[2:].strip()))
    return questions


def _read_values(heading: Line, body: list[Line], complain: Complain) -> list[dict[str, str]]:
    lines = [line for line in body if line.text.strip()]
    for number, text in lines:
        if not text.strip().startswith("|") or not text.strip().endswith("|"):
            complain(number, f"expected a table row '| … |', got {text!r}")
            return []
    table = [(number, _cells(text)) for number, text in lines]
    if len(table) < 3 or not all(re.fullmatch(r":?-{3,}:?", cell) for cell in table[1][1]):
        complain(heading.number, "expected a table: a header row, a '| --- |' row, then rows of values")
        return []
    columns = table[0][1]
    if len(set(columns)) < len(columns) or not all(re.fullmatch(r"[A-Za-z_]\w*", name) for name in columns):
        complain(table[0][0], f"column names must be different plain words, got {columns}")
    for number, cells in table[1:]:
        if len(cells) != len(columns):
            complain(number, f"{len(cells)} cells where the header has {len(columns)} (write | as \\|)")
        elif not all(cells):
            complain(number, "an empty cell")
    return [dict(zip(columns, cells, strict=False)) for _, cells in table[2:]]


def _read_follow_up(heading: Line, body: list[Line], complain: Complain) -> Turn:
    lines = [line.text for line in body]
    while lines and not lines[0].strip():
        lines.pop(0)
    quote: list[str] = []
    while lines and lines[0].startswith(">"):
        quote.append(lines.pop(0)[1:].strip())
    turn = Turn(" ".join(quote).strip(), "\n".join(lines).strip())
    if not turn.question:
        complain(heading.number, "the follow-up does not begin with the user's message as '> …'")
    elif not turn.answer:
        complain(heading.number, "the follow-up has no answer after its '> …'")
    return turn


def _check_columns(task: Task, complain: Complain) -> None:
    texts = [q.text for q in task.questions] + [
        task.answer,
        *(part for turn in task.follow_ups for part in turn),
    ]
    for column in task.values[0] if task.values else ():
        if not any(f"{{{column}}}" in text for text in texts):
            complain(task.line, f"task {task.task!r}: column {column!r} of its values is used nowhere")


def _split_parts(section: list[Line]) -> list[list[Line]]:
    """The section cut before each `### ` outside a fenced block."""
    parts: list[list[Line]] = [[]]
    text = "\n".join(line.text for line in section)
    for line, (_, fenced) in zip(section, _with_fences(text), strict=True):
        if line.text.startswith("###") and not fenced:
            parts.append([])
        parts[-1].append(line)
    return parts


def _with_fences(text: str) -> Iterator[tuple[Line, bool]]:
    """Each line, and whether it lies in (or opens or closes) a fenced block."""
    fence = ""
    for number, line in enumerate(text.split("\n"), start=1):
        match = re.match(r"`{3,}|~{3,}", line)
        if not fence and match:
            fence = match[0]
            yield Line(number, line), True
            continue
        yield Line(number, line), bool(fence)
        if fence and match and line.strip() == match[0] and match[0].startswith(fence):
            fence = ""


def _cells(row: str) -> list[str]:
    inner = row.strip()[1:-1]
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]


def _text(body: list[Line]) -> str:
    return "\n".join(line.text for line in body).strip()
