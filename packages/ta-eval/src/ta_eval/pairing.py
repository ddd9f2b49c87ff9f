"""Candidate against baseline on the same items: difference, test, categories, and the family of comparisons."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ta_eval.config import CompareConfig
from ta_eval.stats import (
    MIN_CLUSTERS,
    MIN_DISCORDANT,
    clustered_mean,
    holm,
    mcnemar_exact,
    minimum_detectable_effect,
    paired_bootstrap,
    paired_permutation,
    paired_score,
    verdict,
    wilson,
)
from ta_eval.systems import System
from ta_schemas.reports import Comparison, Interval, ItemSetReport, SystemScore


class Pairs(NamedTuple):
    """Scores of the items that both sides have a score for."""

    ids: list[str]
    base: list[float]
    candidate: list[float]

    @property
    def differences(self) -> list[float]:
        """Candidate minus base."""
        return [c - b for b, c in zip(self.base, self.candidate, strict=True)]

    @property
    def binary(self) -> bool:
        """Whether all are right or wrong."""
        return {*self.base, *self.candidate} <= {0.0, 1.0}

    def only(self, positions: Sequence[int]) -> "Pairs":
        """Some of them."""
        return Pairs(*([values[at] for at in positions] for values in self))  # type: ignore[arg-type]


def report_item_set(name: str, systems: Sequence[System], config: CompareConfig) -> ItemSetReport:
    """Every system's scores, and every candidate against the baseline, with p values adjusted by Holm."""
    base, *candidates = systems
    comparisons = [_comparison(base, candidate, config) for candidate in candidates]
    adjusted = holm([comparison.mcnemar_p for comparison in comparisons])
    return ItemSetReport(
        name=name,
        systems=[score_of(system, base) for system in systems],
        comparisons=[_adjust(c, p, len(candidates)) for c, p in zip(comparisons, adjusted, strict=True)],
    )


def _adjust(comparison: Comparison, p: float, family: int) -> Comparison:
    """Among several candidates a verdict must also survive Holm's adjustment."""
    lost = family > 1 and p >= 0.05
    found = "not measurable" if lost else comparison.verdict
    return comparison.model_copy(update={"p_adjusted": p, "verdict": found})


def paired(base: System, candidate: System) -> Pairs:
    """Over the items that both have a score for, in the baseline's order."""
    ids = [
        id_
        for id_, row in base.scores.items()
        if row.score is not None and candidate.scores[id_].score is not None
    ]
    return Pairs(
        ids, [base.scores[i].score or 0.0 for i in ids], [candidate.scores[i].score or 0.0 for i in ids]
    )


def score_of(system: System, base: System) -> SystemScore:
    """Accuracy over what could be scored, all items and by the baseline's categories."""
    values: dict[str, list[float]] = {}
    for id_, row in system.scores.items():
        members = values.setdefault(base.scores[id_].category, [])
        if row.score is not None:
            members.append(row.score)
    every = [value for members in values.values() for value in members]
    return SystemScore(
        name=system.name,
        items=len(system.scores),
        scored=len(every),
        unscored=system.unscored,
        accuracy=_mean(every),
        by_category={category: _mean(members) for category, members in values.items()},
    )


def _comparison(base: System, candidate: System, config: CompareConfig) -> Comparison:
    pairs = paired(base, candidate)
    n, differences = len(pairs.ids), pairs.differences
    only_base, only_candidate = sum(d < 0 for d in differences), sum(d > 0 for d in differences)
    discordant = only_base + only_candidate
    bootstrap = paired_bootstrap(pairs.base, pairs.candidate, resamples=config.resamples, seed=config.seed)
    groups = [base.groups.get(id_, id_) for id_ in pairs.ids]
    clusters = len(set(groups))
    clustered = config.cluster == "group" and MIN_CLUSTERS <= clusters < n
    extra: dict[str, Any] = {
        "by_category": _by_category(base, pairs),
        "test": "McNemar" if pairs.binary else "permutation",
        "clusters": clusters if clustered else 0,
        "as_if_independent": bootstrap.model_dump(),
    }
    difference = clustered_mean(differences, groups) if clustered else bootstrap
    if pairs.binary:
        p = mcnemar_exact(only_base, only_candidate)
        effect = minimum_detectable_effect(n, max(discordant, MIN_DISCORDANT) / max(n, 1))
    else:
        p = paired_permutation(pairs.base, pairs.candidate, resamples=config.resamples, seed=config.seed)
        effect = minimum_detectable_effect(n, sum(d * d for d in differences) / max(n, 1))
    if clustered:  # as much larger as the interval is wider
        effect = min(1.0, effect * max(1.0, _width(difference) / max(_width(bootstrap), 1e-9)))
    return Comparison(
        baseline=base.name,
        candidate=candidate.name,
        items=n,
        difference=difference,
        only_baseline=only_base,
        only_candidate=only_candidate,
        mcnemar_p=p,
        minimum_detectable_effect=effect,
        verdict=verdict(difference, discordant=discordant),
        **extra,
    )


def _by_category(base: System, pairs: Pairs) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for category in dict.fromkeys(base.scores[id_].category for id_ in pairs.ids):
        members = pairs.only([at for at, i in enumerate(pairs.ids) if base.scores[i].category == category])
        if pairs.binary:
            interval = paired_score(members.base, members.candidate)
        else:
            interval = clustered_mean(members.differences, members.ids)
        found[category] = {"items": len(members.ids), **interval.model_dump()}
    return found


def _width(interval: Interval) -> float:
    return interval.high - interval.low


def _mean(values: Sequence[float]) -> Interval:
    if set(values) <= {0.0, 1.0}:
        return wilson(sum(values), len(values))
    return clustered_mean(values, [str(at) for at in range(len(values))])
