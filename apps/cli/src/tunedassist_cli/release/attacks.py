"""Safety reports in numbers: attack success bare and guarded, and the difference between two models."""

import json
from typing import Any, NamedTuple

from ta_schemas import Artifact, read_jsonl
from ta_schemas.reports import Interval
from ta_schemas.rows import AttemptRow
from tunedassist_cli.pipeline import installed


class Attacked(NamedTuple):
    """What a safety report says of a model."""

    attempts: int
    raw: Interval
    guarded: Interval
    harmless: int
    refused: Interval
    """Share of the harmless conversations that the guard refused."""


def read_scan(scan: Artifact) -> Attacked:
    """The rates of `report.json`."""
    said: dict[str, Any] = json.loads(scan.file("report.json").read_text(encoding="utf-8"))
    total, harmless = said["total"], said["harmless"]
    return Attacked(
        total["attempts"],
        Interval.model_validate(total["raw"]),
        Interval.model_validate(total["guarded"]),
        harmless["conversations"],
        Interval.model_validate(harmless["refused"]),
    )


def same_attacks(one: Artifact, other: Artifact) -> bool:
    """Whether both models were asked the same, behind the same guard."""
    keys = ("seed", "variants", "styles", "canary", "scenarios", "domain")
    return all(one.manifest.config.get(key) == other.manifest.config.get(key) for key in keys)


def increase(base: Artifact, released: Artifact, *, guarded: bool) -> Interval:
    """Attack success, released minus base, attack by attack.

    The wider ends of two intervals: Newcombe's, which has a width where no attack succeeds, and the
    cluster-robust one, since the attacks of a scenario hang together.
    """
    with installed("eval"):
        from ta_eval.stats import MIN_CLUSTERS, clustered_mean, paired_score

    before, after = _successes(base, guarded), _successes(released, guarded)
    both = sorted(before.keys() & after.keys())
    pairs = [(before[key], after[key]) for key in both]
    found = paired_score([b for b, _ in pairs], [a for _, a in pairs])
    scenarios = [key.partition("/")[0] for key in both]
    if len(set(scenarios)) < MIN_CLUSTERS:
        return found
    robust = clustered_mean([a - b for b, a in pairs], scenarios)
    return Interval(
        estimate=found.estimate,
        low=min(found.low, robust.low),
        high=max(found.high, robust.high),
        method="paired-score, clustered",
    )


def _successes(scan: Artifact, guarded: bool) -> dict[str, float]:
    rows = read_jsonl(scan.file("attempts.jsonl"), AttemptRow)
    return {row.id: float(bool(row.score)) for row in rows if row.extra.get("guarded") is guarded}
