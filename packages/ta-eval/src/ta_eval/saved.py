"""Answers that were made elsewhere, scored: into a `predictions` artifact, or as lines in a pipe."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from ta_eval.benchmark import Benchmark, read_benchmark
from ta_eval.config import OnError
from ta_eval.journal import request_key
from ta_eval.predictions import Answers, answer_of, identity, score_row, seal_predictions
from ta_eval.target import Failure
from ta_schemas import Artifact, InputError, Parent, read_jsonl, sealed
from ta_schemas.jsonl import to_object
from ta_schemas.rows import PredictionRow


class Saved(NamedTuple):
    """Answers that were made elsewhere, and how sure the system was of each, where it says so."""

    answers: Answers
    confidence: dict[str, float]


def score_predictions(
    predictions: Path,
    benchmark: Path,
    out: Path,
    *,
    name: str = "",
    on_missing: OnError = "stop",
    replace: bool = False,
    domain: Path | None = None,
) -> Artifact:
    """Score answers that were made elsewhere: JSONL with `id` and `output`, or a predictions artifact.

    A number `confidence` beside an answer stays beside its score, for the risk-coverage curve. Every item
    needs an answer, unless `on_missing` is `unscored`; an answer to no item is refused.
    """
    items = read_benchmark(benchmark, domain=domain)
    file, parents = _answers_file(predictions)
    saved = _saved_answers(file, items, on_missing=on_missing)
    name = name or file.stem
    told = {"answers": {id_: answer._asdict() for id_, answer in saved.answers.items()}}
    key = request_key(**told, confidence=saved.confidence) if saved.confidence else request_key(**told)
    settings = identity(items, name, saved=key)
    done = sealed(out, kind="predictions", config=settings, parents=parents)
    if done is not None:
        return done
    return seal_predictions(
        items,
        saved.answers,
        out,
        settings,
        parents=parents,
        replace=replace,
        speed={},
        confidence=saved.confidence,
    )


def score_lines(
    predictions: Path, benchmark: Path, *, on_missing: OnError = "stop", domain: Path | None = None
) -> Iterator[bytes]:
    """The score rows of `score_predictions` as JSON lines, in the benchmark's order, with nothing sealed."""
    items = read_benchmark(benchmark, domain=domain)
    saved = _saved_answers(_answers_file(predictions)[0], items, on_missing=on_missing)
    for row in items.rows:
        scored = score_row(row, saved.answers[row.id], items.own, saved.confidence)
        yield msgspec.json.encode(to_object(scored)) + b"\n"


def _answers_file(predictions: Path) -> tuple[Path, list[Parent]]:
    """The file with the answers, and the artifact it came from."""
    if not predictions.is_dir():
        return predictions, []
    artifact = Artifact.open(predictions, kind="predictions")
    return artifact.file("predictions.jsonl"), [artifact.as_parent]


def _saved_answers(file: Path, items: Benchmark, *, on_missing: OnError) -> Saved:
    answers: Answers = {}
    confidence: dict[str, float] = {}
    known = {row.id for row in items.rows}
    for row in read_jsonl(file, PredictionRow):
        if row.id not in known:
            raise InputError(f"{file}: id {row.id!r} is no item of {items.name}: is it the right benchmark?")
        if row.id in answers:
            raise InputError(f"{file}: id {row.id!r} is there twice")
        answers[row.id] = answer_of(row)
        sure = row.extra.get("confidence")
        if sure is None:
            continue
        if isinstance(sure, bool) or not isinstance(sure, int | float) or not math.isfinite(sure):
            raise InputError(f"{file}: id {row.id!r}: confidence: expected a number, got {sure!r}")
        confidence[row.id] = float(sure)
    missing = [row.id for row in items.rows if row.id not in answers]
    if missing and on_missing == "stop":
        raise InputError(
            f"{file}: no answer to {len(missing)} of {len(items.rows)} items, first {missing[0]!r}: "
            "add them or pass --on-missing unscored"
        )
    return Saved(answers | {id_: Failure("missing", "no answer in the file") for id_ in missing}, confidence)
