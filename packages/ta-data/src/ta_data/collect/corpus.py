"""`ta-data collect`: a folder of anything to a sealed corpus; every file is accounted for."""

from importlib.metadata import version
from pathlib import Path

import msgspec

from ta_data.checks import Bad, DropRow
from ta_data.collect.folder import Account, Source, read_sources
from ta_data.collect.outcome import Limits
from ta_data.progress import Tell, counted, silent
from ta_schemas.artifact import Artifact, ArtifactWriter
from ta_schemas.jsonl import to_object
from ta_schemas.rows import DocumentRow, Row


def collect_corpus(
    sources: list[Source],
    out: Path,
    *,
    limits: Limits | None = None,
    replace: bool = False,
    tell: Tell = silent,
) -> Artifact:
    """Read the sources into a `corpus` artifact at `out`.

    `documents.jsonl`, `conversations.jsonl`, `left-out.jsonl` (rows), `files.jsonl` (a line
    a file), `stats.json`.
    Raises InputError where a source does not exist; what is wrong inside a file is counted, not raised.
    """
    limits = limits or Limits()
    account = Account()
    config = {
        "sources": [{"license": s.license, "columns": dict(s.columns), "prefix": s.prefix} for s in sources],
        "limits": msgspec.to_builtins(limits),
    }
    producer = f"ta-data {version('ta-data')}"
    with ArtifactWriter(out, kind="corpus", producer=producer, config=config, replace=replace) as writer:
        with (
            (writer.path / "documents.jsonl").open("wb") as documents,
            (writer.path / "conversations.jsonl").open("wb") as conversations,
            (writer.path / "left-out.jsonl").open("wb") as left_out,
        ):
            for row in counted(read_sources(sources, limits, account), "reading", tell):
                if isinstance(row, Bad):
                    left_out.write(_line(left_out_row(row)))
                else:
                    (documents if isinstance(row, DocumentRow) else conversations).write(_line(row))
        files = b"".join(msgspec.json.encode(file) + b"\n" for file in account.files)
        (writer.path / "files.jsonl").write_bytes(files)
        summary = account.summary()
        (writer.path / "stats.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
        writer.metrics |= {"files": summary["files"], "rows": summary["rows"]}
    return Artifact.open(out, kind="corpus", verify=False)


def left_out_row(bad: Bad) -> DropRow:
    """A line of `left-out.jsonl`."""
    return DropRow(id=bad.id or bad.where, reason=bad.reason, source=bad.where, detail=bad.detail)


def _line(row: Row) -> bytes:
    return msgspec.json.encode(to_object(row)) + b"\n"
