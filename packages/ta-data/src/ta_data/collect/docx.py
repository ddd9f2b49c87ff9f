"""DOCX: one document a file, through mammoth; text that Word hides is taken out before."""

import io
import zipfile
from collections.abc import Iterator

from ta_data.checks import Bad
from ta_data.collect.archive import check_expansion
from ta_data.collect.html import to_markdown
from ta_data.collect.outcome import Given, Raw, Skipped, Unreadable

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
BODY = "word/document.xml"


def read_docx(given: Given) -> Iterator[Raw | Bad]:
    """Headings, paragraphs, lists and tables as Markdown."""
    import mammoth  # type: ignore[import-untyped]

    raw = given.whole()
    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        raise Skipped("encrypted, or a .doc under another name")
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            check_expansion(archive, given.limits)
            if BODY not in archive.namelist():
                raise Unreadable("not a Word document: no word/document.xml in it")
            shown = without_hidden(archive)
        html = mammoth.convert_to_html(shown).value
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise Unreadable(f"not a valid DOCX: truncated or damaged ({type(error).__name__})") from None
    text = to_markdown(f"<body>{html}</body>")
    if not text:
        raise Skipped("no visible text")
    yield {"text": text}


def without_hidden(archive: zipfile.ZipFile) -> io.BytesIO:
    """A copy of the file whose runs marked as hidden (`w:vanish`) are gone."""
    from xml.etree.ElementTree import tostring

    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import ParseError, fromstring  # type: ignore[import-untyped]

    try:
        root = fromstring(archive.read(BODY))
    except (DefusedXmlException, ParseError):
        raise Unreadable("not a valid DOCX: its XML is broken or hostile") from None
    for parent in list(root.iter()):
        for run in parent.findall(f"{WORD}r"):
            mark = run.find(f"{WORD}rPr/{WORD}vanish")
            if mark is not None and mark.get(f"{WORD}val", "true") not in ("0", "false"):
                parent.remove(run)
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as out:
        for item in archive.infolist():
            content = tostring(root) if item.filename == BODY else archive.read(item)
            out.writestr(item.filename, content)
    copy.seek(0)
    return copy
