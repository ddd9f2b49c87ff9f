"""What the report tells of the answers themselves: wins and losses, lengths, confidence, origin and cost."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ta_eval.answers import spread
from ta_eval.report.model import Lengths, Risk, Run
from ta_eval.stats import risk_coverage
from ta_eval.systems import System

WINS_SHOWN = 5


def prompts(systems: Sequence[System], ids: Sequence[str]) -> list[dict[str, Any]]:
    """Questions with every system's answer and score."""
    rows = {row.id: row for row in systems[0].rows}
    return [
        {
            "id": id_,
            "category": rows[id_].category,
            "question": "\n".join(m.content for m in rows[id_].messages if m.role == "user"),
            "answers": [
                {
                    "system": system.name,
                    "output": system.outputs[id_].output,
                    "score": system.scores[id_].score,
                    "reason": system.scores[id_].reason,
                }
                for system in systems
            ],
        }
        for id_ in ids
    ]


def answered(systems: Sequence[System]) -> dict[str, str]:
    """Item: category, of the items that every side has a text for; none where a side is a score file."""
    every = [row for row in systems[0].rows if all(row.id in system.outputs for system in systems)]
    return {row.id: row.category for row in every}


def wins_and_losses(base: System, candidate: System) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Up to five each, chosen by nobody, that only one side got right."""
    gains: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for id_, category in answered([base, candidate]).items():
        ours, theirs = base.scores[id_].score, candidate.scores[id_].score
        if ours is not None and theirs is not None and ours != theirs:
            gains[theirs > ours].append((id_, category))
    wins, losses = (prompts([base, candidate], spread(gains[won], WINS_SHOWN)) for won in (True, False))
    return wins, losses


def lengths_of(system: System) -> Lengths | None:
    """None for a score file."""
    scored = [
        (len(row.output), score, row)
        for id_, row in system.outputs.items()
        if not row.error and (score := system.scores[id_].score) is not None
    ]
    if not scored:
        return None
    scored.sort(key=lambda entry: entry[0])
    chars, half = [entry[0] for entry in scored], len(scored) // 2
    quantiles = [float(chars[min(len(chars) - 1, int(q * len(chars)))]) for q in (0.1, 0.25, 0.5, 0.75, 0.9)]
    halves = [[entry[1] for entry in part] for part in (scored[:half], scored[half:])]
    return Lengths(
        system=system.name,
        quantiles=quantiles,
        mean_tokens=sum(entry[2].completion_tokens for entry in scored) / len(scored),
        cut=sum(entry[2].finish_reason == "length" for entry in scored),
        right_shorter_half=sum(halves[0]) / max(1, len(halves[0])),
        right_longer_half=sum(halves[1]) / max(1, len(halves[1])),
    )


def risk_of(system: System) -> Risk | None:
    """From a `confidence` beside every score, in a score file or scores.jsonl; None where one lacks it."""
    scored = [row for row in system.scores.values() if row.score is not None]
    sure = [row.extra["confidence"] for row in scored if "confidence" in row.extra]
    right = [row.score or 0.0 for row in scored]
    if not scored or len(sure) < len(scored):
        return None
    curve = risk_coverage(sure, right)
    return Risk(
        system=system.name,
        area=curve.area.estimate,
        area_low=curve.area.low,
        area_high=curve.area.high,
        points=[(point.coverage, point.risk.estimate) for point in curve.points],
    )


def runs_of(systems: Mapping[str, Sequence[System]]) -> list[Run]:
    """Origin, environment and cost of every side."""
    return [_run(name, system) for name, members in systems.items() for system in members]


def _run(name: str, system: System) -> Run:
    if system.artifact is None:
        return Run(item_set=name, system=system.name, digest=system.digest)
    manifest = system.artifact.manifest
    speed_file = system.path / "logs" / "speed.json"
    speed = json.loads(speed_file.read_text(encoding="utf-8")) if speed_file.is_file() else {}
    return Run(
        item_set=name,
        system=system.name,
        digest=system.digest,
        benchmark=str(manifest.config.get("benchmark", {}).get("sha256", "")),
        producer=manifest.producer,
        environment=manifest.environment,
        prompt_tokens=sum(row.prompt_tokens for row in system.outputs.values()),
        completion_tokens=sum(row.completion_tokens for row in system.outputs.values()),
        seconds=speed.get("seconds"),
        cost_usd=speed.get("cost_usd"),
    )
