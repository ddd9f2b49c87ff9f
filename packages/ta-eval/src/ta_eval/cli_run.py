"""`ta-eval run` and `ta-eval score`: answers to a benchmark, asked for or saved before, scored."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ta_eval.options import (
    Attempts,
    Benchmark,
    Budget,
    Concurrency,
    ConfigFile,
    Domain,
    DryRun,
    Force,
    InputPrice,
    Json,
    KeyEnv,
    Out,
    OutputPrice,
    Temperature,
    Timeout,
)

if TYPE_CHECKING:
    from ta_eval.limits import Estimate
    from ta_schemas import Artifact

app = typer.Typer()


@app.command()
def run(
    benchmark: Benchmark,
    base_url: Annotated[str, typer.Option(help="OpenAI-compatible server, such as http://127.0.0.1:8080/v1.")],
    model: Annotated[str, typer.Option(help="Model name the server knows.")],
    out: Out,
    name: Annotated[str, typer.Option(help="Name in reports; the model's name unless given.")] = "",
    config: ConfigFile = None,
    domain: Domain = None,
    system_prompt: Annotated[
        str | None, typer.Option(help="Put in front of every item that has no system message.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer (256 unless set).")] = None,
    temperature: Temperature = None,
    on_error: Annotated[
        str | None,
        typer.Option(help="stop: seal nothing while items fail; unscored: seal and count them as unscored."),
    ] = None,
    api_key_env: KeyEnv = "",
    concurrency: Concurrency = 8,
    attempts: Attempts = 5,
    timeout_s: Timeout = 120.0,
    cache: Annotated[
        Path | None, typer.Option(help="File of answers shared by runs, such as runs/answers.sqlite.")
    ] = None,
    input_price: InputPrice = 0.0,
    output_price: OutputPrice = 0.0,
    budget: Budget = 0.0,
    deadline_s: Annotated[float, typer.Option(min=0, help="Stop after so many seconds; 0: never.")] = 0.0,
    dry_run: DryRun = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Ask a server every item, score the answers, seal them. Killed? The same command goes on.

    Example: ta-eval run benchmark.jsonl --base-url http://127.0.0.1:8080/v1 --model smollm2 --out runs/base
    """
    from ta_eval.benchmark import read_benchmark
    from ta_eval.config import EvalConfig
    from ta_eval.evaluate import estimate_run, evaluate, what_can_be_seen
    from ta_eval.http_target import HttpTarget
    from ta_eval.limits import Limits
    from ta_eval.progress import say

    settings = EvalConfig.load(
        config,
        system_prompt=system_prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        on_error=on_error,
    )
    limits = Limits(input_price, output_price, budget, deadline_s)
    target = HttpTarget(
        name or model, base_url, model, api_key_env, concurrency, attempts=attempts, timeout_s=timeout_s
    )
    if dry_run:
        found = estimate_run(settings, benchmark, target, out, limits=limits, cache=cache, domain=domain)
        _print_estimate(found, as_json=as_json)
        return
    say(what_can_be_seen(read_benchmark(benchmark, domain=domain)))
    artifact = evaluate(
        settings, benchmark, target, out, replace=force, limits=limits, cache=cache, domain=domain
    )
    _print_summary(artifact, as_json=as_json)


@app.command()
def score(
    predictions: Annotated[
        Path,
        typer.Argument(help='Answers: JSONL with "id" and "output", - for stdin, or a predictions directory.'),
    ],
    benchmark: Benchmark,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the artifact; without it scores go to stdout.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name in reports; the file's name unless given.")] = "",
    on_missing: Annotated[
        str, typer.Option(help="stop: every item needs an answer; unscored: count those without.")
    ] = "stop",
    domain: Domain = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Score answers that were made elsewhere.

    Example: ta-eval score answers.jsonl benchmark.jsonl --out runs/other

    In a pipe, a JSON line for each item: cat answers.jsonl | ta-eval score - benchmark.jsonl
    """
    from ta_eval.pipe import as_file
    from ta_eval.saved import score_lines, score_predictions
    from ta_schemas import InputError

    if on_missing not in ("stop", "unscored"):
        raise InputError(f"--on-missing {on_missing!r}: expected 'stop' or 'unscored'")
    if str(predictions) == str(benchmark) == "-":
        raise InputError("answers and benchmark cannot both come from standard input: name one as a file")
    missing: Any = on_missing
    with as_file(predictions) as file, as_file(benchmark) as items:
        if out is None:
            if as_json or force or name:
                raise InputError("--name, --json and --force need --out: scores alone are JSON lines already")
            for line in score_lines(file, items, on_missing=missing, domain=domain):
                sys.stdout.buffer.write(line)
            sys.stdout.flush()
            return
        artifact = score_predictions(
            file, items, out, name=name, on_missing=missing, replace=force, domain=domain
        )
    _print_summary(artifact, as_json=as_json)


def _print_estimate(estimate: "Estimate", *, as_json: bool) -> None:
    if as_json:
        _print_json(estimate._asdict())
        return
    typer.echo(
        f"{estimate.requests} requests ({estimate.already_answered} of {estimate.items} items are answered "
        f"already), about {estimate.prompt_tokens} prompt tokens, at most "
        f"{estimate.completion_tokens_at_most} answer tokens, at most {estimate.cost_at_most:.4f} USD"
    )


def _print_summary(artifact: "Artifact", *, as_json: bool) -> None:
    summary = json.loads(artifact.file("summary.json").read_text(encoding="utf-8"))
    if as_json:
        _print_json({"out": str(artifact.path), "digest": artifact.digest, **summary})
        return
    accuracy = summary["accuracy"]
    unscored = ", ".join(f"{count} x {reason}" for reason, count in summary["unscored"].items()) or "0"
    typer.echo(
        f"{summary['name']}: {100 * accuracy['estimate']:.1f} % right (95 % interval "
        f"{100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}, n = {summary['scored']}; "
        f"unscored: {unscored})"
    )
    for category, part in summary["by_category"].items():
        typer.echo(f"  {category:<24}{100 * part['estimate']:6.1f} %  n = {part['items']}")
    typer.echo(str(artifact.path))


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
