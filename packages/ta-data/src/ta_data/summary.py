"""What `ta-data prepare` prints at the end: sources, funnel, splits, kinds, lengths, the card."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ta_data.card import funnel_rows
from ta_schemas.artifact import Artifact


def print_summary(artifact: Artifact, stats: Mapping[str, Any]) -> None:
    """Print the tables on stdout."""
    console = Console()
    quantiles = ("p50", "p95", "max")
    sources = [[s["format"], s["files"], s["rows"]] for s in stats["sources"]]
    console.print(_table("Sources", ["format", "files", "conversations"], sources))
    console.print(_table("Funnel", ["step", "conversations"], funnel_rows(stats["funnel"])))
    kinds = list(stats["all"]["kinds"])
    splits = [
        [name, n["rows"], n["tasks"], n["multi_turn"], *(n["kinds"].get(kind, 0) for kind in kinds)]
        for name, n in [*stats["splits"].items(), ("all", stats["all"])]
    ]
    head = ["split", "rows", "tasks", "multi-turn", *kinds]
    console.print(_table("Splits", head, splits))
    lengths = stats["lengths"]
    rows = [[part, *(lengths[part][q] for q in quantiles)] for part in ("prompt", "answer", "total")]
    console.print(_table(f"Length in {lengths['unit']}", ["", *quantiles], rows))
    ignored = artifact.manifest.metrics["ignored_files"]
    for line in account_lines(stats):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if ignored and "not_read" not in stats:
        more = f" and {len(ignored) - 3} more" if len(ignored) > 3 else ""
        console.print(
            f"not read (another file type): {', '.join(ignored[:3])}{more}", markup=False, soft_wrap=True
        )
    for name, n in stats["splits"].items():
        if not n["rows"]:
            console.print(f"{name} is empty: its share is 0, or there are too few tasks", markup=False)
    console.print(f"dataset: {artifact.path}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"card:    {artifact.path / 'README.md'}", markup=False, highlight=False, soft_wrap=True)


def account_lines(stats: Mapping[str, Any]) -> Iterator[str]:
    """Files not read by reason, columns as they were taken, what was masked, what the split avoids."""
    reasons: dict[str, list[str]] = {}
    for file in stats.get("not_read", ()):
        reasons.setdefault(file["reason"], []).append(file["path"])
    for reason, paths in sorted(reasons.items(), key=lambda item: -len(item[1])):
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        yield f"not read, {reason}: {', '.join(paths[:3])}{more}"
    for path, mapping in stats.get("columns", {}).items():
        if {"prompt", "answer"} <= mapping.keys():
            yield f"columns of {path}: {', '.join(f'{role} <- {name}' for role, name in mapping.items())}"
        else:
            yield f"columns of {path}: no question and answer found (--column prompt=NAME --column answer=NAME)"
    if masked := stats.get("masked"):
        yield f"masked: {', '.join(f'{count} {kind}' for kind, count in masked.items())}"
    if "row_random_split_would_leak" in stats:
        leak = stats["row_random_split_would_leak"]
        yield f"a row-random split would have leaked {leak:.1%} of the held-out rows"


def _table(title: str, head: list[str], rows: list[list[Any]]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    return table
