"""The part of the report that tells where the rows came from: files, columns, masking, split."""

from collections.abc import Iterable
from html import escape
from typing import Any

OPEN_FILES = 40
"""So many files that were not read stand on the page; more of them are folded away."""

WORDS = {"ok": "read", "skipped": "skipped", "error": "broken or refused"}


def render_origin(origin: dict[str, Any]) -> list[str]:
    """HTML; nothing where the rows are no dataset of ours."""
    parts = []
    if sources := origin.get("sources"):
        rows = [[s["format"], s["files"], s["rows"]] for s in sources]
        parts += ["<h2>Files</h2>", _table(["kind", "files", "conversations kept"], rows)]
    if files := dict(origin.get("files", {})):
        found = files.pop("found", sum(files.values()))
        told = ", ".join(f"{files[status]:,} {word}" for status, word in WORDS.items() if files.get(status))
        parts.insert(1, f"<p>{found:,} files: {told}.</p>")
    if missed := origin.get("not_read"):
        reasons = [[f["path"], WORDS.get(f["status"], f["status"]), f["reason"]] for f in missed]
        table = _table(["not read", "", "why"], reasons)
        unfolded = " open" if len(missed) <= OPEN_FILES else ""
        summary = f"<summary>{len(missed):,} files not read</summary>"
        parts.append(f"<details{unfolded}>{summary}{table}</details>")
    if columns := origin.get("columns"):
        rows = [[path, _mapping(mapping)] for path, mapping in columns.items()]
        parts += ["<h2>Columns of tables</h2>", _table(["table", "read as"], rows)]
    if masked := origin.get("masked"):
        parts += ["<h2>Masked</h2>", _table(["personal data and secrets", "found"], map(list, masked.items()))]
    if (leak := origin.get("row_random_split_would_leak")) is not None:
        told = f"{origin.get('units', 0):,} such units"
        parts.append(
            f"<h2>Split</h2><p>Rows that belong together are in one split: {told}. A split by single rows "
            f"would have shown the model {leak:.1%} of the held-out rows, or their like, in training.</p>"
        )
    return parts


def _mapping(mapping: dict[str, str]) -> str:
    if not {"prompt", "answer"} <= mapping.keys():
        return "documents: no question and answer columns found (--column prompt=NAME --column answer=NAME)"
    return ", ".join(f"{role}: {column}" for role, column in mapping.items())


def _table(head: list[str], rows: Iterable[list[Any]]) -> str:
    def cell(value: Any) -> str:
        number = isinstance(value, int)
        return f'<td class="n">{value:,}</td>' if number else f"<td>{escape(str(value))}</td>"

    rows = list(rows)
    kinds = [' class="n"' if rows and isinstance(value, int) else "" for value in (rows or [head])[0]]
    names = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, head, strict=True))
    lines = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table><tr>{names}</tr>{lines}</table>"
