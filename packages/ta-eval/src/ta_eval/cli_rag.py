"""`ta-eval rag`: retrieval, citations, refusals, and with a judge how well answers rest on their contexts."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from ta_eval.options import (
    Attempts,
    Budget,
    Concurrency,
    Force,
    InputPrice,
    Json,
    JudgeModel,
    JudgeTokens,
    JudgeUrl,
    KeyEnv,
    Out,
    OutputPrice,
    Temperature,
    Timeout,
)

app = typer.Typer()


@app.command()
def rag(
    rows: Annotated[
        Path,
        typer.Argument(help="JSON lines: id, question, answer, contexts, relevant, reference, answerable ..."),
    ],
    out: Out,
    k: Annotated[list[int] | None, typer.Option(min=1, help="Cut-offs of recall and nDCG (1, 5, 10).")] = None,
    refusal: Annotated[
        str, typer.Option(help='Pattern that tells a refusal, such as "not in the documents"; turns them on.')
    ] = "",
    judge_url: JudgeUrl = "",
    judge_model: JudgeModel = "",
    embed_url: Annotated[
        str, typer.Option(help="Server with /embeddings, for answer relevancy; the judge's unless given.")
    ] = "",
    embed_model: Annotated[str, typer.Option(help="Embedding model; turns answer relevancy on.")] = "",
    api_key_env: KeyEnv = "",
    max_tokens: JudgeTokens = None,
    temperature: Temperature = None,
    concurrency: Concurrency = 4,
    attempts: Attempts = 5,
    timeout_s: Timeout = 120.0,
    input_price: InputPrice = 0.0,
    output_price: OutputPrice = 0.0,
    budget: Budget = 0.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Measure answers that rest on retrieved contexts; without a judge, what can be counted.

    Example: ta-eval rag answers.jsonl --refusal "not in the documents" --out runs/rag

    With a judge, --judge-url and --judge-model, also faithfulness, context recall and context precision; with
    --embed-model answer relevancy.
    """
    from ta_eval.http_target import HttpTarget
    from ta_eval.judge.config import JudgeConfig
    from ta_eval.judge.server import open_judge
    from ta_eval.limits import Limits
    from ta_eval.progress import say
    from ta_eval.rag.measure import RagOptions, measure_rag
    from ta_eval.rag.rows import read_rag_rows
    from ta_schemas import InputError

    try:
        re.compile(refusal)
    except re.error as error:
        raise InputError(f"--refusal {refusal!r}: not a regular expression: {error}") from None
    config = JudgeConfig.load(max_tokens=max_tokens, temperature=temperature)
    server = None
    if judge_url or judge_model:
        server = open_judge(
            judge_url,
            judge_model,
            api_key_env=api_key_env,
            concurrency=concurrency,
            attempts=attempts,
            timeout_s=timeout_s,
        )
    else:
        say("no judge is set: faithfulness, context recall and context precision are left out (--judge-url)")
    embedder = None
    if embed_url or embed_model:
        if server is None or not embed_model:
            raise InputError("answer relevancy needs --embed-model and a judge (--judge-url, --judge-model)")
        embedder = HttpTarget(
            "embeddings",
            embed_url or judge_url,
            embed_model,
            api_key_env,
            attempts=attempts,
            timeout_s=timeout_s,
        )
    artifact = measure_rag(
        read_rag_rows(rows),
        out,
        options=RagOptions(tuple(k or RagOptions().cut_offs), refusal),
        config=config,
        server=server,
        embedder=embedder,
        limits=Limits(input_price, output_price, budget),
        replace=force,
    )
    found = json.loads(artifact.file("rag.json").read_text(encoding="utf-8"))
    if as_json:
        typer.echo(json.dumps({"out": str(out), **found}, indent=2, ensure_ascii=False))
        return
    for name, metric in found["metrics"].items():
        typer.echo(_line(name, metric, metric["rows"]))
    for name in ("refused_unanswerable", "refused_answerable"):
        if name in found["refusals"]:
            typer.echo(
                _line(name.replace("_", ", "), found["refusals"][name], found["refusals"][name]["items"])
            )
    if "risk_coverage" in found["refusals"]:
        area = found["refusals"]["risk_coverage"]["area"]
        typer.echo(
            f"{'area under risk-coverage':<26}{area['estimate']:.3f}   {area['low']:.3f} to {area['high']:.3f}"
        )
    typer.echo(str(out / "rag.json"))


def _line(name: str, interval: dict[str, float], count: int) -> str:
    estimate, low, high = (f"{interval[end]:.3f}" for end in ("estimate", "low", "high"))
    return f"{name:<26}{estimate}   {low} to {high}   n = {count}"
