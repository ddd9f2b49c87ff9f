"""Finds the raw files of a domain and reads them one after the other, in the order of their paths."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ta_data.checks import Bad, Record
from ta_data.collect.chat_formats import read_chat
from ta_data.collect.folder import typed_row
from ta_data.collect.knowledge_base import read_knowledge_base
from ta_data.collect.outcome import Limits
from ta_data.collect.readers import can_read
from ta_data.collect.remote import is_remote
from ta_data.collect.worker import ReadingProcess
from ta_data.config import Format
from ta_data.domain import Domain
from ta_data.places import file_of, with_line
from ta_data.questions import conversations_in
from ta_schemas.errors import InputError
from ta_schemas.rows import ConversationRow

NOT_DATA = {"README.md", "domain.yaml"}


class Input(NamedTuple):
    """A raw file; `format` is None for a JSONL whose keys are to decide."""

    path: Path
    relative: str
    format: Format | None
    license: str = ""
    columns: Mapping[str, str] = {}

    def sha256(self) -> str:
        """Of the file's bytes."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


class Found(NamedTuple):
    """The raw files of a domain, and those of its source folders that are of another type."""

    inputs: list[Input]
    ignored: list[str]


def find_inputs(root: Path, domain: Domain, chosen: Format | None) -> Found:
    """List what there is to read; `chosen` overrides the format the domain or the file's name tells."""
    inputs: dict[str, Input] = {}
    ignored: set[str] = set()
    alone = {source.path for source in domain.sources if (root / source.path).is_file()}
    for source in domain.sources:
        place = root / source.path
        wanted = chosen or source.format
        if place.is_file():
            named = wanted or _by_suffix(place)
            inputs[source.path] = Input(place, source.path, named, source.license, source.columns)
        elif is_remote(source.path):
            raise InputError(f"{source.path}: prepare reads files alone; build and collect read addresses")
        elif not place.is_dir():
            raise InputError(f"{place}: no such file or folder")
        else:
            suffix = {None: (".jsonl", ".md"), "knowledge-base": (".md",)}.get(wanted, (".jsonl",))
            files = [file for file in sorted(place.rglob("*")) if _is_data(file.relative_to(place), file)]
            if wanted == "documents":
                taken = [file for file in files if can_read(file.name)]
                looked_for = "file that a reader knows"
            else:
                taken = [file for file in files if file.suffix in suffix]
                looked_for = f"{' or '.join(suffix)} file"
            if not taken:
                what = "is empty" if not files else f"holds no {looked_for}"
                raise InputError(f"{place}: the folder {what}: put the raw data there, or name another one")
            for file in taken:
                relative = file.relative_to(root).as_posix()
                if relative not in alone:  # a file with a source of its own is read as that one says
                    named = wanted or _by_suffix(file)
                    inputs[relative] = Input(file, relative, named, source.license, source.columns)
            ignored |= {file.relative_to(root).as_posix() for file in files if file not in taken}
    held_out = {domain.benchmark, domain.general}
    kept = [inputs[name] for name in sorted(inputs) if name not in held_out]
    return Found(kept, sorted(ignored - inputs.keys()))


def collect(
    inputs: list[Input], refusal: str, formats: dict[str, str], columns: dict[str, dict[str, str]]
) -> Iterator[Record | Bad]:
    """Yield every conversation of every file.

    `formats` is filled with the format of each file, `columns` with the mapping that was used for each table.
    """
    with ReadingProcess(Limits()) as process:
        for file in inputs:
            if file.format == "documents":
                yield from _read_documents(file, process, formats, columns)
                continue
            if file.format == "knowledge-base":
                formats[file.relative] = "knowledge-base"
                records = read_knowledge_base(file.path, file.relative, refusal)
            else:
                records = read_chat(file.path, file.relative, file.format, formats)
            for record in records:
                if file.license and isinstance(record, Record) and not record.row.license:
                    record.row.license = file.license
                yield record


def _read_documents(
    file: Input, process: ReadingProcess, formats: dict[str, str], columns: dict[str, dict[str, str]]
) -> Iterator[Record | Bad]:
    """A file as `collect` and `build` read it: tables by their columns, documents by the questions in them."""
    for message in process.read(file.path, file.relative, file.columns):
        if report := message.get("file"):
            if report["status"] != "ok":
                yield Bad(report["path"], "file not read", f"{report['status']}: {report['reason']}")
            if report.get("columns"):
                columns[report["path"]] = report["columns"]
            continue
        row = typed_row(message, file.license)
        if isinstance(row, Bad):
            yield row
            continue
        made = [row] if isinstance(row, ConversationRow) else list(conversations_in(row))
        if not made and not isinstance(row, ConversationRow):
            yield Bad(row.id, "document without a question", "no question in its structure", row.id)
        for conversation in made:
            where = with_line(conversation.source)
            ending = PurePosixPath(file.relative).suffix.lstrip(".")
            formats[file_of(where)] = ending or "documents"
            yield Record(where, conversation)


def _is_data(relative: Path, file: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    return file.is_file() and not hidden and file.name not in NOT_DATA


def _by_suffix(file: Path) -> Format | None:
    """knowledge-base for `.md`, None (the keys decide) for `.jsonl`, documents for what else can be read."""
    if file.suffix in (".md", ".jsonl"):
        return "knowledge-base" if file.suffix == ".md" else None
    if not can_read(file.name):
        raise InputError(
            f"{file}: no reader for this type of file: .md, .jsonl, .csv, .html, .pdf and more are"
        )
    return "documents"
