"""`ta-train reward`, `ta-train ppo`, `ta-train grpo` and `ta-train distill`."""

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console

from ta_schemas.errors import InputError
from ta_train.options import Force, Json, Out, Overrides, Recipe, Resume

if TYPE_CHECKING:
    from ta_schemas import Artifact
    from ta_train.rl.rollout import Reward

app = typer.Typer()

Dataset = Annotated[
    Path, typer.Argument(help="A dataset artifact: its questions are answered, its answers are the references.")
]
Judge = Annotated[
    str,
    typer.Option(
        "--reward",
        metavar="MODULE:FUNCTION|FOLDER",
        help="A function of yours, found from the current folder too, or a reward model's artifact.",
    ),
]
Adapter = Annotated[
    Path | None, typer.Option(help="The adapter to go on with. Default: a fresh one over the base model.")
]


@app.command("reward")
def reward_command(
    preferences: Annotated[
        Path, typer.Argument(help="A preferences artifact: rows of prompt, chosen and rejected answer.")
    ],
    out: Out,
    recipe: Recipe = "cpu-smollm2-reward",
    overrides: Overrides = None,
    resume: Resume = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train a reward model: it learns to score the better of two answers higher.

    Example: `ta-train reward runs/linux-cli/preferences --out runs/linux-cli/reward`
    """
    from ta_train.recipe import load_recipe
    from ta_train.rl.config import RewardConfig
    from ta_train.rl.reward import reward

    config = load_recipe(recipe, RewardConfig, overrides)
    made = reward(config, preferences, out, resume=resume, replace=force)
    _show(made, "validation pairs in order", "pair_accuracy", as_json)


@app.command("ppo")
def ppo_command(
    dataset: Dataset,
    out: Out,
    reward: Judge,
    adapter: Adapter = None,
    recipe: Recipe = "cpu-smollm2-ppo",
    overrides: Overrides = None,
    resume: Resume = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Proximal policy optimization: answers that earn more reward, not far from where it began.

    Example: `ta-train ppo runs/linux-cli/dataset --adapter runs/linux-cli/adapter --reward
    runs/linux-cli/reward --out runs/linux-cli/ppo`

    Your own function is called as `function(prompts, answers, references)` and gives a number an answer.
    """
    from ta_train.recipe import load_recipe
    from ta_train.rl.config import PpoConfig
    from ta_train.rl.ppo import ppo

    config = load_recipe(recipe, PpoConfig, overrides)
    made = ppo(config, dataset, out, reward=find_reward(reward), adapter=adapter, resume=resume, replace=force)
    _show(made, "validation reward", "validation_reward", as_json)


@app.command("grpo")
def grpo_command(
    dataset: Dataset,
    out: Out,
    reward: Judge,
    adapter: Adapter = None,
    recipe: Recipe = "cpu-smollm2-grpo",
    overrides: Overrides = None,
    resume: Resume = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Group relative policy optimization: several answers to each question judge one another.

    Example: `ta-train grpo runs/linux-cli/dataset --adapter runs/linux-cli/adapter --reward
    rewards:same_command --out runs/linux-cli/grpo`

    `--set advantage=leave-one-out` is RLOO. Your own function is called as `function(prompts, answers,
    references)` and gives a number an answer.
    """
    from ta_train.recipe import load_recipe
    from ta_train.rl.config import GrpoConfig
    from ta_train.rl.grpo import grpo

    config = load_recipe(recipe, GrpoConfig, overrides)
    made = grpo(config, dataset, out, reward=find_reward(reward), adapter=adapter, resume=resume, replace=force)
    _show(made, "validation reward", "validation_reward", as_json)


@app.command("distill")
def distill_command(
    dataset: Dataset,
    out: Out,
    teacher: Annotated[
        str | None,
        typer.Option(help="Short for --set teacher=…: a model folder or artifact, .gguf file or hub id."),
    ] = None,
    adapter: Adapter = None,
    recipe: Recipe = "cpu-smollm2-distill",
    overrides: Overrides = None,
    resume: Resume = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """On-policy distillation: the student answers, and learns how a teacher would have gone on at each token.

    Example: `ta-train distill runs/linux-cli/dataset --teacher runs/linux-cli/model --out
    runs/linux-cli/student`
    """
    from ta_train.recipe import load_recipe
    from ta_train.rl.config import DistillConfig
    from ta_train.rl.distill import distill

    given = [f"teacher={teacher}"] if teacher else []
    config = load_recipe(recipe, DistillConfig, [*(overrides or []), *given])
    made = distill(config, dataset, out, adapter=adapter, resume=resume, replace=force)
    _show(made, "divergence from the teacher in nats a token", "divergence", as_json)


def find_reward(name: str) -> "Reward":
    """The reward that a command line names. Raises InputError."""
    if Path(name).is_dir():
        from ta_train.rl.reward_model import load_reward

        return load_reward(Path(name))
    module_name, colon, function_name = name.partition(":")
    if not colon:
        raise InputError(f"--reward {name}: no such folder; for a function of yours write module:function")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a console script does not look there by itself
    try:
        function: Any = importlib.import_module(module_name)
        for part in function_name.split("."):
            function = getattr(function, part)
    except (ModuleNotFoundError, AttributeError) as error:
        raise InputError(f"--reward {name}: {error}") from None
    if not callable(function):
        raise InputError(f"--reward {name}: is no function")
    return cast("Reward", function)


def _show(made: "Artifact", what: str, key: str, as_json: bool) -> None:
    metrics = made.manifest.metrics
    if as_json:
        print(json.dumps({"path": str(made.path), "digest": made.digest, "metrics": metrics}))
        return
    console = Console()
    console.print(
        f"{metrics['steps']} steps, {metrics['tokens']:.0f} tokens at {metrics['tokens_per_s']:.0f} tokens/s; "
        f"{what} {metrics[f'{key}_before']:.3f} → {metrics[key]:.3f}"
    )
    console.print(f"adapter: {made.path}\ncurves:  {made.path / 'logs' / 'curves.png'}")
