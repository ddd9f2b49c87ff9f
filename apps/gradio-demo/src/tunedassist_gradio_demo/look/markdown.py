"""Model text to HTML that runs nothing and fetches nothing: no raw HTML, no images; findings are marked."""

import functools
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

OPEN, CLOSE = "\ue000", "\ue001"
"""Private-use characters that stand for <mark> until the text is HTML; a model's own are taken out first."""

Spans = Sequence[tuple[int, int]]


@functools.cache
def _renderer() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # An image would be fetched from wherever the model says; raw HTML could do anything.
    return (
        MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True})
        .enable("table")
        .disable("image")
    )


def rendered(text: str, spans: Spans = ()) -> str:
    """Markdown to HTML, `spans` (characters of `text`) marked."""
    return _as_marks(_renderer().render(_with_signs(text, spans)))


def plain(text: str, spans: Spans = ()) -> str:
    """Text as it is, escaped, `spans` marked; line breaks are for the style sheet to keep."""
    return _as_marks(escape(_with_signs(text, spans)))


def _with_signs(text: str, spans: Spans) -> str:
    text = text.replace(OPEN, "\ufffd").replace(CLOSE, "\ufffd")
    for start, end in reversed(_apart(spans)):
        text = f"{text[:start]}{OPEN}{text[start:end]}{CLOSE}{text[end:]}"
    return text


def _apart(spans: Spans) -> list[tuple[int, int]]:
    """Sorted, overlapping ones joined, empty ones left out."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _as_marks(html: str) -> str:
    # No quotation mark in the tag: a sign that landed in an attribute must not end it.
    return html.replace(OPEN, "<mark>").replace(CLOSE, "</mark>")
