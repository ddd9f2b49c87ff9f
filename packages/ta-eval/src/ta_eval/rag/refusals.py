"""Does the assistant say so when it cannot know, and only then?"""

import re
from collections.abc import Sequence
from typing import Any

from ta_eval.rag.rows import RagRow
from ta_eval.stats import risk_coverage, win_rate


def refusals(rows: Sequence[RagRow], pattern: str) -> dict[str, Any]:
    """Rates of refusing what is unanswerable (right) and what is answerable (wrong), and the risk curve.

    An answer is a refusal where the regular expression is found. An unanswerable question is answered right by
    refusing; an answerable one by its `score`. The curve needs both for every row with a `confidence`.
    """
    refused = {row.id: bool(re.search(pattern, row.answer, re.IGNORECASE)) for row in rows}
    found: dict[str, Any] = {}
    for name, answerable in (("refused_unanswerable", False), ("refused_answerable", True)):
        values = [float(refused[row.id]) for row in rows if row.answerable is answerable]
        found[name] = {"items": len(values), **win_rate(values).model_dump()}
    scored = [
        (row.confidence, right)
        for row in rows
        if row.confidence is not None and (right := _right(row, refused[row.id])) is not None
    ]
    if scored:
        curve = risk_coverage([sure for sure, _ in scored], [right for _, right in scored])
        found["risk_coverage"] = {
            "items": len(scored),
            "area": curve.area.model_dump(),
            "points": [
                {"threshold": p.threshold, "coverage": p.coverage, "risk": p.risk.model_dump()}
                for p in curve.points
            ],
        }
    return found


def _right(row: RagRow, refused: bool) -> float | None:
    return row.score if row.answerable else float(refused)
