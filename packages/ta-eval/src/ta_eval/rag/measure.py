"""measure_rag(): retrieval, citations and refusals by counting; grounding by a judge, where there is one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ta_eval.files import write_json, write_lines
from ta_eval.http_target import HttpTarget
from ta_eval.journal import Journal, journal_path, request_key
from ta_eval.judge.audit import audit_answers
from ta_eval.judge.config import JudgeConfig
from ta_eval.judge.kept import keep, take_over
from ta_eval.judge.ladder import JudgeServer, Judgment, Ladder
from ta_eval.limits import Limits
from ta_eval.predictions import PRODUCER
from ta_eval.rag import grounding
from ta_eval.rag.citations import citations_of
from ta_eval.rag.refusals import refusals
from ta_eval.rag.relevancy import relevancy_messages, relevancy_schema, relevancy_values
from ta_eval.rag.retrieval import ndcg_at, precision, recall_at, reciprocal_rank
from ta_eval.rag.rows import RagRow
from ta_eval.stats import win_rate
from ta_eval.target import Message
from ta_schemas import Artifact, ArtifactWriter, sealed
from ta_schemas.artifact import refuse_existing

RELEVANCY = "answer relevancy"
Values = dict[str, dict[str, float]]
"""Metric: row: value from 0 to 1. A row that has nothing to measure is absent."""


class RagOptions(NamedTuple):
    """What is not the judge's."""

    cut_offs: tuple[int, ...] = (1, 5, 10)
    """The k of recall@k and nDCG@k."""
    refusal: str = ""
    """Regular expression that tells a refusal; empty: refusals are not measured."""


def measure_rag(
    rows: Sequence[RagRow],
    out: Path,
    *,
    options: RagOptions,
    config: JudgeConfig,
    server: JudgeServer | None,
    embedder: HttpTarget | None = None,
    limits: Limits,
    replace: bool = False,
) -> Artifact:
    """Measure and seal an `eval-report` with rag.json and rows.jsonl. Without a judge, no grounding; answer
    relevancy also needs an `embedder`.

    Raises SetupError where judgments failed for good; the journal keeps the others.
    """
    settings = {
        "kind": "rag",
        "rows": request_key(rows=rows),
        **options._asdict(),
        "judge": {**server.identity, **config.model_dump(include={"max_tokens", "temperature"})}
        if server
        else {},
        **({"embedder": embedder.identity} if embedder else {}),
    }
    done = sealed(out, kind="eval-report", config=settings, parents=[])
    if done is not None:
        return done
    refuse_existing(out, replace=replace)
    values = {**counted(rows, options), **_citations(rows)}
    with Journal(journal_path(out)) as journal:
        take_over(journal, out)
        audit: dict[str, Any] = {}
        if server:
            judged, judgments = _judge(rows, config, server, embedder, journal, limits)
            values |= judged
            audit = audit_answers(judgments, limits)
        found: dict[str, Any] = {
            "rows": len(rows),
            "metrics": {
                name: {"rows": len(by_row), **win_rate(list(by_row.values())).model_dump()}
                for name, by_row in values.items()
                if by_row
            },
            "refusals": refusals(rows, options.refusal) if options.refusal else {},
            "audit": audit,
        }
        with ArtifactWriter(
            out, kind="eval-report", producer=PRODUCER, config=settings, replace=replace
        ) as writer:
            keep(journal, writer.path)
            write_json(writer.path / "rag.json", found)
            write_lines(writer.path / "rows.jsonl", ({"id": row.id, **_of(row.id, values)} for row in rows))
            writer.metrics |= {name: metric["estimate"] for name, metric in found["metrics"].items()}
        journal.path.unlink()
    return Artifact.open(out, kind="eval-report")


def counted(rows: Sequence[RagRow], options: RagOptions) -> Values:
    """Retrieval metrics of the rows that name relevant contexts."""
    measured = [
        (row.id, [context.id for context in row.contexts], row.relevant) for row in rows if row.relevant
    ]
    values: Values = {
        "retrieval precision": {id_: precision(found, wanted) for id_, found, wanted in measured},
        "MRR": {id_: reciprocal_rank(found, wanted) for id_, found, wanted in measured},
    }
    for k in options.cut_offs:
        values[f"recall@{k}"] = {id_: recall_at(found, wanted, k) for id_, found, wanted in measured}
        values[f"nDCG@{k}"] = {id_: ndcg_at(found, wanted, k) for id_, found, wanted in measured}
    return values


def _citations(rows: Sequence[RagRow]) -> Values:
    by_row = {row.id: citations_of(row)._asdict() for row in rows if row.contexts}
    return {
        f"citations {name}": {id_: found[name] for id_, found in by_row.items() if found[name] is not None}
        for name in ("valid", "correct", "complete")
    }


def _judge(
    rows: Sequence[RagRow],
    config: JudgeConfig,
    server: JudgeServer,
    embedder: HttpTarget | None,
    journal: Journal,
    limits: Limits,
) -> tuple[Values, list[Judgment]]:
    """Faithfulness, context recall, context precision and relevancy, of the rows that have what they need."""
    by_id = {row.id: row for row in rows}
    grounded = [row for row in rows if row.contexts and row.answerable]
    asked = {
        "faithfulness": [(row, grounding.faithfulness_messages(row)) for row in grounded if row.answer.strip()],
        "context recall": [(row, grounding.recall_messages(row)) for row in grounded if row.reference],
        "context precision": [(row, grounding.precision_messages(row)) for row in grounded],
    }
    if embedder:
        answered = [row for row in rows if row.answerable and row.answer.strip()]
        asked[RELEVANCY] = [(row, relevancy_messages(row)) for row in answered]
    schemas = {"context precision": grounding.contexts_schema(), RELEVANCY: relevancy_schema()}
    values: Values = {}
    every: list[Judgment] = []
    for metric, questions in asked.items():
        keys = {row.id: _key(metric, messages, config, server) for row, messages in questions}
        ladder = Ladder(
            server,
            schemas.get(metric, grounding.claims_schema()),
            journal,
            limits,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
        )
        judgments = ladder.climb({keys[row.id]: messages for row, messages in questions})
        every += judgments.values()
        said = {row.id: found for row, _ in questions if (found := judgments[keys[row.id]].answer) is not None}
        if metric == RELEVANCY and embedder:
            values[metric] = relevancy_values(said, by_id, embedder)
            continue
        read = _value(metric)
        values[metric] = {
            id_: value for id_, found in said.items() if (value := read(found, by_id[id_])) is not None
        }
    return values, every


def _value(metric: str) -> Callable[[Mapping[str, Any], RagRow], float | None]:
    if metric == "context precision":
        return lambda answer, row: grounding.context_precision(answer, len(row.contexts))
    return lambda answer, row: grounding.supported_share(answer)


def _key(metric: str, messages: list[Message], config: JudgeConfig, server: JudgeServer) -> str:
    return request_key(
        metric=metric,
        messages=messages,
        judge=server.identity,
        max_tokens=config.max_tokens,
        temperature=config.temperature,
    )


def _of(id_: str, values: Values) -> dict[str, float]:
    return {metric: by_row[id_] for metric, by_row in values.items() if id_ in by_row}
