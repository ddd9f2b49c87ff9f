"""Scorers: an answer and its benchmark row in, 0 or 1 with a reason out.

| scorer | right when |
| --- | --- |
| `exact` | the answer is one of the references, give or take case, blanks and quotes |
| `regex` | the pattern is found in the answer |
| `multiple_choice` | the chosen letter is the right one |
| `command` | the command in the answer is, normalised, one of the references |
"""

from ta_eval.scorers.text import Score, score_exact, score_regex
from ta_schemas.rows import BenchmarkRow

VERSION = 1
"""Raised when a scorer's verdicts change: part of what identifies a result."""

__all__ = ["VERSION", "Score", "score_answer"]


def score_answer(row: BenchmarkRow, answer: str) -> Score:
    """Score one answer with the scorer its row names."""
    if row.scorer == "exact":
        return score_exact(answer, row.references)
    if row.scorer == "regex":
        return score_regex(answer, row.pattern)
    if row.scorer == "multiple_choice":
        from ta_eval.scorers.multiple_choice import score_multiple_choice

        return score_multiple_choice(answer, row.choices, row.answer)
    from ta_eval.scorers.command import score_command

    return score_command(answer, row.references)
