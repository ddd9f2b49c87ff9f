"""The `exact` and `regex` scorers, and what every scorer returns."""

import re
from collections.abc import Sequence
from typing import NamedTuple

SURROUNDING = " \t\n'\"`.,;:!*“”‘’"


class Score(NamedTuple):
    """`value` is 0 to 1, None where nothing could be said; `extracted` is the part of the answer judged."""

    value: float | None
    extracted: str
    reason: str


def score_exact(answer: str, references: Sequence[str]) -> Score:
    """1 if the answer is a reference; case, blanks and surrounding quotes or punctuation do not count."""
    bare = bare_text(answer)
    for number, reference in enumerate(references, start=1):
        if bare == bare_text(reference):
            return Score(1.0, bare, f"equal to reference {number}")
    return Score(0.0, bare, "differs from every reference")


def score_regex(answer: str, pattern: str) -> Score:
    """1 if the Python regular expression is found anywhere in the answer."""
    match = re.search(pattern, answer)
    if match:
        return Score(1.0, match[0], "pattern found")
    return Score(0.0, "", "pattern not found")


def bare_text(text: str) -> str:
    """Casefolded, blanks collapsed, surrounding quotes and punctuation off (unless nothing would remain)."""
    text = " ".join(text.casefold().split())
    return text.strip(SURROUNDING) or text
