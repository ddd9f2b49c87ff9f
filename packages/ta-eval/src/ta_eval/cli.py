"""`ta-eval`: plan, run, score and compare evaluations.

ta-eval plan benchmark.jsonl
ta-eval run benchmark.jsonl --base-url http://127.0.0.1:8080/v1 --model smollm2 --out runs/base
ta-eval compare runs/base runs/tuned --out runs/report
"""

import json
import os
from typing import Annotated, Any

import typer

from ta_eval import (
    cli_ab,
    cli_agree,
    cli_compare,
    cli_equivalent,
    cli_harness,
    cli_judge,
    cli_rag,
    cli_rank,
    cli_run,
    cli_verify,
)
from ta_eval.options import Benchmark, Domain, Json
from ta_schemas.errors import exit_with_one_line

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def about() -> None:
    """Is the tuned model better, by how much, and how sure are we?"""


@app.command()
def plan(
    benchmark: Benchmark,
    effect: Annotated[
        float, typer.Option(min=0.1, max=100, help="Difference in points to find: how many items does it take?")
    ] = 5.0,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Check a benchmark and say what it can show, before any model is asked.

    Example: ta-eval plan data/linux-cli/benchmark.jsonl --effect 8
    """
    from ta_eval.benchmark import read_benchmark
    from ta_eval.stats import DISCORDANT_SHARES, minimum_detectable_effect, sample_size

    items = read_benchmark(benchmark, domain=domain)
    n = len(items.rows)
    effects = {str(share): minimum_detectable_effect(n, share) for share in DISCORDANT_SHARES}
    needed = {str(share): sample_size(effect / 100, share) for share in DISCORDANT_SHARES}
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
                "items_needed": needed,
            }
        )
        return
    for heading, counts in (("category", items.categories), ("scorer", scorers)):
        typer.echo(f"{heading:<24}items")
        for name, count in counts.items():
            typer.echo(f"{name:<24}{count:>5}")
        typer.echo(f"{'all':<24}{n:>5}\n")
    counts_told = " / ".join(str(count) for count in needed.values())
    shares_told = " / ".join(f"{100 * share:.0f}" for share in DISCORDANT_SHARES)
    typer.echo(f"to find {effect:g} points: {counts_told} items when two systems disagree on {shares_told} %\n")
    typer.echo("smallest difference that is found with 80 % power (two-sided 5 %, paired):")
    typer.echo("items two systems disagree on   points")
    for share in DISCORDANT_SHARES:
        effect = minimum_detectable_effect(n, share)
        told = f"{100 * effect:6.1f}" if effect <= share else "none can be found: too few items"
        typer.echo(f"{100 * share:>27.0f} %   {told}")


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


app.add_typer(cli_run.app)
app.add_typer(cli_equivalent.app)
app.add_typer(cli_harness.app, name="harness")
app.add_typer(cli_agree.app)
app.add_typer(cli_ab.app, name="ab")
app.add_typer(cli_compare.app)
app.add_typer(cli_verify.app)
app.add_typer(cli_judge.app, name="judge")
app.add_typer(cli_rag.app)
app.add_typer(cli_rank.app)


def main() -> None:
    """Entry point of `ta-eval`."""
    # pydantic would look for plugins in the metadata of every installed package: a tenth of a short command.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    exit_with_one_line(app)
