"""`ta-data collect --show-mapping`: how each file would be read, before anything is made of it."""

from collections.abc import Iterator
from typing import Any

from ta_data.checks import Bad
from ta_data.collect.columns import NAMES
from ta_data.collect.folder import Account, Source, read_sources
from ta_data.collect.outcome import Limits
from ta_data.places import file_of
from ta_schemas.rows import ConversationRow, DocumentRow

WIDTH = 60


def show_mapping(sources: list[Source], limits: Limits) -> Iterator[str]:
    """A paragraph a file: its reader, its columns by role, its first row; what is not read and why."""
    account = Account()
    first: dict[str, ConversationRow | DocumentRow] = {}
    for row in read_sources(sources, limits, account):
        if not isinstance(row, Bad):
            first.setdefault(file_of(row.source), row)
    for file in account.files:
        if file["status"] != "ok":
            yield f"{file['path']}: {file['status']}: {file['reason']}"
            continue
        yield f"{file['path']}: {_kind(file)}, {file['rows']} rows"
        if "columns" in file:
            yield from _columns(file)
        if (shown := first.get(file["path"])) is not None:
            yield from _example(shown)


def _kind(file: dict[str, Any]) -> str:
    formats = ", ".join(file.get("formats", {}))
    return f"{file.get('reader', '')}{f' ({formats})' if formats else ''}"


def _columns(file: dict[str, Any]) -> Iterator[str]:
    mapping, header = file["columns"], file.get("header", [])
    for role in NAMES:
        if role in mapping:
            yield f"  {role:<8} <- {mapping[role]}"
    if rest := [name for name in header if name not in mapping.values()]:
        yield f"  not used: {', '.join(rest)}"
    if not {"prompt", "answer"} <= mapping.keys():
        missing = [role for role in ("prompt", "answer") if role not in mapping]
        named = " ".join(f"--column {role}=NAME" for role in missing)
        yield f"  no column found for {' and '.join(missing)}: rows become documents; {named} says which"


def _example(row: ConversationRow | DocumentRow) -> Iterator[str]:
    said = (
        [(m.role, m.content) for m in row.messages]
        if isinstance(row, ConversationRow)
        else [("text", row.text)]
    )
    for role, text in said[:3]:
        plain = " ".join(text.split())
        yield f"  {role}: {plain[:WIDTH]}{'…' if len(plain) > WIDTH else ''}"
