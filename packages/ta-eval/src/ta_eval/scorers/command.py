"""The `command` scorer: is the command in an answer the same as one of the references?

Commands are compared by structure, never run. Finding the command is generous, so that a base model that was
not trained on our answer style gets credit for a right command in any usual place.
"""

import re
from collections.abc import Sequence

from ta_eval.scorers.bash import canonical_forms
from ta_eval.scorers.text import Score

FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*[\w+-]*[ \t]*\n(.*?)(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(`+)(.+?)\1")


def extract_command(answer: str) -> str:
    """The command of an answer, or an empty string.

    The first that is there: a fenced block (any language; an unclosed one runs to the end), an inline code
    span, the whole answer if it is one line, the first line that starts with `$ `. Of a block, blank lines
    and comments are dropped, and where some lines carry a `$ ` prompt the others are taken for output.
    """
    fence = FENCE.search(answer)
    if fence:
        return _block(fence[2])
    span = SPAN.search(answer)
    if span:
        text = span[2].strip()
        return re.sub(r"^(bash|sh|shell)\s+(?=\S)", "", text) if len(span[1]) >= 3 else _unprompted(text)
    lines = [line.strip() for line in answer.strip().splitlines()]
    if len(lines) == 1:
        return _unprompted(lines[0])
    return next((line[2:].strip() for line in lines if line.startswith("$ ")), "")


def same_command(one: str, other: str) -> bool:
    """Whether two commands are the same under normalisation; False where either does not parse."""
    forms, others = canonical_forms(one), canonical_forms(other)
    return forms is not None and others is not None and any(a == b for a, b in zip(forms, others, strict=True))


def score_command(answer: str, references: Sequence[str]) -> Score:
    """1 if the extracted command equals a reference, else 0 with the reason."""
    command = extract_command(answer)
    if not command:
        return Score(0.0, "", "no command in the answer")
    if canonical_forms(command) is None:
        return Score(0.0, command, "not a command bash could parse")
    for number, reference in enumerate(references, start=1):
        if same_command(command, reference):
            return Score(1.0, command, f"equal to reference {number}")
    return Score(0.0, command, "differs from every reference")


def _block(text: str) -> str:
    lines = [line.strip() if not text.count("<<") else line for line in text.splitlines()]
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    return "\n".join(prompted or lines).strip()


def _unprompted(line: str) -> str:
    return line.removeprefix("$ ").strip()
