"""`ta-train estimate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ta_train.config import TrainConfig
    from ta_train.estimate.estimate import Estimate

app = typer.Typer()


@app.command("estimate")
def estimate_command(
    data: Annotated[
        Path, typer.Argument(help="A dataset artifact; for dpo, orpo and kto a preferences artifact.")
    ],
    recipe: Annotated[
        str, typer.Option(help="A shipped recipe (see `ta-train recipes`) or a YAML file.")
    ] = "cpu-smollm2",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe; may be repeated."),
    ] = None,
    adapter: Annotated[Path | None, typer.Option(help="The adapter a preference run starts from.")] = None,
    with_probe: Annotated[
        bool, typer.Option("--probe", help="Train 20 steps first: this machine's speed and memory.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Memory by part and time of a run, before it is started.

    Example: `ta-train estimate runs/linux-cli/dataset --set batch_size=16`

    For a GPU that this machine has not: `--recipe gpu-qlora-8b --set device=cuda`.
    """
    from ta_train.estimate.estimate import corrected, estimate
    from ta_train.estimate.probe import probe
    from ta_train.recipe import load_recipe

    config = load_recipe(recipe, _kind(recipe), overrides)
    found = estimate(config, data, adapter=adapter)
    if with_probe:
        Console(stderr=True).print("training the first steps …")
        found = corrected(found, probe(config, data, adapter=adapter))
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        _show(found)


def _kind(recipe: str) -> "type[TrainConfig]":
    """The configuration class of a recipe; of one that cannot be read the default, and reading says why."""
    from yaml import YAMLError

    from ta_train.config import SftConfig
    from ta_train.recipe import recipe_method

    try:
        return recipe_method(recipe)
    except (YAMLError, AttributeError, KeyError):
        return SftConfig


def _show(found: "Estimate") -> None:
    from ta_train.estimate.check import refusal, sentence

    table = Table("memory", "MB")
    for part, size in found.memory._asdict().items():
        if size:
            table.add_row(part.replace("_", " "), f"{size / 1e6:,.0f}")
    console = Console()
    console.print(table)
    batch = found.batch
    console.print(
        f"largest forward pass: {batch.rows} rows, the longest of {batch.length} tokens; "
        f"{found.work.steps} steps in all"
    )
    if found.shape.fast:
        console.print(
            f"{batch.nodes} of its {batch.tokens} tokens are computed: rows share what they begin with"
        )
    console.print(f"about {sentence(found)}")
    if not found.measured:
        console.print("not compared with measured peaks: the formula was, in float32 on a CPU")
    if not found.fits:
        console.print(refusal(found))
