"""HTML to Markdown: what a reader of the page sees, and nothing else.

Scripts, styles, navigation and whatever is hidden (`hidden`, `aria-hidden`, `display:none`, also by a class of
the page's own style sheet) is left out: hidden text on a page is where prompt injections live.
"""

import re
from collections.abc import Iterator
from typing import Any

from ta_data.checks import Bad
from ta_data.collect.encoding import decode, tidy
from ta_data.collect.outcome import Given, Raw, Skipped

NEVER = "script, style, noscript, template, svg, iframe, object, embed, nav, head, form, button, select"
HIDDEN = '[hidden], [aria-hidden="true"], input[type="hidden"]'
HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(font-size|opacity|max-height)\s*:\s*0(\.0*)?(px|em|%)?\s*(;|!|$)"
    r"|(left|top|text-indent)\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
BLOCKS = frozenset(
    [
        "address", "article", "aside", "blockquote", "body", "dd", "details", "div", "dl", "dt", "fieldset",
        "figcaption", "figure", "footer", "header", "hr", "main", "ol", "p", "section", "summary",
        "table", "ul",
    ]
)  # fmt: skip
MAX_DEPTH = 200


def read_html(given: Given) -> Iterator[Raw | Bad]:
    """One document a page."""
    text, encoding = decode_html(given.whole())
    given.notes["encoding"] = encoding
    markdown = to_markdown(text)
    if not markdown:
        raise Skipped("no visible text")
    yield {"text": markdown, "span": [1, text.count("\n") + 1]}


def decode_html(raw: bytes) -> tuple[str, str]:
    """The page's text; its own `charset` counts where there is no byte order mark."""
    declared = re.search(rb"<meta[^>]+charset=[\"']?\s*([\w-]+)", raw[:4096], re.IGNORECASE)
    if declared and not raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        try:
            return tidy(raw.decode(declared[1].decode())), declared[1].decode().lower()
        except (UnicodeDecodeError, LookupError):
            pass  # a wrong declaration is common
    return decode(raw)


def to_markdown(html: str) -> str:
    """The visible text with headings, lists, code and tables as Markdown."""
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(html)
    if page.body is None:
        return ""
    for selector in (NEVER, HIDDEN, *_hidden_by_sheet(html)):
        try:
            found = page.css(selector)
        except Exception:  # noqa: BLE001  a selector of a foreign style sheet that lexbor cannot parse
            continue
        for node in found:
            node.decompose()
    for node in page.css("[style]"):
        if HIDING.search(node.attributes.get("style") or ""):
            node.decompose()
    text = "".join(_render(page.body, 0))
    lines = [line.rstrip() for line in tidy(text).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _hidden_by_sheet(html: str) -> Iterator[str]:
    for sheet in re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL | re.IGNORECASE):
        for selector, body in RULE.findall(re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)):
            if HIDING.search(body) and "@" not in selector:
                yield selector.strip()


def _render(node: Any, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield re.sub(r"\s+", " ", node.text(deep=True))
        return
    for child in node.iter(include_text=True):
        tag = child.tag
        if tag == "-text":
            yield re.sub(r"\s+", " ", child.text(deep=False))
        elif tag == "pre":
            yield f"\n\n```\n{child.text(deep=True).strip(chr(10))}\n```\n\n"
        elif tag == "br":
            yield "\n"
        elif tag in ("code", "kbd", "samp"):
            inner = child.text(deep=True).strip()
            yield f"`{inner}`" if inner else ""
        elif tag in ("td", "th"):
            yield f"{_inline(child, depth)} | "
        elif tag == "tr":
            yield f"\n| {_inline(child, depth)}"
        elif tag == "li":
            yield f"\n- {_inline(child, depth)}"
        elif re.fullmatch("h[1-6]", tag or ""):
            yield f"\n\n{'#' * int(tag[1])} {_inline(child, depth)}\n\n"
        elif tag in BLOCKS:
            yield "\n\n"
            yield "".join(_render(child, depth + 1)).strip(" ")
            yield "\n\n"
        elif tag and not tag.startswith("-"):
            yield from _render(child, depth + 1)


def _inline(node: Any, depth: int) -> str:
    return "".join(_render(node, depth + 1)).strip()
