"""Which reader reads a file, and a file read to its end: rows, and what became of it."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from ta_data.checks import Bad
from ta_data.collect.archive import members, open_archive
from ta_data.collect.html import read_html
from ta_data.collect.json_files import read_json, read_jsonl
from ta_data.collect.mail import read_eml, read_mbox
from ta_data.collect.man_page import read_man_page
from ta_data.collect.outcome import MIB, Given, Limits, Raw, Reader, Skipped, Unreadable
from ta_data.collect.pdf import read_pdf
from ta_data.collect.plain import read_markdown, read_text
from ta_data.collect.stack_exchange import read_posts
from ta_data.collect.tables import read_csv, read_workbook

Emit = Callable[[dict[str, Any]], None]


def read_docx(given: Given) -> Iterator[Raw | Bad]:
    """Imported when the first one comes: mammoth costs 60 ms."""
    from ta_data.collect.docx import read_docx as read

    return read(given)


READERS: dict[str, Reader] = {
    **dict.fromkeys((".md", ".markdown"), read_markdown),
    **dict.fromkeys((".html", ".htm", ".xhtml"), read_html),
    **dict.fromkeys((".txt", ".text", ".rst", ".adoc", ".org", ".log", ".tex"), read_text),
    ".pdf": read_pdf,
    ".docx": read_docx,
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), read_workbook),
    **dict.fromkeys((".csv", ".tsv"), read_csv),
    **dict.fromkeys((".jsonl", ".ndjson"), read_jsonl),
    ".json": read_json,
    ".xml": read_posts,
    ".mbox": read_mbox,
    ".eml": read_eml,
    **dict.fromkeys((*(f".{n}" for n in range(1, 10)), ".man", ".roff"), read_man_page),
}
EXTRA = {"pypdfium2": "documents", "mammoth": "documents", "python_calamine": "documents"}


def can_read(name: str) -> bool:
    """Whether there is a reader for a file of this name."""
    suffix = PurePosixPath(name.lower().removesuffix(".gz")).suffix
    return suffix in READERS or suffix == ".zip"


def read_file(
    name: str,
    stream: BinaryIO,
    limits: Limits,
    columns: Mapping[str, str],
    emit: Emit,
    *,
    kind: str = "",
    depth: int = 0,
) -> None:
    """Give every row to `emit` as {"row"} or {"bad"}, then {"file"} with status ok, skipped or error.

    `kind` is a name that tells the reader, where `name` does not (the address of a page).
    An archive gives a {"file"} for each of its members and one for itself. Never raises for what is in a file.
    """
    report: dict[str, Any] = {"path": name, "reader": "", "status": "ok", "reason": "", "rows": 0, "bad": {}}
    try:
        kind = kind or name
        suffix = PurePosixPath(kind).suffix.lower()
        if suffix == ".zip":
            report["reader"] = "zip"
            with open_archive(stream, limits, depth + 1) as archive:
                for member in members(archive, limits):
                    inner = f"{name}!/{member.name}"
                    if member.stream is None:
                        status = "skipped" if member.skipped else "error"
                        reason = member.skipped or member.error
                        emit(
                            {"file": {"path": inner, "status": status, "reason": reason, "rows": 0, "bad": {}}}
                        )
                    else:
                        read_file(inner, member.stream, limits, columns, emit, depth=depth + 1)
        else:
            if suffix == ".gz":
                stream = gunzip(stream, limits)
                suffix = PurePosixPath(kind[: -len(".gz")]).suffix.lower()
            reader = READERS.get(suffix)
            if reader is None:
                raise Skipped(f"no reader for {suffix or 'a name without ending'}")
            report["reader"] = re.sub("^read_", "", reader.__name__)
            _read_rows(reader, Given(name, stream, limits, columns), report, emit)
    except Skipped as why:
        report |= {"status": "skipped", "reason": str(why)}
    except Unreadable as why:
        report |= {"status": "error", "reason": str(why)}
    except ModuleNotFoundError as error:
        extra = EXTRA.get(error.name or "")
        if extra is None:
            raise
        report |= {"status": "skipped", "reason": f"needs the extra ta-data[{extra}]"}
    except (MemoryError, RecursionError) as error:
        report |= {"status": "error", "reason": f"too large or nested too deep ({type(error).__name__})"}
    except Exception as error:  # noqa: BLE001  a foreign parser may raise anything: one bad file never ends a run
        report |= {"status": "error", "reason": f"the reader failed: {type(error).__name__}: {error}"[:200]}
    emit({"file": report})


def _read_rows(reader: Reader, given: Given, report: dict[str, Any], emit: Emit) -> None:
    try:
        for row in reader(given):
            if isinstance(row, Bad):
                report["bad"][row.reason] = report["bad"].get(row.reason, 0) + 1
                emit({"bad": [report["path"] + row.where, row.reason, row.detail, row.id]})
            else:
                report["rows"] += 1
                emit({"row": {**row, "source": report["path"] + row.get("source", "")}})
    finally:
        report |= given.notes


def gunzip(stream: BinaryIO, limits: Limits) -> BinaryIO:
    """The unpacked bytes; Unreadable where they are damaged or grow too much."""
    import io

    packed = len(stream.read())
    stream.seek(0)
    allowed = min(limits.file_bytes, max(MIB, packed * limits.expansion))
    try:
        raw = gzip.GzipFile(fileobj=stream).read(allowed + 1)
    except (OSError, EOFError, zlib.error):
        raise Unreadable("not valid gzip: truncated or damaged") from None
    if len(raw) > allowed:
        raise Unreadable(f"grows more than {limits.expansion}-fold or over {limits.file_mb} MiB")
    return io.BytesIO(raw)
