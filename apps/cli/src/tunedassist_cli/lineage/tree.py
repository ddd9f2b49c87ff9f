"""The lineage as a tree in the terminal: each artifact once, later it is only named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.markup import escape

from tunedassist_cli.lineage.graph import Lineage, Node

DOCUMENTS_SHOWN = 5
STYLES = {
    "as sealed": "green",
    "as read": "green",
    "tampered": "bold red",
    "changed": "yellow",
    "not here": "dim",
}


def tree_lines(lineage: Lineage) -> Iterator[str]:
    """Lines in rich's markup. Not rich's own tree: that one cuts a line where the terminal ends."""
    start = next(iter(lineage.nodes))
    yield from _label(lineage.nodes[start], "")
    yield from _below(lineage, start, "", {start})


def as_dict(lineage: Lineage) -> dict[str, Any]:
    """For scripts."""
    nodes = [
        {**node._asdict(), "path": str(node.path) if node.path else None} for node in lineage.nodes.values()
    ]
    edges = [[child, parent] for child, parents in lineage.parents.items() for parent in parents]
    return {"tampered": [node.problem for node in lineage.tampered], "nodes": nodes, "made_from": edges}


def _below(lineage: Lineage, key: str, indent: str, seen: set[str]) -> Iterator[str]:
    above = [lineage.nodes[parent] for parent in lineage.parents.get(key, [])]
    documents = sorted((node for node in above if node.kind == "document"), key=lambda n: n.state != "changed")
    changed = sum(node.state == "changed" for node in documents)
    shown = documents[: max(DOCUMENTS_SHOWN, changed)]
    entries: list[Node | str] = [*(node for node in above if node.kind != "document"), *shown]
    if len(documents) > len(shown):
        entries.append(f"[dim]{len(documents) - len(shown)} more documents, {documents[-1].state}[/dim]")
    for at, entry in enumerate(entries):
        last = at == len(entries) - 1
        branch, deeper = ("└── ", "    ") if last else ("├── ", "│   ")
        if isinstance(entry, str):
            yield f"{indent}{branch}{entry}"
        elif entry.key in seen and lineage.parents.get(entry.key):
            yield f"{indent}{branch}{entry.kind} {entry.key[7:19]} [dim]see above[/dim]"
        else:
            seen.add(entry.key)
            first, *rest = _label(entry, f"{indent}{deeper}")
            yield f"{indent}{branch}{first}"
            yield from rest
            yield from _below(lineage, entry.key, f"{indent}{deeper}", seen)


def _label(node: Node, indent: str) -> Iterator[str]:
    place = node.name
    if node.path and node.kind != "document":
        here = node.path.absolute()
        place = str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)
    short = "" if node.kind == "document" else f" {node.key[7:19]}"
    made = f"  [dim]{escape(node.made)}[/dim]" if node.made else ""
    yield f"{node.kind}{short} [bold]{escape(place)}[/bold]  [{STYLES[node.state]}]{node.state}[/]{made}"
    if node.problem:
        yield f"{indent}  [{STYLES[node.state]}]{escape(node.problem)}[/]"
