"""The `predictions` artifact: a system's answers to a benchmark, scored."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ta_eval import scorers
from ta_eval.benchmark import Benchmark
from ta_eval.scorers.text import Score
from ta_eval.stats import wilson
from ta_eval.target import Failure, Reply
from ta_schemas import Artifact, ArtifactWriter, Parent, write_jsonl
from ta_schemas.rows import BenchmarkRow, PredictionRow, ScoreRow

PRODUCER = f"ta-eval {version('ta-eval')}"
Answers = dict[str, Reply | Failure]
"""Item id: what came back."""
NOT_SAID: Mapping[str, float] = MappingProxyType({})


def identity(items: Benchmark, name: str, **rest: Any) -> dict[str, Any]:
    """Everything that determines the artifact."""
    return {
        "name": name,
        "benchmark": {"name": items.name, "sha256": items.digest},
        **scorers.what_decides(items.rows, items.own),
        **rest,
    }


def seal_predictions(
    items: Benchmark,
    answers: Answers,
    out: Path,
    settings: dict[str, Any],
    *,
    parents: Sequence[Parent],
    replace: bool,
    speed: dict[str, Any],
    confidence: Mapping[str, float] = NOT_SAID,
) -> Artifact:
    """Score the answers and write predictions, scores, summary and a copy of the benchmark."""
    scores = _scored(items, answers, confidence)
    predictions = [_prediction(row.id, answers[row.id], confidence) for row in items.rows]
    summary = summarise(settings["name"], scores, predictions)
    with ArtifactWriter(
        out, kind="predictions", producer=PRODUCER, config=settings, parents=parents, replace=replace
    ) as writer:
        (writer.path / "benchmark.jsonl").write_bytes(items.raw)
        write_jsonl(writer.path / "predictions.jsonl", predictions)
        write_jsonl(writer.path / "scores.jsonl", scores)
        _write_json(writer.path / "summary.json", summary)
        (writer.path / "logs").mkdir()
        _write_json(writer.path / "logs" / "speed.json", speed)
        writer.metrics |= {key: summary[key] for key in ("items", "scored", "unscored", "accuracy")}
    return Artifact.open(out, kind="predictions")


def rescored(items: Benchmark, predictions: Sequence[PredictionRow]) -> list[ScoreRow]:
    """The score rows of sealed predictions, computed again."""
    answers = {row.id: answer_of(row) for row in predictions}
    sure = {row.id: row.extra["confidence"] for row in predictions if "confidence" in row.extra}
    return _scored(items, answers, sure)


def _scored(items: Benchmark, answers: Answers, confidence: Mapping[str, float]) -> list[ScoreRow]:
    # Threads for the commands that are run: their time is spent in other processes.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda row: score_row(row, answers[row.id], items.own, confidence), items.rows))


def answer_of(row: PredictionRow) -> Reply | Failure:
    """What a predictions row says."""
    if row.error:
        reason, _, message = row.error.partition(": ")
        return Failure(reason, message)
    return Reply(row.output, row.finish_reason, row.prompt_tokens, row.completion_tokens)


def score_row(
    row: BenchmarkRow, answer: Reply | Failure, own: Mapping[str, str], confidence: Mapping[str, float]
) -> ScoreRow:
    """An answer's score row; a failed item has no score and its reason."""
    extra = {"confidence": confidence[row.id]} if row.id in confidence else {}
    if isinstance(answer, Failure):
        value, extracted, reason = Score(None, "", answer.reason)
    else:
        value, extracted, reason = scorers.score_answer(row, answer.text, own)
    return ScoreRow(
        id=row.id,
        category=row.category,
        score=value,
        scorer=row.scorer,
        reason=reason,
        extracted=extracted,
        extra=extra,
    )


def _prediction(id_: str, answer: Reply | Failure, confidence: Mapping[str, float]) -> PredictionRow:
    extra = {"confidence": confidence[id_]} if id_ in confidence else {}
    if isinstance(answer, Failure):
        error = f"{answer.reason}: {answer.message}"
        return PredictionRow(id=id_, output="", finish_reason="error", error=error, extra=extra)
    return PredictionRow(
        extra=extra,
        id=id_,
        output=answer.text,
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
    )


def summarise(name: str, scores: Sequence[ScoreRow], answers: Sequence[PredictionRow]) -> dict[str, Any]:
    """Accuracy over what could be scored, with its interval; what could not is counted by reason."""
    right: dict[str, list[float]] = {}
    for row in scores:
        values = right.setdefault(row.category, [])
        if row.score is not None:
            values.append(row.score)
    every = [value for values in right.values() for value in values]
    return {
        "name": name,
        "items": len(scores),
        "scored": len(every),
        "unscored": dict(Counter(row.reason.partition(":")[0] for row in scores if row.score is None)),
        "truncated": sum(answer.finish_reason == "length" for answer in answers),
        "accuracy": wilson(sum(every), len(every)).model_dump(),
        "by_category": {
            category: {"items": len(values), **wilson(sum(values), len(values)).model_dump()}
            for category, values in right.items()
        },
        "completion_tokens": sum(answer.completion_tokens for answer in answers),
    }


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
