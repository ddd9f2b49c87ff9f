"""`ta-train registry`: names, aliases, lineage and scores of what was made."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from ta_schemas.errors import ArtifactError, InputError

if TYPE_CHECKING:
    from ta_train.registry.entry import Entry
    from ta_train.registry.registry import Registry

app = typer.Typer(
    help="Name adapters and models, know where they come from and how they did, share them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

RUNS = Path("runs/registry.sqlite")
"""Beside the artifacts it names: they move together, and another project has its own."""

File = Annotated[
    Path, typer.Option("--registry", help="The registry's SQLite file; it stands beside what it names.")
]
Ref = Annotated[str, typer.Argument(help="A name, an alias, or the first digits of a digest.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


@app.command("add")
def add_command(
    artifact: Annotated[Path, typer.Argument(help="A sealed artifact, such as an adapter.")],
    name: Annotated[str, typer.Option(help="What to call it. Default: the last two parts of its path.")] = "",
    report: Annotated[
        list[Path] | None, typer.Option(help="An eval-report with its scores; may be repeated.")
    ] = None,
    system: Annotated[
        str, typer.Option(help="Which system of the report it is, where the predictions are gone.")
    ] = "",
    alias: Annotated[str, typer.Option(help="An alias to give it, such as champion.")] = "",
    registry: File = RUNS,
    as_json: Json = False,
) -> None:
    """Add an artifact, or what has become known of it: a name, a report, a new place.

    Example: `ta-train registry add runs/linux-cli/adapter --report runs/linux-cli/eval-report --alias champion`
    """
    entry = _open(registry).add(artifact, name=name, reports=report or [], system=system, alias=alias)
    if as_json:
        print(json.dumps(entry.as_json()))
    else:
        print(f"{entry.name}: {entry.kind} {entry.digest[:19]}, {_scores(entry) or 'no scores'}")


@app.command("list")
def list_command(
    kind: Annotated[str, typer.Option(help="Only this kind, such as adapter.")] = "",
    registry: File = RUNS,
    as_json: Json = False,
) -> None:
    """List everything that was added.

    Example: `ta-train registry list`
    """
    opened = _open(registry)
    entries = [entry for entry in opened.entries() if kind in ("", entry.kind)]
    if as_json:
        print(json.dumps([entry.as_json() for entry in entries]))
        return
    table = Table(Column("name", no_wrap=True), "alias", "kind", "base model", "data", "scores", "added")
    for entry in entries:
        data = [
            a.name or a.digest[7:19] for a in opened.ancestors(entry) if a.kind in ("dataset", "preferences")
        ]
        table.add_row(
            entry.name,
            ", ".join(entry.aliases),
            entry.kind if entry.path.exists() else f"{entry.kind} (gone)",
            str(entry.manifest.config.get("base_model", "")),
            ", ".join(dict.fromkeys(data)),
            _scores(entry),
            entry.added_at[:10],
        )
    Console().print(table)


@app.command("show")
def show_command(ref: Ref, registry: File = RUNS, as_json: Json = False) -> None:
    """Show an entry: where it is, what it was made from and with, what was made from it, how it did.

    Example: `ta-train registry show champion`
    """
    opened = _open(registry)
    entry = opened.find(ref)
    ancestors, children = opened.ancestors(entry), opened.children(entry)
    if as_json:
        lineage = {"ancestors": [a._asdict() for a in ancestors], "children": children}
        print(json.dumps(entry.as_json() | lineage))
        return
    print(f"{entry.name}  ({entry.kind})  {', '.join(entry.aliases)}\n{entry.digest}\n{entry.path}")
    print(f"made {entry.manifest.created_at.date()} by {entry.manifest.producer}, added {entry.added_at[:10]}")
    print("\nmade from")
    for ancestor in ancestors:
        print(
            f"{'  ' * ancestor.depth}{ancestor.kind} {ancestor.name or ancestor.digest[:19] + ' (not added)'}"
        )
    if children:
        print("\nmade from it\n  " + "\n  ".join(children))
    for title, values in (("metrics", entry.manifest.metrics), ("configuration", entry.manifest.config)):
        print(f"\n{title}\n{json.dumps(values, indent=2, ensure_ascii=False)}")
    for score in entry.scores:
        print(
            f"\n{score.item_set}: {score.estimate:.1%} (95 % interval {score.low:.1%} to {score.high:.1%}, "
            f"n = {score.items}, report {score.report[7:19]})"
        )


@app.command("compare")
def compare_command(
    refs: Annotated[list[str], typer.Argument(help="Two or more names, aliases or digests.")],
    registry: File = RUNS,
    as_json: Json = False,
) -> None:
    """Lay entries side by side: the settings that differ, the numbers of their runs, their scores.

    It gives no verdict: whether one is better is a paired question, and `ta-eval compare` answers it.

    Example: `ta-train registry compare champion linux-cli/adapter`
    """
    from ta_train.registry.comparison import compare

    if len(refs) < 2:
        raise InputError("registry compare: name at least two entries")
    opened = _open(registry)
    found = compare([opened.find(ref) for ref in refs])
    if as_json:
        scores = {key: [s and s._asdict() for s in row] for key, row in found.scores.items()}
        print(json.dumps(found._asdict() | {"scores": scores}))
        return
    table = Table("", *found.names)
    for key, values in found.settings.items():
        table.add_row(key, *("" if value is None else str(value) for value in values))
    table.add_section()
    for key, numbers in found.metrics.items():
        table.add_row(key, *("" if number is None else f"{number:.5g}" for number in numbers))
    table.add_section()
    for key, row in found.scores.items():
        table.add_row(
            key, *(f"{s.estimate:.1%} ({s.low:.1%} to {s.high:.1%}, n = {s.items})" if s else "" for s in row)
        )
    Console().print(table)


@app.command("alias")
def alias_command(
    alias: Annotated[str, typer.Argument(help="Such as champion.")],
    ref: Annotated[str, typer.Argument(help="What it stands for from now on.")] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Forget the alias instead.")] = False,
    registry: File = RUNS,
    as_json: Json = False,
) -> None:
    """Let an alias stand for an entry; one that exists moves.

    Example: `ta-train registry alias champion linux-cli/adapter`
    """
    if drop == bool(ref):
        raise InputError("registry alias: name what it stands for, or pass --drop")
    opened = _open(registry)
    if drop:
        opened.drop_alias(alias)
    before = "" if drop else opened.point(alias, ref)
    now = "" if drop else opened.find(alias).name
    if as_json:
        print(json.dumps({"alias": alias, "name": now, "before": before}))
    else:
        print(f"{alias}: {now or 'dropped'}{f' (was {before})' if before not in ('', now) else ''}")


@app.command("verify")
def verify_command(
    refs: Annotated[list[str] | None, typer.Argument(help="Entries; none: all.")] = None,
    registry: File = RUNS,
    as_json: Json = False,
) -> None:
    """Hash every file again and compare with what was added; exit code 4 where one differs.

    Example: `ta-train registry verify champion`
    """
    found = _open(registry).verify(refs or [])
    if as_json:
        print(json.dumps([one._asdict() for one in found]))
    else:
        for one in found:
            print(f"{one.name}: {one.problem or 'as it was sealed'}")
    bad = [one.name for one in found if one.problem]
    if bad:
        raise ArtifactError(f"{len(bad)} of {len(found)} differ: {', '.join(bad)}")


@app.command("remove")
def remove_command(
    ref: Ref,
    delete_files: Annotated[bool, typer.Option("--delete-files", help="Delete its folder too.")] = False,
    registry: File = RUNS,
    as_json: Json = False,
) -> None:
    """Forget an entry. Refused while something descends from it or an alias points to it.

    Example: `ta-train registry remove linux-cli/adapter`
    """
    entry = _open(registry).remove(ref, delete_files=delete_files)
    if as_json:
        print(json.dumps({"name": entry.name, "digest": entry.digest, "deleted": delete_files}))
    else:
        print(f"{entry.name}: forgotten{f', {entry.path} deleted' if delete_files else ''}")


@app.command("push")
def push_command(
    ref: Ref,
    repository: Annotated[str, typer.Argument(help="A Hugging Face repository, owner/name.")],
    public: Annotated[bool, typer.Option("--public", help="A new repository is private without it.")] = False,
    registry: File = RUNS,
    as_json: Json = False,
) -> None:
    """Upload an entry to the Hugging Face Hub, as one commit.

    Example: `ta-train registry push champion my-team/linux-helper`
    """
    from ta_train.registry.hub import push

    entry = _open(registry).find(ref)
    commit = push(entry.path, repository, digest=entry.digest, public=public)
    if as_json:
        print(json.dumps({"repository": repository, "commit": commit, "digest": entry.digest}))
    else:
        print(f"{entry.name}: {repository} at {commit}")


@app.command("pull")
def pull_command(
    repository: Annotated[str, typer.Argument(help="A Hugging Face repository that was pushed to.")],
    out: Annotated[Path, typer.Option(help="Where the artifact comes to stand.")],
    revision: Annotated[str, typer.Option(help="A branch, tag or commit.")] = "main",
    name: Annotated[str, typer.Option(help="What to call it. Default: the repository.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the artifact at --out.")] = False,
    registry: File = RUNS,
    as_json: Json = False,
) -> None:
    """Download what was pushed, verify every byte and add it.

    Example: `ta-train registry pull my-team/linux-helper --out runs/pulled/linux-helper`
    """
    from ta_train.registry.hub import pull

    artifact = pull(repository, out, revision=revision, replace=force)
    entry = _open(registry).add(artifact.path, name=name, otherwise=repository)
    if as_json:
        print(json.dumps(entry.as_json()))
    else:
        print(f"{entry.name}: {entry.kind} {entry.digest[:19]} at {entry.path}")


def _open(file: Path) -> "Registry":
    from ta_train.registry.registry import Registry

    return Registry(file)


def _scores(entry: "Entry") -> str:
    return ", ".join(f"{score.item_set} {score.estimate:.0%}" for score in entry.scores)
