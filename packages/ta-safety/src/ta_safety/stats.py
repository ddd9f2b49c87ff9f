"""Rates with their uncertainty. Source: Wilson 1927, Journal of the American Statistical Association 22."""

import math

from ta_schemas.reports import Interval


def wilson(hits: int, n: int) -> Interval:
    """95 % interval of a rate; honest at 0/n and n/n. No trials: 0 to 1."""
    if n == 0:
        return Interval(estimate=0.0, low=0.0, high=1.0, method="wilson")
    z = 1.959964
    rate = hits / n
    centre = rate + z * z / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
    return Interval(estimate=rate, low=low if hits else 0.0, high=high if hits < n else 1.0, method="wilson")


def percent(interval: Interval) -> str:
    """`12.0 % (4.2 to 30.0)`."""
    return f"{100 * interval.estimate:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def percentile(values: list[float], share: float) -> float:
    """Nearest-rank percentile; 0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
