"""Graded scorers: how much of a reference's wording an answer has. 0 to 1, the best reference counts."""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

from ta_eval.scorers.text import Score

CHARACTERS = 6
"""Longest run of characters that chrF counts."""
BETA = 2
"""In chrF recall weighs BETA times as much as precision."""


def score_overlap(
    measure: Callable[[str, str], float], answer: str, references: Sequence[str], threshold: float
) -> Score:
    """The best value over the references; with a threshold 1 from there on, else 0."""
    values = [measure(answer, reference) for reference in references]
    best = max(values)
    told = f"{best:.3f} with reference {values.index(best) + 1}"
    return Score(float(best >= threshold) if threshold else best, answer.strip(), told)


def token_f1(answer: str, reference: str) -> float:
    """F1 of the words both have, as SQuAD counts: case, punctuation and articles do not matter.

    Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", section 6.1.
    """
    one, other = _squad_words(answer), _squad_words(reference)
    if not one or not other:
        return float(one == other)
    return _f1((Counter(one) & Counter(other)).total(), len(one), len(other))


def rouge_l(answer: str, reference: str) -> float:
    """F1 of the longest common subsequence of words (letters and digits, lower case, no stemming).

    Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3, with beta = 1.
    """
    one, other = (re.findall(r"[a-z0-9]+", text.lower()) for text in (answer, reference))
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for at, theirs in enumerate(other, start=1):
            before, row[at] = row[at], before + 1 if word == theirs else max(row[at], row[at - 1])
    return _f1(row[-1], len(one), len(other))


def chrf(answer: str, reference: str) -> float:
    """Character n-gram F-score, n = 1 to 6, beta = 2, blanks left out (0 to 1, not 0 to 100).

    Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation"; as in sacreBLEU, orders for
    which either text is too short are left out.
    """
    one, other = ("".join(text.split()) for text in (answer, reference))
    pairs = [(_grams(one, n), _grams(other, n)) for n in range(1, CHARACTERS + 1)]
    pairs = [(ours, theirs) for ours, theirs in pairs if ours and theirs]
    precision = sum((ours & theirs).total() / ours.total() for ours, theirs in pairs)
    recall = sum((ours & theirs).total() / theirs.total() for ours, theirs in pairs)
    if not precision:
        return 0.0
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall) / len(pairs)


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[at : at + n] for at in range(len(text) - n + 1))


def _squad_words(text: str) -> list[str]:
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def _f1(both: int, one: int, other: int) -> float:
    return 2 * both / (one + other) if both else 0.0
