"""A judge's win rate corrected by the items that people judged too."""

import math
from collections.abc import Sequence

from ta_eval.stats.clusters import t_quantile
from ta_schemas.reports import Interval

MIN_LABELS = 50
"""With fewer labels the correction is noisier than what it corrects."""


def prediction_powered(human: Sequence[float], judge: Sequence[float], unlabelled: Sequence[float]) -> Interval:
    """95 % interval of the mean that people would give: PPI++ (Angelopoulos, Duchi and Zrnic 2023).

    `human` and `judge` are outcomes of the same labelled items, `unlabelled` the judge's of the others; the
    labelled items must be a random part of all. The judge counts as far as it goes with people: the weight
    is cov(human, judge) / (var(judge) (1 + n / N)), so that a useless judge leaves the mean of the labels.
    """
    n, others = len(human), len(unlabelled)
    if n < 2:
        return Interval(estimate=0.5, low=0.0, high=1.0, method="ppi++")
    human_mean, judge_mean = sum(human) / n, sum(judge) / n
    spread = sum((j - judge_mean) ** 2 for j in judge) / (n - 1)
    shared = sum((h - human_mean) * (j - judge_mean) for h, j in zip(human, judge, strict=True)) / (n - 1)
    weight = shared / (spread * (1 + n / others)) if spread > 0 and others > 1 else 0.0
    other_mean = sum(unlabelled) / others if others else judge_mean
    estimate = human_mean + weight * (other_mean - judge_mean)
    residuals = [h - weight * j for h, j in zip(human, judge, strict=True)]
    centre = sum(residuals) / n
    variance = sum((r - centre) ** 2 for r in residuals) / (n - 1) / n
    if others > 1:
        variance += weight**2 * sum((j - other_mean) ** 2 for j in unlabelled) / (others - 1) / others
    reach = t_quantile(0.975, n - 1) * math.sqrt(variance)
    return Interval(
        estimate=min(1.0, max(0.0, estimate)),
        low=max(0.0, estimate - reach),
        high=min(1.0, estimate + reach),
        method="ppi++",
    )
