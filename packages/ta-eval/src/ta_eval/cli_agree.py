"""`ta-eval agree`: do raters agree beyond chance?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ta_eval.options import Json

if TYPE_CHECKING:
    from ta_schemas.reports import Interval

app = typer.Typer()


@app.command()
def agree(
    ratings: Annotated[
        Path, typer.Argument(help="CSV with a header or JSON lines: item, rater, label; - for stdin.")
    ] = Path("-"),
    level: Annotated[
        str, typer.Option(help="How far labels differ, for Krippendorff: nominal, ordinal or interval.")
    ] = "nominal",
    as_json: Json = False,
) -> None:
    """Agreement, Cohen's and Fleiss' kappa and Krippendorff's alpha, with 95 % intervals.

    Example: ta-eval agree ratings.csv --level ordinal
    """
    import json

    from ta_eval.agree import agree as agreement_of
    from ta_eval.agree import as_plain, read_ratings
    from ta_schemas import InputError

    if level not in ("nominal", "ordinal", "interval"):
        raise InputError(f"--level {level!r}: expected 'nominal', 'ordinal' or 'interval'")
    found = agreement_of(read_ratings(ratings), level=level)  # type: ignore[arg-type]
    if as_json:
        typer.echo(json.dumps(as_plain(found), indent=2, ensure_ascii=False))
        return
    counts = ", ".join(f"{label}: {count}" for label, count in found.labels.items())
    typer.echo(f"{found.items} items, {found.rated_twice} of them rated twice or more, {found.ratings} ratings")
    typer.echo(f"labels   {counts}\n")
    typer.echo(f"{'':<34}estimate   95 % interval")
    for name, interval in (
        ("agreement", found.agreement),
        ("Fleiss' kappa", found.fleiss),
        (f"Krippendorff's alpha, {level}", found.krippendorff),
    ):
        typer.echo(_line(name, interval))
    for pair in found.cohen:
        typer.echo(_line(f"Cohen's kappa, {pair.first} and {pair.second}", pair.kappa) + f"  n = {pair.items}")


def _line(name: str, interval: "Interval") -> str:
    if "undefined" in interval.method:
        return f"{name:<34}undefined: one label only, or fewer than two items"
    return f"{name:<34}{interval.estimate:8.3f}   {interval.low:.3f} to {interval.high:.3f}"
