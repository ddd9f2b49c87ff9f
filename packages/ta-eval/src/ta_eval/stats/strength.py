"""Many systems in pairs: Bradley-Terry strengths; and how far length alone decides."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ta_schemas.reports import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Battle(NamedTuple):
    """One comparison: `outcome` is 1 where `first` won, 0 where `second` did, 0.5 for a tie."""

    first: str
    second: str
    outcome: float
    item: str = ""


def bradley_terry(
    battles: Sequence[Battle], *, resamples: int = 1000, seed: int = 0, prior: float = 0.1
) -> dict[str, Interval]:
    """Strength of each system in log-odds, mean 0, with a 95 % interval from resampling items.

    Bradley and Terry 1952; a tie is half a win for each; the interval is the bootstrap one of Chatbot Arena
    (Chiang et al. 2024), over items, so that the battles of one item stay together. `prior` ties are added
    between every two systems that met, so that one that always wins has a finite strength.
    """
    import numpy as np

    names = sorted({name for battle in battles for name in (battle.first, battle.second)})
    at = {name: k for k, name in enumerate(names)}
    keys = {key: k for k, key in enumerate(dict.fromkeys(b.item or str(n) for n, b in enumerate(battles)))}
    wins = np.zeros((len(keys), len(names), len(names)))
    for number, battle in enumerate(battles):
        item, i, j = keys[battle.item or str(number)], at[battle.first], at[battle.second]
        wins[item, i, j] += battle.outcome
        wins[item, j, i] += 1 - battle.outcome
    met = (wins.sum(axis=0) + wins.sum(axis=0).T) > 0
    estimate = _strengths((wins.sum(axis=0) + prior / 2 * met)[None])[0]
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(keys), np.full(len(keys), 1 / len(keys)), size=resamples)
    drawn = _strengths(np.tensordot(weights, wins, axes=1) + prior / 2 * met)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return {
        name: Interval(
            estimate=float(estimate[k]), low=float(low[k]), high=float(high[k]), method="bt-bootstrap"
        )
        for name, k in at.items()
    }


def _strengths(wins: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Maximum likelihood by Newton's method with the mean held at 0; wins[r, i, j] is i over j in draw r."""
    import numpy as np

    games = wins + wins.transpose(0, 2, 1)
    strength = np.zeros(wins.shape[:2])
    for _ in range(50):
        chance = 1 / (1 + np.exp(strength[:, None, :] - strength[:, :, None]))
        gradient = (wins - games * chance).sum(axis=2)
        slope = games * chance * (1 - chance)
        hessian = np.eye(wins.shape[1]) * slope.sum(axis=2)[:, None, :] - slope
        hessian += 1 / wins.shape[1]  # holds the mean
        step = np.clip(np.linalg.solve(hessian, gradient[..., None])[..., 0], -2.0, 2.0)
        strength += step
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(strength - strength.mean(axis=1, keepdims=True))


class LengthEffect(NamedTuple):
    """How far the longer answer wins for its length."""

    coefficient: Interval
    """Log-odds of winning per unit of log(candidate length / base length)."""
    win_rate_at_equal_length: Interval
    longer_wins: Interval
    """Share of decided pairs of unequal length that the longer answer won."""


def length_effect(
    outcomes: Sequence[float], lengths: Sequence[float], base_lengths: Sequence[float]
) -> LengthEffect:
    """Logistic regression of winning on the log ratio of lengths, with robust standard errors.

    The idea of AlpacaEval's length control (Dubois et al. 2024), without its instruction difficulty term, so
    it is called length effect, not length-controlled win rate. A tie is 0.5; standard errors are White's
    (HC1). A slight ridge keeps the fit finite where length separates the outcomes.
    """
    import numpy as np

    from ta_eval.stats.clusters import t_quantile
    from ta_eval.stats.rates import win_rate

    won = np.asarray(outcomes, dtype=float)
    ratio = np.log((np.asarray(lengths, dtype=float) + 1) / (np.asarray(base_lengths, dtype=float) + 1))
    decided = (won != 0.5) & (ratio != 0)
    longer = win_rate(list(np.where(ratio[decided] > 0, won[decided], 1 - won[decided])))
    n = len(won)
    if n < 10 or np.ptp(ratio) == 0:
        unknown = Interval(estimate=0.0, low=-math.inf, high=math.inf, method="logistic")
        return LengthEffect(unknown, win_rate(list(won)), longer)
    design = np.column_stack([np.ones(n), ratio])
    beta = np.zeros(2)
    ridge = 1e-3 * n * np.diag([0.0, 1.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        hessian = design.T @ (design * (chance * (1 - chance))[:, None]) + ridge
        step = np.clip(np.linalg.solve(hessian, design.T @ (won - chance) - ridge @ beta), -2.0, 2.0)
        beta += step
        if np.abs(step).max() < 1e-10:
            break
    scores = design * (won - chance)[:, None]
    bread = np.linalg.inv(hessian)
    errors = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread) * n / (n - 2))
    t = t_quantile(0.975, n - 2)
    ends = [(float(b), float(b - t * e), float(b + t * e)) for b, e in zip(beta, errors, strict=True)]
    rate, low, high = (1 / (1 + math.exp(-value)) for value in ends[0])
    estimate, lower, upper = ends[1]
    return LengthEffect(
        Interval(estimate=estimate, low=lower, high=upper, method="logistic"),
        Interval(estimate=rate, low=low, high=high, method="logistic"),
        longer,
    )
