"""A folder of anything to rows with a source: what `ta-data collect` and `ta-data build` begin with."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ta_data.checks import Bad
from ta_data.collect.outcome import Limits, Raw
from ta_data.collect.remote import fetch, is_remote
from ta_data.collect.walk import Met, sha256, walk
from ta_data.collect.worker import ReadingProcess
from ta_data.domain import DOMAIN_NAME, load_domain
from ta_schemas.jsonl import to_row
from ta_schemas.rows import ConversationRow, DocumentRow


class Source(NamedTuple):
    """A folder, file or address, the licence of what is in it, and its columns where names do not tell them."""

    path: Path | str
    license: str = ""
    columns: Mapping[str, str] = {}
    prefix: str = ""
    """What stands before the names of its files, where there are several sources."""


@dataclass
class Account:
    """What happened to every file and every row."""

    files: list[dict[str, Any]] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    """`documents`, `conversations`."""
    bad: Counter[str] = field(default_factory=Counter)
    """Rows left out, by reason."""

    def summary(self) -> dict[str, Any]:
        """Counts by outcome and reason."""
        reasons = Counter(f"{f['status']}: {f['reason']}" for f in self.files if f["status"] != "ok")
        mappings = {f["path"]: f["columns"] for f in self.files if "columns" in f}
        return {
            "files": dict(Counter(f["status"] for f in self.files)) | {"found": len(self.files)},
            "reasons": dict(sorted(reasons.items())),
            "rows": dict(self.rows),
            "rows_left_out": dict(sorted(self.bad.items())),
            "columns": mappings,
        }


def sources_of(
    place: Path | str, *, license: str = "", columns: Mapping[str, str] | None = None
) -> list[Source]:
    """The sources that a domain folder names, or the folder, file or address itself."""
    if is_remote(str(place)):
        return [Source(str(place), license, columns or {})]
    if not (Path(place) / DOMAIN_NAME).is_file():
        return [Source(Path(place), license, columns or {})]
    root, domain = load_domain(place)
    sources = []
    for source in domain.sources:
        where = source.path if is_remote(source.path) else root / source.path
        prefix = f"{source.path}/" if isinstance(where, Path) and where.is_dir() else ""
        licence = source.license or license or domain.license
        sources.append(Source(where, licence, source.columns or columns or {}, prefix))
    return sources


def read_sources(
    sources: list[Source], limits: Limits, account: Account
) -> Iterator[DocumentRow | ConversationRow | Bad]:
    """Yield the rows of every file in order; `account` gets a line a file. Equal files are read once.

    Addresses are fetched before the first file is read: what cannot be had is known before the long part.
    """
    seen: dict[str, str] = {}
    with ExitStack() as stack, ReadingProcess(limits) as process:
        for source, met_files in [(source, _met(source, stack, limits)) for source in sources]:
            for met in met_files:
                name = f"{source.prefix}{met.name}"
                reason, digest = met.skipped, ""
                if met.path.name == DOMAIN_NAME:
                    continue
                if not reason:
                    digest = sha256(met.path)
                    if digest in seen:
                        reason = f"same content as {seen[digest]}"
                    seen.setdefault(digest, name)
                if reason:
                    report = {"path": name, "status": "skipped", "reason": reason, "rows": 0, "bad": {}}
                    account.files.append(report)
                    continue
                for message in process.read(met.path, name, source.columns):
                    if "file" in message:
                        top = message["file"]["path"] == name
                        account.files.append({**message["file"], **({"sha256": digest} if top else {})})
                    else:
                        row = typed_row(message, source.license)
                        if isinstance(row, Bad):
                            account.bad[row.reason] += 1
                        else:
                            kind = "documents" if isinstance(row, DocumentRow) else "conversations"
                            account.rows[kind] += 1
                        yield row


def _met(source: Source, stack: ExitStack, limits: Limits) -> Iterable[Met]:
    if isinstance(source.path, Path):
        return walk(source.path)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ta-data-")))
    return [Met(file, name) for file, name in fetch(source.path, folder, limits).items()]


def typed_row(message: dict[str, Any], license: str) -> DocumentRow | ConversationRow | Bad:
    """The row of a message of the reading process; `license` is for those that bring none."""
    if "bad" in message:
        return Bad(*message["bad"])
    raw: Raw = message["row"]
    where = _place(raw)
    raw.setdefault("id", where)
    raw["id"] = str(raw["id"])
    if license:
        raw.setdefault("license", license)
    try:
        if "messages" in raw:
            return to_row({**raw, "source": where}, ConversationRow)
        return to_row(raw, DocumentRow)
    except msgspec.ValidationError as error:
        return Bad(where, "wrong type", str(error).replace(" - at `$.", " at `"), raw["id"])


def _place(raw: Raw) -> str:
    """`file:line`, `file#page=3`, `file#post=7`, or the file."""
    source: str = raw["source"]
    for key in ("page", "post", "sheet"):
        if key in raw:
            source = f"{source}#{key}={raw[key]}"
    span = raw.get("span") or []
    return f"{source}:{span[0]}" if (span and span[0] > 1) or ("messages" in raw and span) else source
