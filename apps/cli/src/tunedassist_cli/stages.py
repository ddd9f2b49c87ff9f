"""The stages: listed without loading them, loaded when one of their commands is asked for."""

import importlib
from typing import Any, NamedTuple

from typer.core import TyperGroup
from typer.main import get_command


class Stage(NamedTuple):
    """A package whose command line is mounted."""

    package: str
    help: str


STAGES = {
    "data": Stage("ta_data", "Collect, check and split the data: tunedassist data prepare data/linux-cli"),
    "train": Stage("ta_train", "Tune a base model: tunedassist train sft runs/linux-cli/dataset --out …"),
    "eval": Stage("ta_eval", "Measure and compare: tunedassist eval compare runs/base runs/tuned --out …"),
    "safety": Stage("ta_safety", "Guard and attack: tunedassist safety shell --text 'rm -rf /'"),
    "serve": Stage("ta_serve", "Answer messages, export: tunedassist serve chat runs/linux-cli/adapter"),
}

REGISTRY_HELP = "Name, promote and roll back releases: tunedassist registry promote linux-cli"


class LazyStages(TyperGroup):
    """A group whose stages stand as stubs in the help and become the real thing when called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the stage that is called, or completed by the shell; everything else as usual."""
        if args and args[0] in STAGES:
            return args[0], load_stage(args[0]), args[1:]
        if args and args[0] == "registry":
            from tunedassist_cli.release.registry_cli import registry_app

            return args[0], registry_app(), args[1:]
        return super().resolve_command(ctx, args)


def load_stage(name: str) -> Any:
    """The command of a stage. Raises SetupError with the install line where it is not installed."""
    package = STAGES[name].package
    try:
        module = importlib.import_module(f"{package}.cli")
    except ModuleNotFoundError as error:
        raise missing(name, error) from None
    return get_command(module.app)


def missing(name: str, error: ModuleNotFoundError) -> Exception:
    """The SetupError for a stage that is not installed, or not whole; another missing module is a bug."""
    from ta_schemas.errors import SetupError

    absent = (error.name or "").partition(".")[0]
    if absent.startswith("tunedassist"):
        return error
    why = "" if absent == STAGES[name].package else f" ({absent} is missing)"
    return SetupError(f"the stage {name!r} is not installed{why}: install tunedassist-cli[{name}]")
