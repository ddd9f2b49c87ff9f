"""A share with its interval: right answers, wins with ties."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from ta_schemas.reports import Interval

Z95 = NormalDist().inv_cdf(0.975)


def wilson(right: float, n: int) -> Interval:
    """95 % interval of a rate; honest at 0/n and n/n, where the usual one has no width (Wilson 1927)."""
    low, high = wilson_limits(right, n)
    return Interval(estimate=right / n if n else 0.0, low=low, high=high, method="wilson")


def wilson_limits(right: float, n: float) -> tuple[float, float]:
    """The two ends; `n` may be an effective sample size. Without items: 0 and 1."""
    if n == 0:
        return 0.0, 1.0
    rate = right / n
    centre = rate + Z95 * Z95 / (2 * n)
    spread = Z95 * math.sqrt(max(rate * (1 - rate), 0.0) / n + Z95 * Z95 / (4 * n * n))
    scale = 1 + Z95 * Z95 / n
    low = 0.0 if right == 0 else (centre - spread) / scale
    return low, 1.0 if right == n else (centre + spread) / scale


def win_rate(outcomes: Sequence[float]) -> Interval:
    """95 % interval of the mean of outcomes between 0 (lost) and 1 (won); a tie is 0.5.

    Wilson's interval at the effective sample size n m (1 - m) / s²: ties vary less than coin flips, so they
    count for more (Kish 1965, the design effect). Without ties it is Wilson's; where the outcomes do not vary
    at all, n stays as it is.
    """
    n = len(outcomes)
    if n == 0:
        return Interval(estimate=0.5, low=0.0, high=1.0, method="wilson-ties")
    mean = sum(outcomes) / n
    variance = sum((outcome - mean) ** 2 for outcome in outcomes) / n
    effective = n * mean * (1 - mean) / variance if variance > 0 else float(n)
    low, high = wilson_limits(mean * effective, effective)
    return Interval(estimate=mean, low=low, high=high, method="wilson-ties")
