"""The `multiple_choice` scorer: which letter did a free-form answer choose?"""

import re
from collections.abc import Sequence
from string import ascii_uppercase

from ta_eval.scorers.text import Score, bare_text

VERDICT = re.compile(
    r"\b(?i:answer|choice|option|letter)\b(?:\s+(?:is|would be|should be))?\s*[:=]?\s*\(?"
    r"([A-Z]\b(?!')|[a-z](?=[).,;]|\s*$))"
)
"""A small letter only before punctuation or the end: "the answer is a link" chooses nothing."""


def letters_for(choices: Sequence[str]) -> str:
    """`ABCD` for four choices."""
    return ascii_uppercase[: len(choices)]


def chosen_letter(answer: str, choices: Sequence[str]) -> str:
    """The chosen letter, or an empty string where none or more than one could be meant.

    In this order: the answer is a letter ("b", "(B)", "**B**"), starts with one ("B) 600", unless it lists
    them all), says so ("The answer is B"), is one choice's text, names one letter in list form ("... B)"),
    contains the text of exactly one choice.
    """
    letters = letters_for(choices)
    text = re.sub(r"[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}", "", answer).strip()
    alone = re.fullmatch(r"\W*([A-Za-z])\W*", text)
    if alone and alone[1].upper() in letters:
        return alone[1].upper()
    listed = {match[1] for match in re.finditer(r"(?<!\w)\(?([A-Z])[).:]+(?=\s|$)", text)} & set(letters)
    first = re.match(r"\(?([A-Z])(?:[).:]+(?=\s|$)|\s*[-–]\s|\n)", text)
    if first and first[1] in letters and listed != set(letters):
        return first[1]
    said = {match[1].upper() for match in VERDICT.finditer(text)} & set(letters)
    if len(said) == 1:
        return said.pop()
    same = [
        letter
        for letter, choice in zip(letters, choices, strict=True)
        if bare_text(choice) == bare_text(answer)
    ]
    if len(same) == 1:
        return same[0]
    if len(listed) == 1:
        return listed.pop()
    held = [letter for letter, choice in zip(letters, choices, strict=True) if _contains(answer, choice)]
    return held[0] if len(held) == 1 else ""


def score_multiple_choice(answer: str, choices: Sequence[str], right: str) -> Score:
    """1 if the chosen letter is the right one."""
    letter = chosen_letter(answer, choices)
    if not letter:
        return Score(0.0, "", "no single choice found in the answer")
    if letter == right.upper():
        return Score(1.0, letter, "right letter")
    return Score(0.0, letter, f"chose {letter}, right is {right.upper()}")


def _contains(answer: str, choice: str) -> bool:
    """Between blanks, quotes or sentence punctuation, so that `>` is not found in `>>`."""
    words = re.sub(r"\s+", r"\\s+", re.escape(choice.strip()).replace(r"\ ", " "))
    return bool(re.search(rf"(?:^|[\s'\"`*(]){words}(?:$|[\s'\"`*).,;:!?])", answer, re.IGNORECASE))
