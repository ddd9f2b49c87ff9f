"""CSV, TSV, XLSX, XLS and ODS: a row a conversation, or a document.

It is a conversation where question and answer columns are found (`columns.py`).
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from ta_data.checks import Bad
from ta_data.collect.archive import check_expansion
from ta_data.collect.columns import map_columns, to_row
from ta_data.collect.encoding import decode
from ta_data.collect.outcome import Given, Raw, Skipped, Unreadable

DELIMITERS = ",;\t|"
MAX_FIELD = 2**20


def read_csv(given: Given) -> Iterator[Raw | Bad]:
    """Delimiter and header are found; a line that does not fit the header is named and left out."""
    text, given.notes["encoding"] = decode(given.whole())
    if not text.strip():
        raise Skipped("empty")
    delimiter = _delimiter(text, given.name)
    try:
        records = list(_parsed(text, delimiter))
    except csv.Error:
        records = list(_line_by_line(text, delimiter))
    width = len(records[0][1])
    if any(len(cells) != width and any("\n" in cell for cell in cells) for _, cells in records):
        records = list(_line_by_line(text, delimiter))
    yield from _rows(given, records, "quote or delimiter does not fit")


def read_workbook(given: Given) -> Iterator[Raw | Bad]:
    """Every visible sheet; hidden ones are counted and left out."""
    import zipfile

    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum

    raw = given.whole()
    try:
        if raw.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                check_expansion(archive, given.limits)
        book = CalamineWorkbook.from_filelike(io.BytesIO(raw))
    except PasswordError:
        raise Skipped("encrypted") from None
    except (CalamineError, zipfile.BadZipFile, ValueError, OSError) as error:
        raise Unreadable(
            f"not a valid workbook: truncated, damaged or encrypted ({type(error).__name__})"
        ) from None
    shown = [sheet for sheet in book.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
    for sheet in book.sheets_metadata:
        if sheet not in shown:
            yield Bad(f"#sheet={sheet.name}", "hidden sheet", "left out: nobody who opens the file sees it")
    for sheet in shown:
        cells = book.get_sheet_by_name(sheet.name).to_python(skip_empty_area=True)
        records = [(n, [_cell(cell) for cell in row]) for n, row in enumerate(cells, start=1) if any(row)]
        for row in _rows(given, records, "columns do not fit") if records else ():
            yield row if isinstance(row, Bad) else {**row, "sheet": sheet.name}


def _rows(given: Given, records: Sequence[tuple[int, list[str]]], fault: str) -> Iterator[Raw | Bad]:
    (_, header), *body = records
    if not body:
        raise Skipped("a header without rows")
    header = [name.strip() or f"column {i}" for i, name in enumerate(header, start=1)]
    mapping = map_columns(header, given.columns)
    given.notes |= {"columns": mapping, "header": header}
    for line, cells in body:
        if len(cells) != len(header):
            yield Bad(f":{line}", fault, f"{len(cells)} columns, the header has {len(header)}")
        elif any(cells):
            yield {**to_row(dict(zip(header, cells, strict=True)), mapping), "span": [line, line]}


def _parsed(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    first = 1
    for cells in reader:
        if cells:
            yield first, cells
        first = reader.line_num + 1


def _line_by_line(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """For a file in which one wrong quote would swallow the lines that follow."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, next(csv.reader([line], delimiter=delimiter, strict=True))
            except csv.Error:
                yield number, [line]


def _delimiter(text: str, name: str) -> str:
    if name.lower().endswith(".tsv"):
        return "\t"
    header = text.lstrip("\n").split("\n", 1)[0]
    return max(DELIMITERS, key=header.count)


def _cell(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
