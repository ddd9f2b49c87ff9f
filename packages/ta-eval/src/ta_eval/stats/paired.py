"""Two systems on the same items: intervals of the difference, and tests that there is none."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ta_eval.stats.rates import wilson_limits
from ta_schemas.reports import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_DISCORDANT = 6
"""With fewer disagreements even a unanimous result has an exact p of .0625 or more."""


def paired_bootstrap(
    base: Sequence[float], candidate: Sequence[float], *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """95 % percentile interval of the mean of candidate minus base, items resampled in pairs.

    Efron and Tibshirani 1993, chapter 13.
    """
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
    """95 % interval of the paired difference of 0-or-1 scores for small n, where a bootstrap can have no width.

    Newcombe 1998, Statistics in Medicine 17, method 10: Wilson limits of both rates, joined with the
    correlation of the pairs.
    """
    n = len(base)
    both = sum(1 for b, c in zip(base, candidate, strict=True) if b and c)
    only_base = sum(1 for b, c in zip(base, candidate, strict=True) if b and not c)
    only_candidate = sum(1 for b, c in zip(base, candidate, strict=True) if c and not b)
    neither = n - both - only_base - only_candidate
    if n == 0:
        return Interval(estimate=0.0, low=-1.0, high=1.0, method="paired-score")
    rate_c, rate_b = (both + only_candidate) / n, (both + only_base) / n
    low_c, high_c = wilson_limits(both + only_candidate, n)
    low_b, high_b = wilson_limits(both + only_base, n)
    phi = _correlation(both, only_candidate, only_base, neither)
    estimate = rate_c - rate_b
    below = (rate_c - low_c) ** 2 - 2 * phi * (rate_c - low_c) * (high_b - rate_b) + (high_b - rate_b) ** 2
    above = (high_c - rate_c) ** 2 - 2 * phi * (high_c - rate_c) * (rate_b - low_b) + (rate_b - low_b) ** 2
    low, high = estimate - math.sqrt(max(below, 0.0)), estimate + math.sqrt(max(above, 0.0))
    return Interval(estimate=estimate, low=low, high=high, method="paired-score")


def mcnemar_exact(only_base: int, only_candidate: int) -> float:
    """Two-sided p: with no real difference each disagreement is a fair coin (McNemar 1947, exact binomial)."""
    n = only_base + only_candidate
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(min(only_base, only_candidate) + 1))
    return min(1.0, float(2 * tail / 2**n))


def paired_permutation(
    base: Sequence[float], candidate: Sequence[float], *, resamples: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p of the mean difference when each pair's sign is a fair coin; for scores of any size.

    Fisher 1935, section 21. All sign patterns up to 14 pairs that differ, else `resamples` random ones and
    the observed one (Phipson and Smyth 2010), so that p is never 0.
    """
    import numpy as np

    difference = np.asarray(candidate, dtype=float) - np.asarray(base, dtype=float)
    difference = difference[difference != 0]
    n = len(difference)
    if n == 0:
        return 1.0
    observed = abs(float(difference.sum())) * (1 - 1e-12)  # equal sums may differ in the last bit
    if n <= 14:
        patterns = 1 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((np.abs(patterns @ difference) >= observed).mean())
    rng = np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // n)
    extreme = sum(
        int((np.abs(_signs(rng, min(chunk, resamples - done), n) @ difference) >= observed).sum())
        for done in range(0, resamples, chunk)
    )
    return (extreme + 1) / (resamples + 1)


def verdict(difference: Interval, *, discordant: int) -> str:
    """`better`, `worse` or `not measurable`, by the interval, and never on fewer than six disagreements."""
    if discordant < MIN_DISCORDANT or difference.low <= 0 <= difference.high:
        return "not measurable"
    return "better" if difference.low > 0 else "worse"


def _signs(rng: "np.random.Generator", rows: int, n: int) -> "NDArray[np.float64]":
    return (1 - 2 * rng.integers(0, 2, (rows, n))).astype(float)


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
