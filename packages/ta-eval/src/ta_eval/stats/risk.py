"""Risk and coverage: how many of the answers given are wrong when the least sure ones are withheld."""

from collections.abc import Sequence
from typing import NamedTuple

from ta_eval.stats.rates import wilson
from ta_schemas.reports import Interval


class RiskPoint(NamedTuple):
    """Answering only when confidence is at least `threshold`."""

    threshold: float
    coverage: float
    risk: Interval


class RiskCoverage(NamedTuple):
    """The curve from the surest answer to all of them, and the area below it (0 is best)."""

    points: list[RiskPoint]
    area: Interval


def risk_coverage(
    confidence: Sequence[float], right: Sequence[float], *, resamples: int = 1000, seed: int = 0
) -> RiskCoverage:
    """The selective risk curve (El-Yaniv and Wiener 2010); its area is AURC (Geifman and El-Yaniv 2019).

    Answers of equal confidence are withheld together: a step is one threshold. The area is the mean over
    items of the risk at the item's threshold; its interval is a bootstrap over items.
    """
    import numpy as np

    sure, wrong = np.asarray(confidence, dtype=float), 1 - np.asarray(right, dtype=float)
    n = len(sure)
    if n == 0:
        return RiskCoverage([], Interval(estimate=0.0, low=0.0, high=1.0, method="bootstrap"))
    points = []
    for threshold in sorted(set(sure.tolist()), reverse=True):
        kept = sure >= threshold
        count = int(kept.sum())
        points.append(RiskPoint(threshold, count / n, wilson(float(wrong[kept].sum()), count)))
    rng = np.random.default_rng(seed)
    drawn = [_area(sure[at], wrong[at]) for at in rng.integers(0, n, (resamples, n))]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return RiskCoverage(
        points,
        Interval(estimate=_area(sure, wrong), low=float(low), high=float(high), method="bootstrap"),
    )


def _area(sure, wrong) -> float:  # type: ignore[no-untyped-def]
    """Mean over items of the risk among those at least as sure."""
    import numpy as np

    order = np.argsort(-sure, kind="stable")
    sure, wrong = sure[order], wrong[order]
    risk = np.cumsum(wrong) / np.arange(1, len(sure) + 1)
    last = np.searchsorted(-sure, -sure, side="right") - 1  # the last of equals
    return float(risk[last].mean())
