"""`ta-train sweep`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ta_train.sweep.report import Trial

app = typer.Typer()


@app.command("sweep")
def sweep_command(
    dataset: Annotated[Path, typer.Argument(help="A dataset artifact, as `ta-data prepare` seals it.")],
    over: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=V,V,…",
            help="Values of a key; repeated: every combination. With --trials also LOW..HIGH.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the adapters, one a trial, and the table and plot.")],
    recipe: Annotated[
        str, typer.Option(help="A shipped recipe (see `ta-train recipes`) or a YAML file.")
    ] = "cpu-smollm2",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key for all trials; may be repeated."),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=0, help="Let Optuna draw this many settings; 0: train every combination.")
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace adapters of another configuration.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Train a recipe under many settings; loss, time and memory of each in a table and a plot.

    Example: `ta-train sweep runs/linux-cli/dataset --over lora_rank=4,8,16,32 --out runs/ranks`

    Ctrl-C, then the same command: finished trials are kept, the unfinished one goes on.
    """
    from ta_train.sweep.sweep import sweep

    found = sweep(recipe, over, dataset, out, overrides=overrides or [], trials=trials, replace=force)
    show(found, out, as_json=as_json)


def show(found: "list[Trial]", out: Path, *, as_json: bool) -> None:
    """Print a finished sweep."""
    from ta_train.sweep.report import table

    if as_json:
        print(json.dumps(json.loads((out / "sweep.json").read_text(encoding="utf-8"))))
        return
    header, rows = table(found)
    shown = Table(*header)
    for row in rows:
        shown.add_row(*row)
    console = Console()
    console.print(shown)
    console.print(f"table: {out / 'sweep.md'}\nplot:  {out / 'sweep.png'}", soft_wrap=True)
