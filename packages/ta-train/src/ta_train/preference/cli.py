"""`ta-train dpo`, `ta-train orpo` and `ta-train kto`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ta_train.options import Force, Json, Out, Overrides, Recipe, Resume

if TYPE_CHECKING:
    from ta_schemas import Artifact

app = typer.Typer()

Preferences = Annotated[
    Path, typer.Argument(help="A preferences artifact: rows of prompt, chosen and rejected answer.")
]
Adapter = Annotated[
    Path | None, typer.Option(help="The adapter to start from. Default: a fresh one over the base model.")
]


@app.command("dpo")
def dpo_command(
    preferences: Preferences,
    out: Out,
    adapter: Adapter = None,
    recipe: Recipe = "cpu-smollm2-dpo",
    overrides: Overrides = None,
    resume: Resume = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Direct preference optimization: the tuned model learns which of two answers is better.

    Example: `ta-train dpo runs/linux-cli/preferences --adapter runs/linux-cli/adapter --out runs/linux-cli/dpo`

    Other losses: `--set loss=ipo`, `hinge` or `simpo`.
    """
    from ta_train.preference.config import DpoConfig
    from ta_train.preference.preference import prefer
    from ta_train.recipe import load_recipe

    config = load_recipe(recipe, DpoConfig, overrides)
    _show(prefer(config, preferences, out, adapter=adapter, resume=resume, replace=force), as_json)


@app.command("orpo")
def orpo_command(
    preferences: Preferences,
    out: Out,
    adapter: Adapter = None,
    recipe: Recipe = "cpu-smollm2-orpo",
    overrides: Overrides = None,
    resume: Resume = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Odds ratio preference optimization: fine-tuning and preferences in one run, from the base model.

    Example: `ta-train orpo runs/linux-cli/preferences --out runs/linux-cli/orpo`
    """
    from ta_train.preference.config import OrpoConfig
    from ta_train.preference.preference import prefer
    from ta_train.recipe import load_recipe

    config = load_recipe(recipe, OrpoConfig, overrides)
    _show(prefer(config, preferences, out, adapter=adapter, resume=resume, replace=force), as_json)


@app.command("kto")
def kto_command(
    preferences: Preferences,
    out: Out,
    adapter: Adapter = None,
    recipe: Recipe = "cpu-smollm2-kto",
    overrides: Overrides = None,
    resume: Resume = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Kahneman-Tversky optimization: every answer is judged by itself as desirable or not.

    Example: `ta-train kto runs/linux-cli/preferences --adapter runs/linux-cli/adapter --out runs/linux-cli/kto`
    """
    from ta_train.preference.config import KtoConfig
    from ta_train.preference.preference import prefer
    from ta_train.recipe import load_recipe

    config = load_recipe(recipe, KtoConfig, overrides)
    _show(prefer(config, preferences, out, adapter=adapter, resume=resume, replace=force), as_json)


def _show(adapter: "Artifact", as_json: bool) -> None:
    metrics = adapter.manifest.metrics
    if as_json:
        print(json.dumps({"path": str(adapter.path), "digest": adapter.digest, "metrics": metrics}))
        return
    console = Console()
    console.print(
        f"{metrics['steps']} steps, {metrics['tokens']:.0f} tokens at {metrics['tokens_per_s']:.0f} tokens/s; "
        f"validation loss {metrics['validation_loss_before']:.3f} → {metrics['validation_loss']:.3f}\n"
        f"validation pairs: reward margin {metrics['reward_margin_before']:.2f} → "
        f"{metrics['reward_margin']:.2f}, the chosen answer ahead in "
        f"{metrics['reward_accuracy_before']:.0%} → {metrics['reward_accuracy']:.0%}"
    )
    console.print(metrics["fit"])
    console.print(f"adapter: {adapter.path}\ncurves:  {adapter.path / 'logs' / 'curves.png'}")
