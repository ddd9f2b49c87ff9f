"""`ta-eval verify`: is every number of a report what the sealed answers give?"""

import json
from pathlib import Path
from typing import Annotated

import typer

from ta_eval.options import Domain, Json

app = typer.Typer()


@app.command()
def verify(
    report: Annotated[Path, typer.Argument(help="Directory that ta-eval compare wrote.")],
    folders: Annotated[
        list[Path] | None,
        typer.Option("--in", help="Where the predictions lie; the report's parent folder unless given."),
    ] = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Score the sealed answers again and make the report again; exit 6 where a number differs.

    Example: ta-eval verify runs/report --in runs
    """
    from ta_eval.verify import SHOWN
    from ta_eval.verify import verify as verify_report
    from ta_schemas.errors import GateError

    parts = verify_report(report, folders or (), domain=domain)
    wrong = sum(len(part.differences) for part in parts)
    if as_json:
        typer.echo(json.dumps({"equal": not wrong, "parts": [part._asdict() for part in parts]}, indent=2))
    else:
        for part in parts:
            told = f"{len(part.differences)} differ" if part.differences else "equal"
            typer.echo(f"{part.name}: {part.values} recomputed, {told}")
            for difference in part.differences[:SHOWN]:
                typer.echo(f"    {difference}")
            if part.left_out:
                typer.echo(f"    left out: {part.left_out}")
    if wrong:
        raise GateError(f"{report}: {wrong} values are not what the sealed predictions give")
