"""Do the citations in an answer, such as [2] or [man-tar], lead to contexts, and to the right ones?"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from ta_eval.rag.rows import RagRow

MARK = re.compile(r"\[([^\[\]\n]{1,80})\](?!\()")
"""A bracket that is no Markdown link."""


class Citations(NamedTuple):
    """Shares; None where there is nothing to measure."""

    valid: float | None
    """Of the citations, those that name a retrieved context."""
    correct: float | None
    """Of the citations, those that name a relevant one."""
    complete: float | None
    """Of the relevant contexts that were retrieved, those that are cited."""


def cited_ids(answer: str, context_ids: Sequence[str]) -> list[str]:
    """Ids that the answer cites, in order: by id, or by number from 1. `[1, 3]` cites two.

    A bracket that is neither an id nor a number, such as `[OPTION]`, is no citation; a number beyond the
    contexts is one that leads nowhere, and is given as `#number`.
    """
    cited = []
    for mark in MARK.findall(_without_code(answer)):
        for part in re.split(r"[,;]\s*", mark):
            name = part.strip().removeprefix("^").strip()
            if name in context_ids:
                cited.append(name)
            elif name.isdecimal():
                number = int(name)
                cited.append(context_ids[number - 1] if 1 <= number <= len(context_ids) else f"#{number}")
    return cited


def citations_of(row: RagRow) -> Citations:
    """Counted once for each distinct citation."""
    ids = [context.id for context in row.contexts]
    cited, relevant = set(cited_ids(row.answer, ids)), set(row.relevant)
    findable = relevant & set(ids)
    return Citations(
        valid=len(cited & set(ids)) / len(cited) if cited else None,
        correct=len(cited & relevant) / len(cited) if cited and relevant else None,
        complete=len(cited & findable) / len(findable) if findable else None,
    )


def _without_code(text: str) -> str:
    """Brackets in code are no citations: `[ -f x ]`, `a[1]`."""
    text = re.sub(r"```.*?(?:```|\Z)", " ", text, flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`", " ", text)
