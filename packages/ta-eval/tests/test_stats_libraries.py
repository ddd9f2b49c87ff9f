"""Where scipy or statsmodels have the same function, ours gives the same numbers."""

import numpy as np
import pytest

from ta_eval import stats

scipy_stats = pytest.importorskip("scipy.stats")
RNG = np.random.default_rng(11)
SCORES = RNG.normal(size=(2, 60))


@pytest.mark.parametrize(("right", "n"), [(0, 20), (1, 7), (150, 300), (300, 300)])
def test_wilson_is_scipys(right: int, n: int) -> None:
    theirs = scipy_stats.binomtest(right, n).proportion_ci(method="wilson")
    ours = stats.wilson(right, n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("counts", [(1, 9), (5, 5), (3, 20), (40, 61)])
def test_mcnemar_is_scipys_binomial_test(counts: tuple[int, int]) -> None:
    assert stats.mcnemar_exact(*counts) == pytest.approx(scipy_stats.binomtest(counts[0], sum(counts)).pvalue)


@pytest.mark.parametrize(("share", "df"), [(0.975, 1), (0.975, 9), (0.9, 3.5), (0.995, 299)])
def test_the_t_quantile_is_scipys(share: float, df: float) -> None:
    assert stats.t_quantile(share, df) == pytest.approx(scipy_stats.t.ppf(share, df), rel=1e-6)


@pytest.mark.parametrize("n", [9, 60])
def test_the_permutation_test_is_scipys(n: int) -> None:
    base, candidate = SCORES[0, :n], SCORES[1, :n] + 0.4
    theirs = scipy_stats.permutation_test(
        (base, candidate), lambda x, y: np.mean(y - x), permutation_type="samples", n_resamples=9999, rng=2
    )
    assert stats.paired_permutation(list(base), list(candidate)) == pytest.approx(theirs.pvalue, abs=0.02)


def test_the_paired_bootstrap_is_scipys() -> None:
    difference = SCORES[1] - SCORES[0]
    theirs = scipy_stats.bootstrap((difference,), np.mean, method="percentile", rng=3).confidence_interval
    ours = stats.paired_bootstrap(list(SCORES[0]), list(SCORES[1]))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_unclustered_items_give_the_t_interval() -> None:
    theirs = scipy_stats.ttest_1samp(SCORES[0], 0).confidence_interval()
    ours = stats.clustered_mean(list(SCORES[0]), [str(item) for item in range(60)])
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-6)


@pytest.mark.slow  # importing statsmodels takes seconds
def test_clustered_standard_errors_are_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.regression.linear_model")
    groups = np.arange(60) // 5
    fit = sm.OLS(SCORES[0], np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    ours = stats.clustered_mean(list(SCORES[0]), [str(group) for group in groups])
    assert (ours.low, ours.high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-6)


@pytest.mark.slow  # importing statsmodels takes seconds
def test_holm_is_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = [0.01, 0.04, 0.03, 0.2, 0.04]
    assert stats.holm(p_values) == pytest.approx(list(multitest.multipletests(p_values, method="holm")[1]))


@pytest.mark.slow  # importing statsmodels takes seconds
def test_kappas_are_statsmodels() -> None:
    raters = pytest.importorskip("statsmodels.stats.inter_rater")
    first = RNG.integers(0, 3, 200)
    second = np.where(RNG.random(200) < 0.6, first, RNG.integers(0, 3, 200))
    third = np.where(RNG.random(200) < 0.6, first, RNG.integers(0, 3, 200))
    table = np.zeros((3, 3))
    np.add.at(table, (first, second), 1)
    theirs = raters.cohens_kappa(table)
    ours = stats.cohen_kappa([str(label) for label in first], [str(label) for label in second])
    assert ours.estimate == pytest.approx(theirs.kappa)
    assert (ours.low, ours.high) == pytest.approx((theirs.kappa_low, theirs.kappa_upp), abs=0.005)
    table = np.column_stack([first, second, third])
    rows = {str(k): dict(zip("abc", map(str, row), strict=True)) for k, row in enumerate(table)}
    counts = raters.aggregate_raters(table)[0]
    assert stats.fleiss_kappa(rows).estimate == pytest.approx(raters.fleiss_kappa(counts))


@pytest.mark.slow  # importing statsmodels takes seconds
def test_bradley_terry_is_a_logistic_regression() -> None:
    sm = pytest.importorskip("statsmodels.discrete.discrete_model")
    pairs = [(0, 1), (0, 2), (1, 2)] * 60
    won = (RNG.random(180) < np.array([0.7, 0.8, 0.6] * 60)).astype(float)
    design = np.zeros((180, 3))
    for row, (one, other) in enumerate(pairs):
        design[row, one], design[row, other] = 1, -1
    theirs = sm.Logit(won, design[:, 1:]).fit(disp=0).params
    battles = [stats.Battle("abc"[i], "abc"[j], win) for (i, j), win in zip(pairs, won, strict=True)]
    ours = stats.bradley_terry(battles, prior=0)
    strengths = [ours[name].estimate - ours["a"].estimate for name in "bc"]
    assert strengths == pytest.approx(list(theirs), abs=1e-5)


@pytest.mark.slow  # importing statsmodels takes seconds
def test_the_length_effect_is_a_logistic_regression() -> None:
    sm = pytest.importorskip("statsmodels.discrete.discrete_model")
    lengths, base = RNG.integers(10, 900, 150), RNG.integers(10, 900, 150)
    ratio = np.log((lengths + 1) / (base + 1))
    won = (RNG.random(150) < 1 / (1 + np.exp(-0.5 - 0.6 * ratio))).astype(float)
    theirs = sm.Logit(won, np.column_stack([np.ones(150), ratio])).fit(disp=0, cov_type="HC1")
    ours = stats.length_effect(list(won), list(lengths), list(base)).coefficient
    assert ours.estimate == pytest.approx(theirs.params[1], abs=0.01)
    assert ours.low == pytest.approx(theirs.conf_int()[1][0], abs=0.03)
