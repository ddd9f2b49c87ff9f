"""`tunedassist lineage`: from the documents to the artifact, every file hashed again."""

import json
from pathlib import Path
from typing import Annotated

import typer


def lineage_command(
    artifact: Annotated[Path, typer.Argument(help="A sealed artifact: a release, an adapter, a report.")],
    within: Annotated[
        Path | None, typer.Option(help="Where its origins lie. Default: the `runs` folder it lies in.")
    ] = None,
    domain: Annotated[
        str, typer.Option(help="The domain's folder or name, to check the documents. Default: below ./data.")
    ] = "",
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Show what an artifact was made from, down to the documents, and whether all of it is as it was sealed.

    Exit code 4: something was changed after it was sealed; the file is named.

    Example: `tunedassist lineage runs/linux-cli/adapter`

    Example: `tunedassist lineage runs/linux-cli/adapter --svg lineage.svg`
    """
    from rich.console import Console

    from ta_schemas import ArtifactError
    from tunedassist_cli.lineage.graph import trace
    from tunedassist_cli.lineage.tree import as_dict, tree_lines
    from tunedassist_cli.pipeline import find_domain

    folder = find_domain(domain) if domain else None
    found = trace(artifact, within=within or _runs_above(artifact), domain=folder)
    if svg:
        from tunedassist_cli.lineage.picture import draw

        svg.write_text(draw(found), encoding="utf-8")
    if as_json:
        print(json.dumps(as_dict(found), ensure_ascii=False))
    else:
        console = Console(soft_wrap=True, highlight=False)
        for line in tree_lines(found):
            console.print(line)
    if found.tampered:
        others = f" (and {len(found.tampered) - 1} more)" if len(found.tampered) > 1 else ""
        raise ArtifactError(f"{found.tampered[0].problem}{others}")


def _runs_above(artifact: Path) -> Path:
    """The nearest folder called `runs`; without one the folder beside the artifact."""
    absolute = artifact.absolute()
    return next((place for place in absolute.parents if place.name == "runs"), absolute.parent)
