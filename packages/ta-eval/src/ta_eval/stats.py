"""Statistics of right-or-wrong scores: intervals, the paired difference, its test, and what n can show.

Sources: Wilson 1927 (rate); Efron & Tibshirani 1993, chapter 13 (percentile bootstrap); Newcombe 1998,
Statistics in Medicine 17, method 10 (paired score interval); McNemar 1947 in its exact binomial form;
Connor 1987, Biometrics 43 (sample size of the McNemar test), solved for the difference.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from ta_schemas.reports import Interval

DISCORDANT_SHARES = (0.1, 0.2, 0.3)
"""Planning values: share of items on which two systems disagree."""

MIN_DISCORDANT = 6
"""With fewer disagreements even a unanimous result has an exact p of .0625 or more."""


def wilson(right: float, n: int) -> Interval:
    """95 % interval of a rate; honest at 0/n and n/n, where the usual one has no width."""
    low, high = _wilson_limits(right, n)
    return Interval(estimate=right / n if n else 0.0, low=low, high=high, method="wilson")


def paired_bootstrap(
    base: Sequence[float], candidate: Sequence[float], *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """95 % percentile interval of the mean of candidate minus base, items resampled in pairs."""
    import numpy as np

    difference = np.asarray(candidate, dtype=float) - np.asarray(base, dtype=float)
    n = len(difference)
    if n == 0:
        return Interval(estimate=0.0, low=-1.0, high=1.0, method="paired-bootstrap")
    rng = np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // n)  # 16 MB of indices at a time
    means = [
        difference[rng.integers(0, n, (min(chunk, resamples - done), n))].mean(axis=1)
        for done in range(0, resamples, chunk)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Interval(
        estimate=float(difference.mean()), low=float(low), high=float(high), method="paired-bootstrap"
    )


def paired_score(base: Sequence[float], candidate: Sequence[float]) -> Interval:
    """95 % interval of the paired difference for small n, where a bootstrap can have no width at all.

    Newcombe's method 10: Wilson limits of both rates, joined with the correlation of the pairs.
    """
    n = len(base)
    both = sum(1 for b, c in zip(base, candidate, strict=True) if b and c)
    only_base = sum(1 for b, c in zip(base, candidate, strict=True) if b and not c)
    only_candidate = sum(1 for b, c in zip(base, candidate, strict=True) if c and not b)
    neither = n - both - only_base - only_candidate
    if n == 0:
        return Interval(estimate=0.0, low=-1.0, high=1.0, method="paired-score")
    rate_c, rate_b = (both + only_candidate) / n, (both + only_base) / n
    low_c, high_c = _wilson_limits(both + only_candidate, n)
    low_b, high_b = _wilson_limits(both + only_base, n)
    phi = _correlation(both, only_candidate, only_base, neither)
    estimate = rate_c - rate_b
    below = (rate_c - low_c) ** 2 - 2 * phi * (rate_c - low_c) * (high_b - rate_b) + (high_b - rate_b) ** 2
    above = (high_c - rate_c) ** 2 - 2 * phi * (high_c - rate_c) * (rate_b - low_b) + (rate_b - low_b) ** 2
    low, high = estimate - math.sqrt(max(below, 0.0)), estimate + math.sqrt(max(above, 0.0))
    return Interval(estimate=estimate, low=low, high=high, method="paired-score")


def mcnemar_exact(only_base: int, only_candidate: int) -> float:
    """Two-sided p: with no real difference each disagreement is a fair coin."""
    n = only_base + only_candidate
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(min(only_base, only_candidate) + 1))
    return min(1.0, float(2 * tail / 2**n))


def minimum_detectable_effect(n: int, discordant: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest paired difference found with `power` at two-sided `alpha`, from the share of discordant items.

    Where it comes out above `discordant` no difference can be detected: it cannot exceed that share.
    """
    if n < 1:
        return 1.0
    z = NormalDist().inv_cdf
    return min(1.0, (z(1 - alpha / 2) + z(power)) * math.sqrt(discordant / n))


def verdict(difference: Interval, *, discordant: int) -> str:
    """`better`, `worse` or `not measurable`, by the interval, and never on fewer than six disagreements."""
    if discordant < MIN_DISCORDANT or difference.low <= 0 <= difference.high:
        return "not measurable"
    return "better" if difference.low > 0 else "worse"


def _wilson_limits(right: float, n: int) -> tuple[float, float]:
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.975)
    rate = right / n
    centre = rate + z * z / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if right == 0 else (centre - spread) / scale
    return low, 1.0 if right == n else (centre + spread) / scale


def _correlation(both: int, only_candidate: int, only_base: int, neither: int) -> float:
    """Phi of the two-by-two table, with Newcombe's continuity correction where it is positive."""
    n = both + only_candidate + only_base + neither
    right_c, right_b = both + only_candidate, both + only_base
    margins = right_c * (n - right_c) * right_b * (n - right_b)
    if margins == 0:
        return 0.0
    product: float = both * neither - only_candidate * only_base
    if product > 0:
        product = max(product - n / 2, 0.0)
    return product / math.sqrt(margins)
