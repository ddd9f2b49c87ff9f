"""Finds the raw files of a domain and reads them one after the other, in the order of their paths."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ta_data.checks import Bad, Record
from ta_data.collect.chat_formats import read_chat
from ta_data.collect.knowledge_base import read_knowledge_base
from ta_data.config import Format
from ta_data.domain import Domain
from ta_schemas.errors import InputError

NOT_DATA = {"README.md", "domain.yaml"}


class Input(NamedTuple):
    """A raw file; `format` is None for a JSONL whose keys are to decide."""

    path: Path
    relative: str
    format: Format | None

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
    for source in domain.sources:
        place = root / source.path
        wanted = chosen or source.format
        if place.is_file():
            inputs[source.path] = Input(place, source.path, wanted or _by_suffix(place))
        elif not place.is_dir():
            raise InputError(f"{place}: no such file or folder")
        else:
            suffix = {None: (".jsonl", ".md"), "knowledge-base": (".md",)}.get(wanted, (".jsonl",))
            files = [file for file in sorted(place.rglob("*")) if _is_data(file.relative_to(place), file)]
            taken = [file for file in files if file.suffix in suffix]
            if not taken:
                what = "is empty" if not files else f"holds no {' or '.join(suffix)} file"
                raise InputError(f"{place}: the folder {what}: put the raw data there, or name another one")
            for file in taken:
                relative = file.relative_to(root).as_posix()
                inputs[relative] = Input(file, relative, wanted or _by_suffix(file))
            ignored |= {file.relative_to(root).as_posix() for file in files if file not in taken}
    held_out = {domain.benchmark, domain.general}
    kept = [inputs[name] for name in sorted(inputs) if name not in held_out]
    return Found(kept, sorted(ignored - inputs.keys()))


def collect(inputs: list[Input], refusal: str, formats: dict[str, str]) -> Iterator[Record | Bad]:
    """Yield every conversation of every file; `formats` is filled with the format of each file."""
    for file in inputs:
        if file.format == "knowledge-base":
            formats[file.relative] = "knowledge-base"
            yield from read_knowledge_base(file.path, file.relative, refusal)
        else:
            yield from read_chat(file.path, file.relative, file.format, formats)


def _is_data(relative: Path, file: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    return file.is_file() and not hidden and file.name not in NOT_DATA


def _by_suffix(file: Path) -> Format | None:
    """knowledge-base for `.md`, None (the keys decide) for `.jsonl`."""
    if file.suffix not in (".md", ".jsonl"):
        raise InputError(f"{file}: expected a .md or .jsonl file; --format says how to read another one")
    return "knowledge-base" if file.suffix == ".md" else None
