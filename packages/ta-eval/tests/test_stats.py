import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ta_eval.stats import (
    mcnemar_exact,
    minimum_detectable_effect,
    paired_bootstrap,
    paired_score,
    verdict,
    wilson,
)
from ta_schemas.reports import Interval


def test_wilson_agrees_with_a_value_worked_out_by_hand() -> None:
    # 8 of 10: (0.8 + 1.96^2/20 -+ 1.96 sqrt(0.016 + 1.96^2/400)) / (1 + 1.96^2/10)
    interval = wilson(8, 10)
    assert (interval.low, interval.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_wilson_has_width_at_both_ends() -> None:
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=1e-4)
    assert wilson(20, 20).low == pytest.approx(1 - 0.1611, abs=1e-4)
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_mcnemar_is_the_two_sided_binomial_test() -> None:
    assert mcnemar_exact(1, 9) == pytest.approx(2 * 11 / 1024)
    assert mcnemar_exact(5, 5) == 1.0
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(0, 6) == pytest.approx(0.03125)
    assert mcnemar_exact(400, 600) < 1e-9


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_does_not_care_who_is_called_the_baseline(one: int, other: int) -> None:
    assert mcnemar_exact(one, other) == mcnemar_exact(other, one)


@pytest.mark.parametrize(
    ("n", "expected"),
    [(100, (8.9, 12.5, 15.3)), (300, (5.1, 7.2, 8.9)), (1000, (2.8, 4.0, 4.9))],
)
def test_the_detectable_effect_is_that_of_the_notes(n: int, expected: tuple[float, ...]) -> None:
    points = [100 * minimum_detectable_effect(n, share) for share in (0.1, 0.2, 0.3)]
    assert points == pytest.approx(expected, abs=0.06)


def test_an_effect_of_that_size_is_found_in_about_four_of_five_simulated_runs() -> None:
    rng = random.Random(1)
    n, discordant = 300, 0.2
    effect = minimum_detectable_effect(n, discordant)
    better, found = (discordant + effect) / 2, 0
    for _ in range(300):
        draws = [rng.random() for _ in range(n)]
        only_candidate = sum(draw < better for draw in draws)
        only_base = sum(better <= draw < discordant for draw in draws)
        found += mcnemar_exact(only_base, only_candidate) < 0.05
    assert 0.68 < found / 300 < 0.9


def test_the_bootstrap_is_seeded_and_paired() -> None:
    base = [1.0, 0.0, 0.0, 1.0] * 25
    candidate = [1.0, 1.0, 0.0, 1.0] * 25
    first = paired_bootstrap(base, candidate, resamples=2000, seed=3)
    assert first == paired_bootstrap(base, candidate, resamples=2000, seed=3)
    assert first != paired_bootstrap(base, candidate, resamples=2000, seed=4)
    assert first.estimate == 0.25
    assert first.low == pytest.approx(0.25 - 1.96 * math.sqrt(0.25 * 0.75 / 100), abs=0.02)


def test_more_resamples_than_fit_in_one_chunk_are_all_drawn() -> None:
    base, candidate = [0.0] * 3000, [1.0, 0.0, 0.0] * 1000
    interval = paired_bootstrap(base, candidate, resamples=2000)
    assert interval.low < 1 / 3 < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * math.sqrt(2 / 9 / 3000), rel=0.1)


@pytest.mark.parametrize("n", [50, 150])
def test_the_bootstrap_interval_covers_the_truth_in_93_to_97_percent_of_samples(n: int) -> None:
    covered = _coverage(n, runs=400, interval=lambda b, c: paired_bootstrap(b, c, resamples=1000))
    assert 0.91 <= covered <= 0.985


@pytest.mark.parametrize("n", [10, 30])
def test_the_score_interval_covers_the_truth_on_few_items_too(n: int) -> None:
    assert _coverage(n, runs=600, interval=paired_score) >= 0.93


def test_the_score_interval_has_width_where_the_bootstrap_has_none() -> None:
    base, candidate = [0.0] * 3, [1.0] * 3
    assert paired_bootstrap(base, candidate).low == 1.0
    assert paired_score(base, candidate).low < 0.5


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_the_score_interval_holds_its_estimate_and_mirrors(pairs: list[tuple[bool, bool]]) -> None:
    base, candidate = [float(b) for b, _ in pairs], [float(c) for _, c in pairs]
    one, mirrored = paired_score(base, candidate), paired_score(candidate, base)
    assert -1 - 1e-9 <= one.low <= one.estimate <= one.high <= 1 + 1e-9
    assert (one.low, one.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)


def test_the_verdict_follows_the_interval() -> None:
    def interval(low: float, high: float) -> Interval:
        return Interval(estimate=(low + high) / 2, low=low, high=high, method="x")

    assert verdict(interval(0.01, 0.2), discordant=20) == "better"
    assert verdict(interval(-0.2, -0.01), discordant=20) == "worse"
    assert verdict(interval(0.0, 0.2), discordant=20) == "not measurable"
    assert verdict(interval(-0.1, 0.2), discordant=20) == "not measurable"


def test_five_disagreements_are_never_a_verdict() -> None:
    everything = Interval(estimate=1, low=1, high=1, method="x")
    assert verdict(everything, discordant=5) == "not measurable"
    assert verdict(everything, discordant=6) == "better"


def test_nothing_at_all_is_not_measurable() -> None:
    for interval in (paired_bootstrap([], []), paired_score([], [])):
        assert (interval.low, interval.high) == (-1.0, 1.0)
    assert minimum_detectable_effect(0, 0.2) == 1.0


def _coverage(n: int, *, runs: int, interval) -> float:  # type: ignore[no-untyped-def]
    """Share of samples whose interval holds the true difference (.55 against .40, correlated)."""
    rng = random.Random(7)
    held = 0
    for _ in range(runs):
        kinds = rng.choices(["both", "candidate", "base", "none"], [0.30, 0.25, 0.10, 0.35], k=n)
        base = [float(kind in ("both", "base")) for kind in kinds]
        candidate = [float(kind in ("both", "candidate")) for kind in kinds]
        found = interval(base, candidate)
        held += found.low - 1e-12 <= 0.15 <= found.high + 1e-12
    return held / runs
