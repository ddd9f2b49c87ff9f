"""Items that belong together, such as paraphrases of one template: fewer independent facts than items."""

import math
from collections.abc import Sequence
from functools import lru_cache

from ta_schemas.reports import Interval

MIN_CLUSTERS = 10
"""With fewer the standard error itself is too uncertain to be used (Cameron and Miller 2015, section VI)."""


def clustered_mean(values: Sequence[float], clusters: Sequence[str]) -> Interval:
    """95 % interval of a mean whose values hang together within clusters.

    Cluster-robust standard error with the G / (G - 1) correction and Student's t with G - 1 degrees of
    freedom (Cameron and Miller 2015, Journal of Human Resources 50; Miller 2024, "Adding Error Bars to
    Evals"). The paired difference of two systems is the mean of the items' differences.
    """
    n = len(values)
    mean = sum(values) / n if n else 0.0
    residuals: dict[str, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        residuals[cluster] = residuals.get(cluster, 0.0) + value - mean
    count = len(residuals)
    if count < 2:
        return Interval(estimate=mean, low=-1.0, high=1.0, method="clustered")
    squares = sum(residual * residual for residual in residuals.values())
    error = math.sqrt(count / (count - 1) * squares) / n
    reach = t_quantile(0.975, count - 1) * error
    return Interval(estimate=mean, low=mean - reach, high=mean + reach, method="clustered")


@lru_cache(maxsize=1024)
def t_quantile(share: float, df: float) -> float:
    """Quantile of Student's t for a share above one half: bisection on its distribution function.

    The density is integrated by Simpson's rule after x = √df tan θ, which leaves cos(θ)^(df - 1).
    """
    low, high = 0.0, math.pi / 2
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(math.pi)
    for _ in range(60):
        angle = (low + high) / 2
        if 0.5 + math.exp(log_scale) * _integral(angle, df - 1) < share:
            low = angle
        else:
            high = angle
    return math.sqrt(df) * math.tan((low + high) / 2)


def _integral(angle: float, power: float, steps: int = 200) -> float:
    """Integral of cos(θ)^power from 0 to `angle`."""
    step = angle / steps
    heights: list[float] = [math.cos(step * k) ** power for k in range(steps + 1)]
    return step / 3 * (heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2]))
