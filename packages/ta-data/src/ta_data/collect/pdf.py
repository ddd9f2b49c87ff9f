"""PDF: one document a page."""

from collections.abc import Iterator

from ta_data.checks import Bad
from ta_data.collect.encoding import tidy
from ta_data.collect.outcome import Given, Raw, Skipped, Unreadable


def read_pdf(given: Given) -> Iterator[Raw | Bad]:
    """The text of each page that has one. Scanned pages need OCR first, and are counted."""
    from pypdfium2 import PdfDocument, PdfiumError  # type: ignore[import-untyped]

    try:
        document = PdfDocument(given.whole())
    except PdfiumError as error:
        if "password" in str(error).lower():
            raise Skipped("encrypted") from None
        raise Unreadable("not a valid PDF: truncated or damaged") from None
    pages = with_text = 0
    try:
        for number, page in enumerate(document, start=1):
            pages += 1
            text = tidy(page.get_textpage().get_text_range().replace("\r\n", "\n")).strip()
            if text:
                with_text += 1
                yield {"text": text, "page": number}
            else:
                yield Bad(f"#page={number}", "page without text", "a scanned page needs OCR first")
    except PdfiumError:
        raise Unreadable("not a valid PDF: truncated or damaged") from None
    if pages and not with_text:
        raise Skipped("no text in any page: scanned, needs OCR first")
