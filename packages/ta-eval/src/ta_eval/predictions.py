"""The `predictions` artifact: a system's answers to a benchmark, scored."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from ta_eval import scorers
from ta_eval.benchmark import Benchmark, read_benchmark
from ta_eval.config import OnError
from ta_eval.journal import request_key
from ta_eval.stats import wilson
from ta_eval.target import Failure, Reply
from ta_schemas import Artifact, ArtifactWriter, InputError, Parent, read_jsonl, sealed, write_jsonl
from ta_schemas.jsonl import to_object
from ta_schemas.rows import BenchmarkRow, PredictionRow, ScoreRow

PRODUCER = f"ta-eval {version('ta-eval')}"
Answers = dict[str, Reply | Failure]
"""Item id: what came back."""


def score_predictions(
    predictions: Path,
    benchmark: Path,
    out: Path,
    *,
    name: str = "",
    on_missing: OnError = "stop",
    replace: bool = False,
) -> Artifact:
    """Score answers that were made elsewhere: JSONL with `id` and `output`, or a predictions artifact.

    Every item needs an answer, unless `on_missing` is `unscored`; an answer to no item is refused.
    """
    items = read_benchmark(benchmark)
    file, parents = _answers_file(predictions)
    answers = _saved_answers(file, items, on_missing=on_missing)
    name = name or file.stem
    saved = {key: answer._asdict() for key, answer in answers.items()}
    settings = identity(items, name, saved=request_key(answers=saved))
    done = sealed(out, kind="predictions", config=settings, parents=parents)
    if done is not None:
        return done
    return seal_predictions(items, answers, out, settings, parents=parents, replace=replace, speed={})


def score_lines(predictions: Path, benchmark: Path, *, on_missing: OnError = "stop") -> Iterator[bytes]:
    """The score rows of `score_predictions` as JSON lines, in the benchmark's order, with nothing sealed."""
    items = read_benchmark(benchmark)
    answers = _saved_answers(_answers_file(predictions)[0], items, on_missing=on_missing)
    for row in items.rows:
        yield msgspec.json.encode(to_object(_score(row, answers[row.id]))) + b"\n"


def _answers_file(predictions: Path) -> tuple[Path, list[Parent]]:
    """The file with the answers, and the artifact it came from."""
    if not predictions.is_dir():
        return predictions, []
    artifact = Artifact.open(predictions, kind="predictions")
    return artifact.file("predictions.jsonl"), [artifact.as_parent]


def identity(items: Benchmark, name: str, **rest: Any) -> dict[str, Any]:
    """Everything that determines the artifact."""
    return {
        "name": name,
        "benchmark": {"name": items.name, "sha256": items.digest},
        **scorers.what_decides(items.rows),
        **rest,
    }


def _saved_answers(file: Path, items: Benchmark, *, on_missing: OnError) -> Answers:
    answers: Answers = {}
    known = {row.id for row in items.rows}
    for row in read_jsonl(file, PredictionRow):
        if row.id not in known:
            raise InputError(f"{file}: id {row.id!r} is no item of {items.name}: is it the right benchmark?")
        if row.id in answers:
            raise InputError(f"{file}: id {row.id!r} is there twice")
        if row.error:
            reason, _, message = row.error.partition(": ")
            answers[row.id] = Failure(reason, message)
        else:
            answers[row.id] = Reply(row.output, row.finish_reason, row.prompt_tokens, row.completion_tokens)
    missing = [row.id for row in items.rows if row.id not in answers]
    if missing and on_missing == "stop":
        raise InputError(
            f"{file}: no answer to {len(missing)} of {len(items.rows)} items, first {missing[0]!r}: "
            "add them or pass --on-missing unscored"
        )
    return answers | {id_: Failure("missing", "no answer in the file") for id_ in missing}


def seal_predictions(
    items: Benchmark,
    answers: Answers,
    out: Path,
    settings: dict[str, Any],
    *,
    parents: Sequence[Parent],
    replace: bool,
    speed: dict[str, Any],
) -> Artifact:
    """Score the answers and write predictions, scores, summary and a copy of the benchmark."""
    # Threads for the commands that are run: their time is spent in other processes.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scores = list(pool.map(lambda row: _score(row, answers[row.id]), items.rows))
    summary = _summary(settings["name"], scores, answers)
    with ArtifactWriter(
        out, kind="predictions", producer=PRODUCER, config=settings, parents=parents, replace=replace
    ) as writer:
        (writer.path / "benchmark.jsonl").write_bytes(items.raw)
        predictions = [_prediction(row.id, answers[row.id]) for row in items.rows]
        write_jsonl(writer.path / "predictions.jsonl", predictions)
        write_jsonl(writer.path / "scores.jsonl", scores)
        _write_json(writer.path / "summary.json", summary)
        (writer.path / "logs").mkdir()
        _write_json(writer.path / "logs" / "speed.json", speed)
        writer.metrics |= {key: summary[key] for key in ("items", "scored", "unscored", "accuracy")}
    return Artifact.open(out, kind="predictions")


def _score(row: BenchmarkRow, answer: Reply | Failure) -> ScoreRow:
    if isinstance(answer, Failure):
        return ScoreRow(id=row.id, category=row.category, score=None, scorer=row.scorer, reason=answer.reason)
    value, extracted, reason = scorers.score_answer(row, answer.text)
    return ScoreRow(
        id=row.id, category=row.category, score=value, scorer=row.scorer, reason=reason, extracted=extracted
    )


def _prediction(id_: str, answer: Reply | Failure) -> PredictionRow:
    if isinstance(answer, Failure):
        error = f"{answer.reason}: {answer.message}"
        return PredictionRow(id=id_, output="", finish_reason="error", error=error)
    return PredictionRow(
        id=id_,
        output=answer.text,
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
    )


def _summary(name: str, scores: list[ScoreRow], answers: Answers) -> dict[str, Any]:
    """Accuracy over what could be scored, with its interval; what could not is counted by reason."""
    right: dict[str, list[float]] = {}
    for row in scores:
        values = right.setdefault(row.category, [])
        if row.score is not None:
            values.append(row.score)
    every = [value for values in right.values() for value in values]
    replies = [answer for answer in answers.values() if isinstance(answer, Reply)]
    return {
        "name": name,
        "items": len(scores),
        "scored": len(every),
        "unscored": dict(Counter(row.reason.partition(":")[0] for row in scores if row.score is None)),
        "truncated": sum(reply.finish_reason == "length" for reply in replies),
        "accuracy": wilson(sum(every), len(every)).model_dump(),
        "by_category": {
            category: {"items": len(values), **wilson(sum(values), len(values)).model_dump()}
            for category, values in right.items()
        },
        "completion_tokens": sum(reply.completion_tokens for reply in replies),
    }


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
