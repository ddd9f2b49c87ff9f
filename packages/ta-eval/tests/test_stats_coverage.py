"""Every interval holds the truth in 93 to 97 % of simulated samples; the sequential one in at least 95 %."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ta_eval import stats
from ta_schemas.reports import Interval

Rng = np.random.Generator
SIZES = (50, 100, 300)


def wilson(rng: Rng, n: int) -> tuple[Interval, float]:
    return stats.wilson(float(rng.binomial(n, 0.3)), n), 0.3


def win_rate(rng: Rng, n: int) -> tuple[Interval, float]:
    return stats.win_rate(list(rng.choice([1.0, 0.5, 0.0], n, p=[0.45, 0.3, 0.25]))), 0.6


def paired_bootstrap(rng: Rng, n: int) -> tuple[Interval, float]:
    base, candidate = _pairs(rng, n)
    return stats.paired_bootstrap(base, candidate, resamples=1000, seed=int(rng.integers(2**31))), 0.15


def paired_score(rng: Rng, n: int) -> tuple[Interval, float]:
    return stats.paired_score(*_pairs(rng, n)), 0.15


def clustered_mean(rng: Rng, n: int) -> tuple[Interval, float]:
    """Clusters of five whose items share half of the variance."""
    shared = np.repeat(rng.normal(0, 1, n // 5), 5)
    clusters = [str(item // 5) for item in range(n)]
    return stats.clustered_mean(list(0.2 + shared + rng.normal(0, 1, n)), clusters), 0.2


def bradley_terry(rng: Rng, n: int) -> tuple[Interval, float]:
    """Three systems on n items, strengths 0.5, 0, -0.5."""
    strengths = {"a": 0.5, "b": 0.0, "c": -0.5}
    battles = []
    for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
        chance = 1 / (1 + np.exp(strengths[other] - strengths[one]))
        won = rng.random(n) < chance
        battles += [stats.Battle(one, other, float(win), str(item)) for item, win in enumerate(won)]
    found = stats.bradley_terry(battles, resamples=500, seed=int(rng.integers(2**31)))
    return found["a"], 0.5


def _length(rng: Rng, n: int) -> stats.LengthEffect:
    ratio = rng.normal(0, 0.7, n)
    won = rng.random(n) < 1 / (1 + np.exp(-(0.3 + 0.8 * ratio)))
    base = rng.integers(200, 2000, n).astype(float)
    return stats.length_effect(list(won.astype(float)), list((base + 1) * np.exp(ratio) - 1), list(base))


def length_coefficient(rng: Rng, n: int) -> tuple[Interval, float]:
    return _length(rng, n).coefficient, 0.8


def win_rate_at_equal_length(rng: Rng, n: int) -> tuple[Interval, float]:
    return _length(rng, n).win_rate_at_equal_length, float(1 / (1 + np.exp(-0.3)))


def risk_coverage(rng: Rng, n: int) -> tuple[Interval, float]:
    """Wrong with chance 1 - confidence: the risk at coverage c is c / 2, its mean a quarter."""
    sure = rng.random(n)
    right = (rng.random(n) < sure).astype(float)
    found = stats.risk_coverage(list(sure), list(right), resamples=300, seed=int(rng.integers(2**31)))
    return found.area, 0.25


def _raters(rng: Rng, n: int, raters: int) -> stats.Ratings:
    """Three labels; a rater copies the truth with chance .8, else guesses: kappa is .8² for any two."""
    truth = rng.integers(0, 3, n)
    return {
        str(item): {
            f"r{rater}": str(truth[item] if rng.random() < 0.8 else rng.integers(0, 3))
            for rater in range(raters)
        }
        for item in range(n)
    }


def cohen(rng: Rng, n: int) -> tuple[Interval, float]:
    rows = _raters(rng, n, 2).values()
    return stats.cohen_kappa([row["r0"] for row in rows], [row["r1"] for row in rows]), 0.64


def fleiss(rng: Rng, n: int) -> tuple[Interval, float]:
    return stats.fleiss_kappa(_raters(rng, n, 4)), 0.64


def krippendorff(rng: Rng, n: int) -> tuple[Interval, float]:
    ratings = {
        item: {rater: label for rater, label in row.items() if rng.random() < 0.8}
        for item, row in _raters(rng, n, 4).items()
    }
    return stats.krippendorff_alpha(ratings), 0.64


def prediction_powered(rng: Rng, n: int) -> tuple[Interval, float]:
    """A judge that says 1 too often: people 0.5, n labels beside 500 more judgments."""
    human = (rng.random(n + 500) < 0.5).astype(float)
    judge = np.where(rng.random(n + 500) < 0.25, 1.0, human)
    return stats.prediction_powered(list(human[:n]), list(judge[:n]), list(judge[n:])), 0.5


INTERVALS = [
    wilson,
    win_rate,
    paired_bootstrap,
    paired_score,
    clustered_mean,
    bradley_terry,
    length_coefficient,
    win_rate_at_equal_length,
    risk_coverage,
    cohen,
    fleiss,
    krippendorff,
    prediction_powered,
]
Draw = Callable[[Rng, int], tuple[Interval, float]]


def coverage(draw: Draw, n: int, runs: int) -> float:
    rng = np.random.default_rng([n, len(draw.__name__)])
    return sum(found.low <= truth <= found.high for found, truth in _draws(draw, rng, n, runs)) / runs


def _draws(draw: Draw, rng: Rng, n: int, runs: int) -> Iterator[tuple[Interval, float]]:
    for _ in range(runs):
        yield draw(rng, n)


def _pairs(rng: Rng, n: int) -> tuple[list[float], list[float]]:
    """Candidate .55, base .40, correlated."""
    kinds = rng.choice(4, n, p=[0.30, 0.25, 0.10, 0.35])
    return list(np.isin(kinds, (0, 2)).astype(float)), list(np.isin(kinds, (0, 1)).astype(float))


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("draw", INTERVALS, ids=lambda draw: draw.__name__)
def test_the_interval_holds_the_truth_in_93_to_97_percent_of_samples(draw: Draw, n: int) -> None:
    assert 0.93 <= coverage(draw, n, runs=2000) <= 0.97


@pytest.mark.parametrize("draw", INTERVALS, ids=lambda draw: draw.__name__)
def test_the_interval_holds_the_truth_in_most_of_60_samples(draw: Draw) -> None:
    assert coverage(draw, 50, runs=60) >= 0.85


def false_alarms(runs: int, n: int, outcomes: list[float], chances: list[float]) -> float:
    """Share of runs without any difference whose capital was ever enough, with a look after every vote."""
    rng = np.random.default_rng(5)
    return (
        sum(
            stats.largest_capital(list(rng.choice(outcomes, n, p=chances))) >= stats.ENOUGH for _ in range(runs)
        )
        / runs
    )


def test_looking_after_each_of_100_votes_gives_few_false_alarms() -> None:
    assert false_alarms(150, 100, [0.0, 1.0], [0.5, 0.5]) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outcomes", "chances"),
    [([0.0, 1.0], [0.5, 0.5]), ([0.0, 0.5, 1.0], [0.3, 0.4, 0.3])],
    ids=["coin", "ties"],
)
def test_looking_after_each_of_500_votes_gives_a_false_alarm_in_at_most_5_percent(
    outcomes: list[float], chances: list[float]
) -> None:
    assert false_alarms(2000, 500, outcomes, chances) <= 0.05


@pytest.mark.slow
def test_the_sequential_interval_holds_the_truth_at_every_look_in_95_percent_of_runs() -> None:
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(400):
        outcomes = list((rng.random(200) < 0.65).astype(float))
        held += stats.largest_capital(outcomes, mean=0.65) < stats.ENOUGH
    assert held / 400 >= 0.95


def test_a_real_difference_is_found_within_200_votes() -> None:
    rng = np.random.default_rng(8)
    found = [
        stats.largest_capital(list((rng.random(200) < 0.7).astype(float))) >= stats.ENOUGH for _ in range(40)
    ]
    assert sum(found) >= 36
