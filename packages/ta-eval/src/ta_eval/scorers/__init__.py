"""Scorers: an answer and its benchmark row in, a value with a reason out, one function each.

| scorer | value |
| --- | --- |
| `exact` | 1 if the answer is one of the references, give or take case, blanks and quotes |
| `regex` | 1 if the pattern is found in the answer |
| `multiple_choice` | 1 if the chosen letter is the right one |
| `numeric` | 1 if the number in the answer is a reference's, within a tolerance, units converted |
| `json_schema` | 1 if the answer's JSON is of the asked-for shape |
| `token_f1`, `chrf`, `rouge_l` | 0 to 1: how much of a reference's wording the answer has |
| `command` | 1 if the command in the answer is, normalised, one of the references |
| `command_execution` | 1 if the command in the answer does what a reference does, run in a sandbox |
| `my_module:function`, or a name of the domain's own | what your function says |

The value is None where nothing could be said; the item is then unscored, with the reason, and never wrong.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ta_eval.scorers.text import Score, score_exact, score_regex
from ta_schemas.rows import BenchmarkRow

VERSION = 1
"""Raised when a scorer's verdicts change: part of what identifies a result."""

GRADED = ("token_f1", "chrf", "rouge_l")
NAMES = (
    *("exact", "regex", "multiple_choice", "numeric", "json_schema"),
    *GRADED,
    *("command", "command_execution"),
)

NONE: Mapping[str, str] = MappingProxyType({})

__all__ = ["GRADED", "NAMES", "VERSION", "Score", "score_answer", "what_decides"]


def score_answer(row: BenchmarkRow, answer: str, own: Mapping[str, str] = NONE) -> Score:
    """Score one answer with the scorer its row names; `own` holds the domain's, by name."""
    if row.scorer == "exact":
        return score_exact(answer, row.references)
    if row.scorer == "regex":
        return score_regex(answer, row.pattern)
    if row.scorer == "multiple_choice":
        from ta_eval.scorers.multiple_choice import score_multiple_choice

        return score_multiple_choice(answer, row.choices, row.answer)
    if row.scorer == "command":
        from ta_eval.scorers.command import score_command

        return score_command(answer, row.references)
    from ta_eval.item import Item

    if not isinstance(row, Item):
        raise TypeError(f"scorer {row.scorer!r} needs an Item: read the benchmark with read_benchmark()")
    return _score_item(row, answer, own)


def _score_item(row: "Any", answer: str, own: Mapping[str, str]) -> Score:
    """The scorers whose fields only an Item has."""
    if row.scorer == "numeric":
        from ta_eval.scorers.numeric import score_numeric

        return score_numeric(
            answer, row.references, tolerance=row.tolerance, relative_tolerance=row.relative_tolerance
        )
    if row.scorer == "json_schema":
        from ta_eval.scorers.json_schema import score_json_schema

        return score_json_schema(answer, row.schema)
    if row.scorer in GRADED:
        from ta_eval.scorers import overlap

        return overlap.score_overlap(getattr(overlap, row.scorer), answer, row.references, row.threshold)
    if row.scorer == "command_execution":
        from ta_eval.sandbox.equivalence import sample_home
        from ta_eval.scorers.execution import score_command_execution

        return score_command_execution(answer, row.references, row.setup or sample_home())
    from ta_eval.scorers.own import score_with_own

    return score_with_own(own.get(row.scorer, row.scorer), row, answer)


def what_decides(rows: Iterable[BenchmarkRow], own: Mapping[str, str] = NONE) -> dict[str, Any]:
    """All outside the benchmark that scores depend on: scorers' version, your own code, the sandbox."""
    names = {row.scorer for row in rows}
    found: dict[str, Any] = {"scorers": VERSION}
    yours = sorted(name for name in names if ":" in name or name in own)
    if yours:
        from ta_eval.scorers.own import own_digest

        found["own_scorers"] = {name: own_digest(own.get(name, name)) for name in yours}
    if "command_execution" in names:
        from ta_eval.sandbox.bwrap import Refused, find_sandbox

        sandbox = find_sandbox()
        clock = "" if isinstance(sandbox, Refused) else "frozen" if sandbox.clock else "running"
        found["sandbox"] = {"refused": sandbox.reason} if isinstance(sandbox, Refused) else {"clock": clock}
    return found
