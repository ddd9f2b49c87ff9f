"""Text and Markdown: one document a file. Comments and hidden HTML in Markdown are left out."""

import re
from collections.abc import Iterator

from ta_data.checks import Bad
from ta_data.collect.encoding import decode
from ta_data.collect.html import HIDING
from ta_data.collect.outcome import Given, Raw, Skipped

COMMENT = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
UNSEEN = re.compile(r"<(script|style|template)\b.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
TAGGED = re.compile(r"<(\w+)([^>]*)>.*?</\1>", re.DOTALL)
FENCED = re.compile(r"(^```.*?^```\s*?$|^~~~.*?^~~~\s*?$)", re.DOTALL | re.MULTILINE)
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


def read_text(given: Given) -> Iterator[Raw | Bad]:
    """The text as it is."""
    text, given.notes["encoding"] = decode(given.whole())
    if not text.strip():
        raise Skipped("empty")
    yield {"text": text.strip("\n"), "span": [1, text.rstrip("\n").count("\n") + 1]}


def read_markdown(given: Given) -> Iterator[Raw | Bad]:
    """The text without front matter and without what a renderer would not show; `license` is taken over."""
    text, given.notes["encoding"] = decode(given.whole())
    last = text.rstrip("\n").count("\n") + 1
    row: Raw = {"span": [1, last]}
    if front := FRONT_MATTER.match(text):
        text = text[front.end() :]
        row["span"] = [front[0].count("\n") + 1, last]
        if licence := re.search(r"^licen[sc]e:\s*[\"']?([^\n\"']+)", front[1], re.MULTILINE):
            row["license"] = licence[1].strip()
    parts = FENCED.split(text)  # what stands in a code block is shown, tags and all
    shown = "".join(part if i % 2 else without_hidden(part) for i, part in enumerate(parts)).strip()
    if not shown:
        raise Skipped("empty")
    yield {"text": shown, **row}


def without_hidden(text: str) -> str:
    """Markdown without comments, scripts, styles and elements that hide themselves."""
    text = UNSEEN.sub("", COMMENT.sub("", text))
    return TAGGED.sub(lambda m: "" if re.search(r"\bhidden\b", m[2]) or HIDING.search(m[2]) else m[0], text)
