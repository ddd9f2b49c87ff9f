import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ta_eval.stats import (
    ENOUGH,
    Battle,
    bradley_terry,
    clustered_mean,
    cohen_kappa,
    confidence_sequence,
    fleiss_kappa,
    holm,
    krippendorff_alpha,
    largest_capital,
    length_effect,
    mcnemar_exact,
    minimum_detectable_effect,
    paired_bootstrap,
    paired_permutation,
    paired_score,
    prediction_powered,
    risk_coverage,
    sample_size,
    verdict,
    wilson,
    win_rate,
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


def test_ties_narrow_the_win_rate_and_without_them_it_is_wilsons() -> None:
    won = [1.0] * 30 + [0.0] * 20
    tied = [1.0] * 10 + [0.5] * 40
    assert (win_rate(won).low, win_rate(won).high) == pytest.approx((wilson(30, 50).low, wilson(30, 50).high))
    assert win_rate(tied).estimate == win_rate(won).estimate == 0.6
    assert win_rate(tied).high - win_rate(tied).low < win_rate(won).high - win_rate(won).low


def test_a_win_rate_without_variation_still_has_width() -> None:
    for outcomes in ([1.0] * 10, [0.5] * 10, []):
        interval = win_rate(outcomes)
        assert interval.high - interval.low > 0.2


def test_the_sample_size_is_the_reverse_of_the_detectable_effect() -> None:
    assert sample_size(minimum_detectable_effect(300, 0.2), 0.2) == 300
    assert sample_size(0.5, 0.1) == sample_size(0.5, 0.5)  # that much cannot differ on fewer items
    with pytest.raises(ValueError, match="above 0"):
        sample_size(0.0, 0.2)


def test_holm_multiplies_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_items_that_hang_together_widen_the_interval() -> None:
    values = [0.0] * 25 + [1.0] * 25
    apart = clustered_mean(values, [str(k) for k in range(50)])
    together = clustered_mean(values, [str(k // 5) for k in range(50)])
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert (clustered_mean([1.0, 0.0], ["a", "a"]).low, clustered_mean([], []).high) == (-1.0, 1.0)


def test_the_permutation_test_of_few_pairs_is_exact() -> None:
    assert paired_permutation([0.0] * 8, [1.0] * 8) == 2 / 256
    assert paired_permutation([0.0, 0.0, 1.0], [1.0, 0.0, 0.0]) == 1.0
    assert paired_permutation([], []) == 1.0


def test_the_permutation_test_is_seeded() -> None:
    base, candidate = [float(k % 7) for k in range(40)], [float(k % 5) for k in range(40)]
    found = [paired_permutation(base, candidate, resamples=200, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_a_system_that_always_wins_has_a_finite_strength() -> None:
    strengths = bradley_terry([Battle("a", "b", 1.0) for _ in range(20)], resamples=100)
    assert 0 < strengths["a"].estimate < 10
    assert strengths["a"].estimate == pytest.approx(-strengths["b"].estimate)


def test_the_length_effect_sees_that_the_longer_answer_wins() -> None:
    lengths, base = [100.0, 10.0] * 30, [10.0, 100.0] * 30
    found = length_effect([1.0, 0.0] * 28 + [0.0, 1.0] * 2, lengths, base)
    assert found.longer_wins.estimate == pytest.approx(56 / 60)
    assert found.coefficient.low > 0
    assert found.win_rate_at_equal_length.estimate == pytest.approx(0.5, abs=0.01)
    same = length_effect([1.0] * 20, [5.0] * 20, [5.0] * 20)
    assert math.isinf(same.coefficient.high)


def test_risk_falls_when_the_unsure_are_withheld() -> None:
    curve = risk_coverage([0.9, 0.8, 0.8, 0.1], [1.0, 1.0, 0.0, 0.0], resamples=50)
    assert [point.coverage for point in curve.points] == [0.25, 0.75, 1.0]
    assert [point.risk.estimate for point in curve.points] == pytest.approx([0, 1 / 3, 0.5])
    assert curve.area.estimate == pytest.approx((0 + 1 / 3 + 1 / 3 + 0.5) / 4)
    assert risk_coverage([], []).points == []


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_the_last_point_of_the_curve_is_the_error_of_all_answers(rows: list[tuple[float, bool]]) -> None:
    curve = risk_coverage([sure for sure, _ in rows], [float(right) for _, right in rows], resamples=2)
    assert curve.points[-1].coverage == 1.0
    assert curve.points[-1].risk.estimate == pytest.approx(1 - sum(right for _, right in rows) / len(rows))


def test_krippendorffs_own_example_is_reproduced() -> None:
    """Krippendorff 2011, section C: four observers, twelve units, gaps; alpha .743, .815 and .849."""
    observers = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    ratings = {
        str(unit): {
            str(who): row.split()[unit] for who, row in enumerate(observers) if row.split()[unit] != "."
        }
        for unit in range(12)
    }
    for level, expected in (("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)):
        assert krippendorff_alpha(ratings, level=level).estimate == pytest.approx(expected, abs=6e-4)


def test_agreement_is_undefined_with_one_label_and_not_certain_without_disagreement() -> None:
    assert "undefined" in cohen_kappa(["a"] * 9, ["a"] * 9).method
    perfect = cohen_kappa(["a", "b"] * 10, ["a", "b"] * 10)
    assert (perfect.estimate, perfect.high) == (1.0, 1.0)
    assert 0.5 < perfect.low < 0.9
    assert "undefined" in fleiss_kappa({"x": {"r": "a"}}).method
    few = cohen_kappa(["x", "y"], ["x", "x"])
    assert (few.low, few.high) == (-1.0, 1.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=30))
def test_kappa_does_not_care_who_is_named_first(rows: list[tuple[str, str]]) -> None:
    first, second = [row[0] for row in rows], [row[1] for row in rows]
    one, other = cohen_kappa(first, second), cohen_kappa(second, first)
    assert (one.estimate, one.low) == pytest.approx((other.estimate, other.low))
    assert -1 <= one.low <= one.estimate <= one.high <= 1


def test_a_judge_that_flatters_is_corrected_by_the_labels() -> None:
    human, judge = [1.0, 0.0, 0.0, 1.0] * 20, [1.0, 1.0, 0.0, 1.0] * 20
    corrected = prediction_powered(human, judge, judge * 5)
    assert corrected.estimate == pytest.approx(0.5, abs=0.01)
    assert corrected.low < 0.5 < corrected.high


def test_a_useless_judge_leaves_the_mean_of_the_labels() -> None:
    human = [1.0, 1.0, 0.0, 0.0, 1.0] * 12
    corrected = prediction_powered(human, [0.5] * 60, [1.0] * 500)
    assert corrected.estimate == pytest.approx(0.6)
    assert prediction_powered([], [], []).high == 1.0


def test_a_judge_that_agrees_with_people_narrows_the_interval() -> None:
    human = [1.0, 0.0] * 30
    alone = prediction_powered(human, [0.5] * 60, [])
    with_judge = prediction_powered(human, human, human * 10)
    assert with_judge.high - with_judge.low < 0.5 * (alone.high - alone.low)


def test_bets_gain_on_evidence_and_ties_cost_nothing() -> None:
    assert largest_capital([]) == 1.0
    assert largest_capital([1.0] * 20) > ENOUGH > largest_capital([1.0, 0.0] * 10)
    assert largest_capital([0.5] * 30) == pytest.approx(1.0)
    assert largest_capital([1.0] * 6 + [0.5] * 9 + [1.0] * 6) == pytest.approx(largest_capital([1.0] * 12))
    assert largest_capital([1.0] * 12) == pytest.approx(largest_capital([0.0] * 12))


def test_evidence_that_was_enough_stays_enough() -> None:
    assert largest_capital([1.0] * 20 + [0.0] * 20) == largest_capital([1.0] * 20)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=40))
def test_the_sequential_interval_leaves_out_a_half_just_when_the_capital_was_enough(
    outcomes: list[float],
) -> None:
    interval = confidence_sequence(outcomes)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    if interval.low > 0.505 or interval.high < 0.495:
        assert largest_capital(outcomes) >= ENOUGH * 0.8
