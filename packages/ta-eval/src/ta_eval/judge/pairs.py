"""judge_pairs(): which of two systems answers better? Both orders, audited, compared with people."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ta_eval.answers import AnsweredItem, AnsweredPair, sample
from ta_eval.files import write_json, write_lines
from ta_eval.journal import Journal, journal_path, request_key
from ta_eval.judge.audit import OUTCOMES, JudgedItem, audit_answers, audit_pairs, family_warnings
from ta_eval.judge.calibrate import allowed, calibrate
from ta_eval.judge.config import JudgeConfig
from ta_eval.judge.kept import keep, take_over
from ta_eval.judge.ladder import JudgeServer, Judgment, Ladder
from ta_eval.judge.prompts import pair_messages, pair_schema
from ta_eval.limits import Limits
from ta_eval.predictions import PRODUCER
from ta_eval.stats import win_rate
from ta_eval.target import Message
from ta_schemas import Artifact, ArtifactWriter, sealed
from ta_schemas.artifact import refuse_existing

Labels = Mapping[str, float]
"""Item: outcome by people."""


class PairPlan:
    """Which items are judged, and every conversation that it takes."""

    def __init__(self, config: JudgeConfig, pair: AnsweredPair, server: JudgeServer) -> None:
        chosen = sample((item.id for item in pair.items), config.items)
        self.items = [item for item in pair.items if item.id in chosen]
        different = {item.id for item in pair.different}
        asked = [item for item in self.items if item.id in different]
        repeated = {item.id for item in asked[: round(config.retest_share * len(asked))]}
        self.keys: dict[tuple[str, str], str] = {}
        self.tasks: dict[str, list[Message]] = {}
        for item in asked:
            for turn in ("candidate first", "base first", "again"):
                if turn != "again" or item.id in repeated:
                    messages = pair_messages(item, config.rubric, candidate_first=turn != "base first")
                    key = request_key(
                        messages=messages,
                        judge=server.identity,
                        turn=turn,
                        max_tokens=config.max_tokens,
                        temperature=config.temperature,
                    )
                    self.keys[item.id, turn] = key
                    self.tasks[key] = messages

    def judged(self, judgments: Mapping[str, Judgment]) -> list[JudgedItem]:
        """The items with what the judge said of them."""
        said = {place: judgments[key] for place, key in self.keys.items()}
        return [
            JudgedItem(
                item.id,
                said.get((item.id, "candidate first")),
                said.get((item.id, "base first")),
                said.get((item.id, "again")),
                (len(item.candidate), len(item.base)),
            )
            for item in self.items
        ]


def judge_pairs(
    config: JudgeConfig,
    pair: AnsweredPair,
    server: JudgeServer,
    out: Path,
    *,
    limits: Limits,
    labels: Labels | None = None,
    replace: bool = False,
) -> Artifact:
    """Judge, audit, calibrate, seal an `eval-report` with judge.json and judgments.jsonl.

    Raises SetupError where judgments failed for good; the journal keeps the others.
    """
    settings = {
        "judge": server.identity,
        "kind": "pairs",
        **config.model_dump(),
        "answers": pair.digests,
        "labels": request_key(labels=labels) if labels is not None else "",
    }
    done = sealed(out, kind="eval-report", config=settings, parents=pair.parents)
    if done is not None:
        return done
    refuse_existing(out, replace=replace)
    plan = PairPlan(config, pair, server)
    with Journal(journal_path(out)) as journal:
        take_over(journal, out)
        ladder = Ladder(
            server, pair_schema(), journal, limits, max_tokens=config.max_tokens, temperature=config.temperature
        )
        judgments = ladder.climb(plan.tasks)
        items = plan.judged(judgments)
        found = summary(config, pair, items, judgments, server.model, limits=limits, labels=labels)
        with ArtifactWriter(
            out, kind="eval-report", producer=PRODUCER, config=settings, parents=pair.parents, replace=replace
        ) as writer:
            keep(journal, writer.path)
            write_json(writer.path / "judge.json", found)
            texts = {item.id: item for item in plan.items}
            write_lines(writer.path / "judgments.jsonl", (_row(item, texts[item.id]) for item in items))
            writer.metrics |= {name: found[name] for name in ("verdict", "why", "raw")}
        journal.path.unlink()
    return Artifact.open(out, kind="eval-report")


def summary(
    config: JudgeConfig,
    pair: AnsweredPair,
    items: list[JudgedItem],
    judgments: Mapping[str, Judgment],
    judge: str,
    *,
    limits: Limits,
    labels: Labels | None,
) -> dict[str, Any]:
    """What judge.json holds."""
    outcomes = {item.id: OUTCOMES[item.label] for item in items if item.label}
    calibration = None
    if labels is not None:
        asked = {item.id: outcomes[item.id] for item in items if item.label and not item.identical}
        calibration = calibrate(asked, labels, single=False)
        calibration["corrected"] = _with_ties(calibration["corrected"], len(asked) / len(outcomes))
    raw = win_rate(list(outcomes.values()))
    why = allowed(calibration, config.min_kappa)
    corrected = calibration["corrected"] if calibration else None
    return {
        "kind": "pairs",
        "judge": judge,
        "baseline": pair.baseline,
        "candidate": pair.candidate,
        "digests": pair.digests,
        "items": len(items),
        "scored": len(outcomes),
        "identical": sum(item.identical for item in items),
        "counts": dict(Counter(item.label or "unscored" for item in items)),
        "order_decides": sum(bool(item.winners and item.winners[0] != item.winners[1]) for item in items),
        "raw": raw.model_dump(),
        "calibration": calibration,
        "min_kappa": config.min_kappa,
        "verdict": "no verdict" if why or not corrected else _verdict(corrected),
        "why": why,
        "audit": {**audit_pairs(items), **audit_answers(judgments.values(), limits)},
        "warnings": family_warnings(
            judge, {pair.baseline: pair.models["baseline"], pair.candidate: pair.models["candidate"]}
        ),
    }


def _with_ties(rate: dict[str, Any] | None, share_asked: float) -> dict[str, Any] | None:
    """A rate over the pairs that differ, as one over all: identical answers are ties for certain."""
    if rate is None:
        return None
    ends = {name: 0.5 + share_asked * (rate[name] - 0.5) for name in ("estimate", "low", "high")}
    return {**rate, **ends}


def _verdict(rate: dict[str, Any]) -> str:
    if rate["low"] <= 0.5 <= rate["high"]:
        return "not measurable"
    return "better" if rate["low"] > 0.5 else "worse"


def _row(item: JudgedItem, texts: AnsweredItem) -> dict[str, Any]:
    """A line of judgments.jsonl: enough to recompute every number."""
    said = {
        name: {"answer": judgment.answer, "rung": judgment.rung, "reason": judgment.reason}
        for name, judgment in (
            ("candidate_first", item.candidate_first),
            ("base_first", item.base_first),
            ("again", item.again),
        )
        if judgment
    }
    return {
        "id": item.id,
        "category": texts.category,
        "label": item.label,
        "score": OUTCOMES[item.label] if item.label else None,
        "lengths": item.lengths,
        **said,
    }
