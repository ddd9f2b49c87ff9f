"""judge_points(): how good are one system's answers, by a rubric, from 1 to 5?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ta_eval.answers import AnsweredItem, sample
from ta_eval.files import write_json, write_lines
from ta_eval.journal import Journal, journal_path, request_key
from ta_eval.judge.audit import audit_answers, family_warnings
from ta_eval.judge.calibrate import allowed, calibrate
from ta_eval.judge.config import JudgeConfig
from ta_eval.judge.kept import keep, take_over
from ta_eval.judge.ladder import JudgeServer, Judgment, Ladder
from ta_eval.judge.prompts import point_messages, point_schema
from ta_eval.limits import Limits
from ta_eval.predictions import PRODUCER
from ta_eval.stats import clustered_mean, win_rate
from ta_eval.systems import System
from ta_eval.target import Message
from ta_schemas import Artifact, ArtifactWriter, sealed
from ta_schemas.artifact import refuse_existing


def judge_points(
    config: JudgeConfig,
    system: System,
    server: JudgeServer,
    out: Path,
    *,
    limits: Limits,
    labels: Mapping[str, float] | None = None,
    replace: bool = False,
) -> Artifact:
    """Grade, calibrate, seal an `eval-report` with judge.json and scores.jsonl (which `compare` reads)."""
    settings = {
        "judge": server.identity,
        "kind": "points",
        **config.model_dump(),
        "answers": system.digest,
        "labels": request_key(labels=labels) if labels is not None else "",
    }
    parents = [system.artifact.as_parent] if system.artifact else []
    done = sealed(out, kind="eval-report", config=settings, parents=parents)
    if done is not None:
        return done
    refuse_existing(out, replace=replace)
    items = _items(system, config.items)
    asked = {"judge": server.identity, "max_tokens": config.max_tokens, "temperature": config.temperature}
    tasks: dict[str, list[Message]] = {}
    keys: dict[str, str] = {}
    again: dict[str, str] = {}
    for number, (item, answer) in enumerate(items):
        messages = point_messages(item, answer, config.rubric)
        turns = 2 if number < round(config.retest_share * len(items)) else 1
        for turn, place in list(enumerate((keys, again)))[:turns]:
            place[item.id] = request_key(messages=messages, turn=turn, **asked)
            tasks[place[item.id]] = messages
    with Journal(journal_path(out)) as journal:
        take_over(journal, out)
        ladder = Ladder(
            server,
            point_schema(config.rubric),
            journal,
            limits,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
        )
        judgments = ladder.climb(tasks)
        grades = {id_: _mean(judgments[key], config) for id_, key in keys.items()}
        found = _summary(config, system, grades, judgments, keys, server.model, limits=limits, labels=labels)
        same = [grades[id_] == _mean(judgments[key], config) for id_, key in again.items() if grades[id_]]
        found["audit"]["retest"] = {"items": len(same), **win_rate([float(s) for s in same]).model_dump()}
        with ArtifactWriter(
            out, kind="eval-report", producer=PRODUCER, config=settings, parents=parents, replace=replace
        ) as writer:
            keep(journal, writer.path)
            write_json(writer.path / "judge.json", found)
            rows = (
                {
                    "id": item.id,
                    "category": item.category,
                    "score": None if (grade := grades[item.id]) is None else (grade - 1) / 4,
                    "scorer": "judge",
                    "reason": judgments[keys[item.id]].reason,
                    "judgment": judgments[keys[item.id]].answer,
                }
                for item, _ in items
            )
            write_lines(writer.path / "scores.jsonl", rows)
            writer.metrics |= {name: found[name] for name in ("verdict", "why", "raw", "mean_grade")}
        journal.path.unlink()
    return Artifact.open(out, kind="eval-report")


def _items(system: System, count: int) -> list[tuple[AnsweredItem, str]]:
    """Answers to grade; failed ones are none."""
    rows = {row.id: row for row in system.rows if not system.outputs[row.id].error}
    chosen = sample(rows, count)
    found = []
    for id_ in rows:
        if id_ in chosen:
            question = "\n".join(m.content for m in rows[id_].messages if m.role == "user")
            item = AnsweredItem(id_, rows[id_].category, question, "", "", rows[id_].references)
            found.append((item, system.outputs[id_].output))
    return found


def _summary(
    config: JudgeConfig,
    system: System,
    grades: Mapping[str, float | None],
    judgments: Mapping[str, Judgment],
    keys: Mapping[str, str],
    judge: str,
    *,
    limits: Limits,
    labels: Mapping[str, float] | None,
) -> dict[str, Any]:
    read = {id_: grade for id_, grade in grades.items() if grade is not None}
    good = {id_: float(grade >= config.pass_score) for id_, grade in read.items()}
    calibration = calibrate(good, labels, single=True) if labels is not None else None
    why = allowed(calibration, config.min_kappa)
    answers = [a for key in keys.values() if (a := judgments[key].answer) is not None]
    return {
        "kind": "points",
        "judge": judge,
        "system": system.name,
        "digests": {"system": system.digest},
        "items": len(grades),
        "scored": len(read),
        "mean_grade": _interval(list(read.values())),
        "by_criterion": {c.name: _interval([float(a[c.name]) for a in answers]) for c in config.rubric},
        "raw": win_rate(list(good.values())).model_dump(),
        "calibration": calibration,
        "min_kappa": config.min_kappa,
        "verdict": "no verdict" if why else "calibrated",
        "why": why,
        "audit": audit_answers(judgments.values(), limits),
        "warnings": family_warnings(
            judge, {system.name: str(system.config.get("target", {}).get("model", ""))}
        ),
    }


def _mean(judgment: Judgment, config: JudgeConfig) -> float | None:
    if judgment.answer is None:
        return None
    return float(sum(judgment.answer[c.name] for c in config.rubric) / len(config.rubric))


def _interval(values: list[float]) -> dict[str, Any]:
    return clustered_mean(values, [str(at) for at in range(len(values))]).model_dump()
