"""`ta-train`: tune a base model on a sealed dataset."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import ta_train.estimate.cli
import ta_train.launch.cli
import ta_train.merge.cli
import ta_train.preference.cli
import ta_train.registry.cli
import ta_train.rl.cli
import ta_train.sweep.cli
from ta_schemas.errors import InputError, exit_with_one_line

app = typer.Typer(
    help="Tune a base model on a sealed dataset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


@app.command("sft")
def sft_command(
    dataset: Annotated[Path, typer.Argument(help="A dataset artifact, as `ta-data prepare` seals it.")],
    out: Annotated[Path, typer.Option(help="Where the adapter artifact is sealed.")],
    recipe: Annotated[
        str, typer.Option(help="A shipped recipe (see `ta-train recipes`) or a YAML file.")
    ] = "cpu-smollm2",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe; may be repeated."),
    ] = None,
    base_model: Annotated[
        str | None, typer.Option(help="Short for --set base_model=…: a name, folder, .gguf file or hub id.")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Short for --set max_steps=…")] = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set seed=…")] = None,
    backend: Annotated[
        str | None, typer.Option(help="Short for --set backend=…: trl, or unsloth on a GPU.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run at --out.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what stands at --out; discard an unfinished run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Supervised fine-tuning with LoRA: only what the assistant says is trained.

    Example: `ta-train sft runs/linux-cli/dataset --out runs/linux-cli/adapter --set lora_rank=8`

    Ctrl-C saves a checkpoint; the same command with `--resume` goes on to the same final loss.
    """
    from ta_train.config import SftConfig
    from ta_train.recipe import load_recipe
    from ta_train.sft import sft

    short = {"base_model": base_model, "max_steps": max_steps, "seed": seed, "backend": backend}
    given = [f"{key}={value}" for key, value in short.items() if value is not None]
    config = load_recipe(recipe, SftConfig, [*(overrides or []), *given])
    adapter = sft(config, dataset, out, resume=resume, replace=force)
    metrics = adapter.manifest.metrics
    if as_json:
        print(json.dumps({"path": str(adapter.path), "digest": adapter.digest, "metrics": metrics}))
        return
    console = Console()
    console.print(
        f"{metrics['steps']} steps, {metrics['tokens']:.0f} tokens at {metrics['tokens_per_s']:.0f} tokens/s; "
        f"validation loss {metrics['validation_loss_before']:.3f} → {metrics['validation_loss']:.3f}"
    )
    console.print(metrics["fit"])
    console.print(
        f"{adapter.manifest.kind + ':':<9}{adapter.path}\ncurves:  {adapter.path / 'logs' / 'curves.png'}"
    )


@app.command("recipes")
def recipes_command(as_json: Json = False) -> None:
    """List the shipped recipes and what they are for.

    Example: `ta-train recipes`
    """
    from ta_train.recipe import load_recipe, recipe_method, recipe_names

    recipes = {name: load_recipe(name, recipe_method(name)) for name in recipe_names()}
    if as_json:
        print(json.dumps({name: recipe.model_dump() for name, recipe in recipes.items()}))
        return
    table = Table("recipe", "method", "base model", "what it is for")
    for name, recipe in recipes.items():
        table.add_row(name, recipe.method, recipe.base_model, recipe.description)
    Console().print(table)


@app.command("keys")
def keys_command(
    method: Annotated[str, typer.Argument(help="A method, as `ta-train recipes` names them.")] = "sft",
    as_json: Json = False,
) -> None:
    """List the keys of a method's recipes with their defaults and meaning.

    Example: `ta-train keys dpo`
    """
    from ta_train.recipe import CONFIGS

    if method not in CONFIGS:
        raise InputError(f"unknown method {method!r}: choose one of {', '.join(CONFIGS)}")
    fields = {
        key: (_shown(field.get_default(call_default_factory=True)), field.description or "")
        for key, field in CONFIGS[method].model_fields.items()
    }
    if as_json:
        named = {key: {"default": default, "meaning": meaning} for key, (default, meaning) in fields.items()}
        print(json.dumps(named))
        return
    table = Table("key", "default", "meaning")
    for key, (default, meaning) in fields.items():
        table.add_row(key, default, meaning)
    Console().print(table)


def _shown(value: Any) -> str:
    """A default as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else "" if value == {} else str(value)


@app.command("base-model")
def base_model_command(
    name: Annotated[str, typer.Argument(help="A name, folder, .gguf file or hub id.")],
    as_json: Json = False,
) -> None:
    """Find a base model, converting it once if it is a GGUF file, and print its folder and digest.

    Example: `ta-train base-model smollm2-135m-instruct`
    """
    from ta_train.models.base_model import resolve

    base = resolve(name)
    if as_json:
        print(json.dumps({"name": base.name, "path": str(base.path), "digest": base.digest}))
    else:
        print(f"{base.name}\n{base.path}\n{base.digest}")


app.add_typer(ta_train.estimate.cli.app)
app.add_typer(ta_train.launch.cli.app)
app.add_typer(ta_train.merge.cli.app)
app.add_typer(ta_train.registry.cli.app, name="registry")
app.add_typer(ta_train.sweep.cli.app)
app.add_typer(ta_train.preference.cli.app)
app.add_typer(ta_train.rl.cli.app)


def main() -> None:
    """Entry point."""
    exit_with_one_line(app)
