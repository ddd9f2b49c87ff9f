"""Looking after every vote without fooling oneself: evidence that stays valid whenever one stops.

Testing by betting (Waudby-Smith and Ramdas 2024, JRSS B 86): start with 1, bet on each outcome as if the
mean were `mean`. If it is, the capital's expectation never grows, and the chance that it ever reaches 20 is at
most 5 % (Ville 1939), however often one looks.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ta_schemas.reports import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENOUGH = 20.0
"""Capital at which the evidence is called enough: false alarms in at most 1 / 20 of all runs."""


def largest_capital(outcomes: Sequence[float], *, mean: float = 0.5) -> float:
    """Most capital on the way, betting both ways against the outcomes (0 to 1) having this mean.

    Once it was enough, it stays enough.
    """
    import numpy as np

    return float(_capitals(outcomes, np.array([mean])).max())


def confidence_sequence(outcomes: Sequence[float]) -> Interval:
    """The means that the bets have not refuted so far, to half a point: 95 %, valid at any time."""
    import numpy as np

    means = np.linspace(0.0025, 0.9975, 200)
    kept = means[_capitals(outcomes, means).max(axis=0) < ENOUGH]
    estimate = float(np.mean(outcomes)) if len(outcomes) else 0.5
    if not len(kept):  # possible only where the means drifted
        return Interval(estimate=estimate, low=estimate, high=estimate, method="betting")
    low, high = float(kept[0]) - 0.0025, float(kept[-1]) + 0.0025
    return Interval(estimate=estimate, low=min(low, estimate), high=max(high, estimate), method="betting")


def _capitals(outcomes: Sequence[float], means: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Capital after 0, 1, 2 ... outcomes for each mean: the average over bets of 19 sizes in two directions.

    A bet stakes a share of the capital that no single outcome can lose whole; small ones find small effects
    late, large ones large effects early.
    """
    import numpy as np

    stakes = (np.arange(1, 20) / 20) ** 1.5
    bets = np.concatenate([stakes[:, None] / means, -stakes[:, None] / (1 - means)])
    logs = np.zeros_like(bets)
    history = np.ones((len(outcomes) + 1, len(means)))
    for at, outcome in enumerate(outcomes, start=1):
        logs += np.log1p(bets * (outcome - means))
        history[at] = np.exp(np.minimum(logs, 500)).mean(axis=0)
    return history
