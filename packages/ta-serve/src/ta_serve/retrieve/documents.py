"""What can be searched: rows of a corpus, and sections of Markdown or text files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ta_schemas import Artifact, InputError, read_jsonl
from ta_schemas.manifest import MANIFEST_NAME
from ta_schemas.rows import DocumentRow

TEXT_SUFFIXES = (".md", ".markdown", ".txt")

_HEADING = re.compile(r"#{1,6} ")


class Document(NamedTuple):
    """A passage."""

    id: str
    text: str
    source: str
    """File, relative to what was named."""
    first_line: int
    last_line: int

    @property
    def place(self) -> str:
        """`file:first-last`, as a citation shows it."""
        return f"{self.source}:{self.first_line}-{self.last_line}"

    def within(self, characters: int) -> "Document":
        """Its first lines, as many as fit; all of it, or no text, too."""
        if len(self.text) <= characters:
            return self
        lines = self.text[: max(characters, 0)].split("\n")[:-1]
        return self._replace(text="\n".join(lines), last_line=self.first_line + max(len(lines), 1) - 1)


def read_documents(path: Path) -> list[Document]:
    """Passages of a `corpus` artifact, a JSONL file of document rows, or a file or folder of text.

    A Markdown file is cut at its headings, a text file at empty lines. Raises InputError.
    """
    path = Path(path)
    if (path / MANIFEST_NAME).exists():
        documents = list(_rows(Artifact.open(path, kind="corpus").file("documents.jsonl")))
    elif path.suffix == ".jsonl":
        documents = list(_rows(path))
    elif path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in TEXT_SUFFIXES)
        documents = [part for file in files for part in _sections(file, str(file.relative_to(path)))]
    elif path.is_file():
        documents = list(_sections(path, path.name))
    else:
        raise InputError(f"{path}: no such file or folder")
    if not documents:
        raise InputError(f"{path}: nothing to search in it: expected a corpus artifact or text files")
    return documents


def _rows(file: Path) -> Iterator[Document]:
    for row in read_jsonl(file, DocumentRow):
        first, last = (row.span[0], row.span[-1]) if row.span else (1, row.text.count("\n") + 1)
        yield Document(row.id, row.text, row.source, first, last)


def _sections(file: Path, source: str) -> Iterator[Document]:
    """Runs of lines up to the next heading; fenced code is not looked into."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8: byte {error.start + 1}") from None
    markdown = file.suffix.lower() != ".txt"
    start, fenced = 0, False
    title = ""
    for at, line in enumerate([*lines, ""]):
        fenced ^= line.lstrip().startswith("```")
        heads = bool(_HEADING.match(line)) and not fenced
        ends = at == len(lines) or (heads and (not _is_part(line)) if markdown else not line.strip())
        if not ends:
            continue
        body = "\n".join(lines[start:at]).strip()
        if body and body != title:
            yield Document(f"{source}:{start + 1}", body, source, start + 1, at)
        start = at if markdown else at + 1
        title = line.strip() if heads else ""


def _is_part(line: str) -> bool:
    """Third-level headings and below stay with their section."""
    return line.startswith("### ")
