"""Do raters agree beyond chance? Cohen for two, Fleiss for several, Krippendorff for gaps and ordered labels.

Every interval is a jackknife over items with Student's t (Efron and Stein 1981): no random numbers, and the
same method for all, so that they can be compared.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from ta_eval.stats.clusters import t_quantile
from ta_eval.stats.rates import wilson_limits
from ta_schemas.reports import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Level = Literal["nominal", "ordinal", "interval"]
Ratings = Mapping[str, Mapping[str, str]]
"""item: {rater: label}; raters may have gaps."""


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> Interval:
    """Two raters on the same items (Cohen 1960); chance by each rater's own use of the labels."""
    import numpy as np

    labels = sorted({*first, *second})
    at = {label: k for k, label in enumerate(labels)}
    tables = np.zeros((len(first), len(labels), len(labels)))
    for item, (one, other) in enumerate(zip(first, second, strict=True)):
        tables[item, at[one], at[other]] = 1

    def kappa(table: "Array") -> "Array":
        n = table.sum(axis=(-2, -1))
        observed = np.trace(table, axis1=-2, axis2=-1) / n
        chance = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1) / n**2
        return np.asarray((observed - chance) / (1 - chance))

    return _jackknife(tables, kappa, "cohen")


def fleiss_kappa(ratings: Ratings) -> Interval:
    """Several raters (Fleiss 1971), items with at least two ratings; the number may vary over items."""
    import numpy as np

    counts = _counts(ratings, _labels(ratings))
    # An item's row: share of agreeing pairs, one, ratings by label.
    n = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (n * (n - 1)) if len(n) else n
    rows = np.column_stack([agreeing, np.ones(len(n)), counts]) if len(n) else np.zeros((0, 3))

    def kappa(total: "Array") -> "Array":
        observed = total[..., 0] / total[..., 1]
        shares = total[..., 2:] / total[..., 2:].sum(axis=-1, keepdims=True)
        chance = (shares**2).sum(axis=-1)
        return np.asarray((observed - chance) / (1 - chance))

    return _jackknife(rows, kappa, "fleiss")


def krippendorff_alpha(ratings: Ratings, *, level: Level = "nominal") -> Interval:
    """Any number of raters with gaps, any level of measurement (Krippendorff 2011, computing alpha).

    `ordinal` and `interval` need labels that are numbers; ordinal distance counts the ratings between.
    """
    import numpy as np

    labels = _labels(ratings)
    if level != "nominal":
        labels = sorted(labels, key=float)
    counts = _counts(ratings, labels)
    diagonal = np.eye(len(labels))
    n = counts.sum(axis=1)[:, None, None]
    coincidences = (counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * diagonal) / np.maximum(
        n - 1, 1
    )

    def alpha(total: "Array") -> "Array":
        marginal = total.sum(axis=-1)
        pairs = marginal.sum(axis=-1)
        distance = _distance(marginal, labels, level)
        observed = (total * distance).sum(axis=(-2, -1)) / pairs
        expected = marginal[..., :, None] * marginal[..., None, :] - marginal[..., :, None] * diagonal
        by_chance = (expected * distance).sum(axis=(-2, -1)) / (pairs * (pairs - 1))
        return np.asarray(1 - observed / by_chance)

    return _jackknife(coincidences, alpha, f"krippendorff-{level}")


def pairwise_agreement(ratings: Ratings) -> list[float]:
    """For each item with two ratings or more, the share of pairs of raters that agree."""
    shares = []
    for labels in ratings.values():
        values = list(labels.values())
        pairs = math.comb(len(values), 2)
        if pairs:
            same = sum(math.comb(values.count(label), 2) for label in set(values))
            shares.append(same / pairs)
    return shares


def _labels(ratings: Ratings) -> list[str]:
    return sorted({label for labels in ratings.values() for label in labels.values()})


def _counts(ratings: Ratings, labels: Sequence[str]) -> "Array":
    """Items with two ratings or more by labels: how often each was given."""
    import numpy as np

    rows = [list(item.values()) for item in ratings.values() if len(item) >= 2]
    return np.array([[row.count(label) for label in labels] for row in rows], dtype=float).reshape(
        len(rows), len(labels)
    )


def _distance(marginal: "Array", labels: Sequence[str], level: Level) -> "Array":
    """Krippendorff's squared differences between labels."""
    import numpy as np

    if level == "nominal":
        return 1 - np.eye(len(labels))
    if level == "interval":
        values = np.array([float(label) for label in labels])
        return np.asarray((values[:, None] - values[None, :]) ** 2)
    up_to = np.cumsum(marginal, axis=-1) - marginal / 2  # ratings between two labels, halves at both ends
    return np.asarray((up_to[..., :, None] - up_to[..., None, :]) ** 2)


def _jackknife(items: "Array", statistic: Callable[["Array"], "Array"], method: str) -> Interval:
    """The statistic of the items' sum, and its interval from leaving out each item in turn.

    With one label only, or fewer than two items, agreement beyond chance is undefined: 0 from -1 to 1. Where
    all agree the jackknife has no width: the lower end is then that of Wilson's interval at n of n.
    """
    import numpy as np

    n = len(items)
    undefined = Interval(estimate=0.0, low=-1.0, high=1.0, method=f"{method} undefined")
    if n < 2:
        return undefined
    total = items.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = float(statistic(total))
        others = statistic(total[None] - items)
    if not math.isfinite(estimate):
        return undefined
    others = np.where(np.isfinite(others), others, estimate)
    error = math.sqrt((n - 1) / n * float(((others - others.mean()) ** 2).sum()))
    if error < 1e-12 and estimate < 1 - 1e-12:  # too few items for any interval
        return Interval(estimate=estimate, low=-1.0, high=1.0, method=method)
    reach = t_quantile(0.975, n - 1) * error
    low, high = max(-1.0, estimate - reach), min(1.0, estimate + reach)
    if estimate > 1 - 1e-12:
        low = 1 - 2 * (1 - wilson_limits(n, n)[0])  # kappa's fall for as many misses at even chance
    return Interval(estimate=estimate, low=max(-1.0, low), high=high, method=method)
