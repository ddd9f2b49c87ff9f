"""Options that the training commands share."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Where the adapter artifact is sealed.")]
Recipe = Annotated[str, typer.Option(help="A shipped recipe (see `ta-train recipes`) or a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe; may be repeated."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run at --out.")]
Force = Annotated[
    bool, typer.Option("--force", help="Replace what stands at --out; discard an unfinished run.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
