"""`tunedassist registry`: ta-train's registry, and who is the champion of a domain."""

import json
from typing import Annotated, Any

import typer
from typer.main import get_command

from tunedassist_cli.release.cli import REGISTRY, Json, RegistryFile

Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="The domain's name, such as linux-cli.")]


def registry_app() -> Any:
    """The command group of ta-train with `promote` and `rollback`. SetupError without ta-train."""
    from tunedassist_cli.pipeline import installed

    with installed("train"):
        from ta_train.registry.cli import app as stage

    app = typer.Typer(
        help=stage.info.help, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown"
    )
    app.registered_commands = [*stage.registered_commands]
    app.command("promote")(promote_command)
    app.command("rollback")(rollback_command)
    return get_command(app)


def promote_command(
    domain: Domain,
    ref: Annotated[
        str, typer.Argument(help="A release by name, alias or digest. Default: the candidate.")
    ] = "",
    registry: RegistryFile = REGISTRY,
    as_json: Json = False,
) -> None:
    """Make the candidate of a domain its champion, after hashing its files.

    Example: `tunedassist registry promote linux-cli`
    """
    from tunedassist_cli.release.champion import promote

    _print(promote(domain, ref=ref, registry=registry), as_json=as_json)


def rollback_command(domain: Domain, registry: RegistryFile = REGISTRY, as_json: Json = False) -> None:
    """Make the champion before the present one champion again.

    Example: `tunedassist registry rollback linux-cli`
    """
    from tunedassist_cli.release.champion import roll_back

    _print(roll_back(domain, registry=registry), as_json=as_json)


def _print(change: Any, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(change._asdict()))
    else:
        print(f"champion: {change.champion}" + (f" (was {change.before})" if change.before else ""))
