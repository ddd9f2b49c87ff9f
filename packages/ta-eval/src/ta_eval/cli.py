"""`ta-eval`: plan, run, score and compare evaluations.

ta-eval plan benchmark.jsonl
ta-eval run benchmark.jsonl --base-url http://127.0.0.1:8080/v1 --model smollm2 --out runs/base
ta-eval compare runs/base runs/tuned --out runs/report
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ta_schemas.errors import exit_with_one_line

if TYPE_CHECKING:
    from ta_schemas import Artifact

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

Benchmark = Annotated[Path, typer.Argument(help="Questions, one JSON object a line, such as bench.jsonl.")]
Out = Annotated[Path, typer.Option(help="Directory to write the artifact to, such as runs/tuned.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the artifact of another run at --out.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
ConfigFile = Annotated[Path | None, typer.Option(help="YAML file with settings; options given here win.")]


@app.callback()
def about() -> None:
    """Is the tuned model better, by how much, and how sure are we?"""


@app.command()
def plan(benchmark: Benchmark, as_json: Json = False) -> None:
    """Check a benchmark and say what it can show, before any model is asked.

    Example: ta-eval plan data/linux-cli/benchmark.jsonl
    """
    from ta_eval.benchmark import read_benchmark
    from ta_eval.stats import DISCORDANT_SHARES, minimum_detectable_effect

    items = read_benchmark(benchmark)
    n = len(items.rows)
    effects = {str(share): minimum_detectable_effect(n, share) for share in DISCORDANT_SHARES}
    scorers: dict[str, int] = {}
    for row in items.rows:
        scorers[row.scorer] = scorers.get(row.scorer, 0) + 1
    if as_json:
        _print_json(
            {
                "items": n,
                "by_category": items.categories,
                "by_scorer": scorers,
                "minimum_detectable_effect": effects,
            }
        )
        return
    for heading, counts in (("category", items.categories), ("scorer", scorers)):
        typer.echo(f"{heading:<24}items")
        for name, count in counts.items():
            typer.echo(f"{name:<24}{count:>5}")
        typer.echo(f"{'all':<24}{n:>5}\n")
    typer.echo("smallest difference that is found with 80 % power (two-sided 5 %, paired):")
    typer.echo("items two systems disagree on   points")
    for share in DISCORDANT_SHARES:
        effect = minimum_detectable_effect(n, share)
        told = f"{100 * effect:6.1f}" if effect <= share else "none can be found: too few items"
        typer.echo(f"{100 * share:>27.0f} %   {told}")


@app.command()
def run(
    benchmark: Benchmark,
    base_url: Annotated[str, typer.Option(help="OpenAI-compatible server, such as http://127.0.0.1:8080/v1.")],
    model: Annotated[str, typer.Option(help="Model name the server knows.")],
    out: Out,
    name: Annotated[str, typer.Option(help="Name in reports; the model's name unless given.")] = "",
    config: ConfigFile = None,
    system_prompt: Annotated[
        str | None, typer.Option(help="Put in front of every item that has no system message.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer (256 unless set).")] = None,
    temperature: Annotated[float | None, typer.Option(help="0, the default, repeats itself.")] = None,
    on_error: Annotated[
        str | None,
        typer.Option(help="stop: seal nothing while items fail; unscored: seal and count them as unscored."),
    ] = None,
    api_key_env: Annotated[
        str, typer.Option(help="Environment variable with the API key (OPENAI_API_KEY if that is set).")
    ] = "",
    concurrency: Annotated[int, typer.Option(min=1, help="Requests in flight.")] = 8,
    attempts: Annotated[int, typer.Option(min=1, help="Tries per item on 429, 5xx, lost connections.")] = 5,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Longest wait for an answer, seconds.")] = 120.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Ask a server every item, score the answers, seal them. Killed? The same command goes on.

    Example: ta-eval run benchmark.jsonl --base-url http://127.0.0.1:8080/v1 --model smollm2 --out runs/base
    """
    from ta_eval.benchmark import read_benchmark
    from ta_eval.config import EvalConfig
    from ta_eval.evaluate import evaluate, what_can_be_seen
    from ta_eval.http_target import HttpTarget
    from ta_eval.progress import say

    settings = EvalConfig.load(
        config,
        system_prompt=system_prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        on_error=on_error,
    )
    target = HttpTarget(
        name or model, base_url, model, api_key_env, concurrency, attempts=attempts, timeout_s=timeout_s
    )
    say(what_can_be_seen(read_benchmark(benchmark)))
    _print_summary(evaluate(settings, benchmark, target, out, replace=force), as_json=as_json)


@app.command()
def score(
    predictions: Annotated[
        Path, typer.Argument(help='Saved answers: JSONL with "id" and "output", or a predictions directory.')
    ],
    benchmark: Benchmark,
    out: Out,
    name: Annotated[str, typer.Option(help="Name in reports; the file's name unless given.")] = "",
    on_missing: Annotated[
        str, typer.Option(help="stop: every item needs an answer; unscored: count those without.")
    ] = "stop",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Score answers that were made elsewhere.

    Example: ta-eval score answers.jsonl benchmark.jsonl --out runs/other
    """
    from ta_eval.predictions import score_predictions
    from ta_schemas import InputError

    if on_missing not in ("stop", "unscored"):
        raise InputError(f"--on-missing {on_missing!r}: expected 'stop' or 'unscored'")
    artifact = score_predictions(
        predictions,
        benchmark,
        out,
        name=name,
        on_missing="unscored" if on_missing == "unscored" else "stop",
        replace=force,
    )
    _print_summary(artifact, as_json=as_json)


@app.command()
def compare(
    predictions: Annotated[
        list[Path], typer.Argument(help="Predictions directories; the first is the baseline.")
    ],
    out: Out,
    forgetting: Annotated[
        list[Path] | None,
        typer.Option(help="Predictions over general questions, baseline first; once for each directory."),
    ] = None,
    config: ConfigFile = None,
    title: Annotated[str | None, typer.Option(help="Heading of the report.")] = None,
    resamples: Annotated[int | None, typer.Option(help="Bootstrap resamples (10000 unless set).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the bootstrap.")] = None,
    side_by_side: Annotated[int | None, typer.Option(help="Prompts shown with all answers (10).")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Compare systems on the same items: report.json, report.md, report.html.

    Example: ta-eval compare runs/base runs/tuned --forgetting runs/base-general
    --forgetting runs/tuned-general --out runs/report
    """
    from ta_eval.compare import compare as compare_predictions
    from ta_eval.config import CompareConfig

    settings = CompareConfig.load(
        config, title=title, resamples=resamples, seed=seed, side_by_side=side_by_side
    )
    item_sets = {"benchmark": predictions} | ({"forgetting check": forgetting} if forgetting else {})
    artifact = compare_predictions(settings, item_sets, out, replace=force)
    if as_json:
        report = json.loads(artifact.file("report.json").read_text(encoding="utf-8"))
        _print_json({"out": str(out), "digest": artifact.digest, **report})
        return
    for line in artifact.manifest.metrics["headlines"]:
        typer.echo(line)
    typer.echo(str(out / "report.html"))


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


def main() -> None:
    """Entry point of `ta-eval`."""
    exit_with_one_line(app)
