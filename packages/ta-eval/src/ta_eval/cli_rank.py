"""`ta-eval rank`: many systems in pairs."""

from pathlib import Path
from typing import Annotated

import typer

from ta_eval.options import Json

app = typer.Typer()


@app.command()
def rank(
    battles: Annotated[
        Path, typer.Argument(help="JSON lines: first, second, winner (first, second, tie), item; - for stdin.")
    ] = Path("-"),
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples of the items.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    as_json: Json = False,
) -> None:
    """Rank many systems from comparisons in pairs: Bradley-Terry strengths with 95 % intervals.

    Example: ta-eval rank battles.jsonl
    """
    import json

    from ta_eval.rank import rank as rank_systems
    from ta_eval.rank import read_battles

    found = rank_systems(read_battles(battles), resamples=resamples, seed=seed)
    if as_json:
        plain = [
            {**one._asdict(), "win_rate": one.win_rate.model_dump(), "strength": one.strength.model_dump()}
            for one in found
        ]
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{'':<24}strength   95 % interval      win rate   comparisons")
    for one in found:
        limits = f"{one.strength.low:.2f} to {one.strength.high:.2f}"
        share = f"{100 * one.win_rate.estimate:.0f} %"
        typer.echo(f"{one.name:<24}{one.strength.estimate:8.2f}   {limits:<16}{share:>11}{one.battles:>14}")
