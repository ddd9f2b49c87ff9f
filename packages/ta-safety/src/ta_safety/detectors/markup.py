"""Markup that acts in a reader's browser (OWASP LLM05): script tags, javascript: links, images with data.

What stands in a code block or a code span is shown, not run, and left alone.
"""

import re

from ta_safety.detectors.match import Match
from ta_safety.detectors.shell.answer import FENCE

_ACTIVE: tuple[tuple[str, str, str], ...] = (
    ("script", r"</?\s{0,3}(?:script|iframe|object|embed|applet)\b[^>\n]{0,500}>?", "a tag that runs code"),
    ("script", r"<[a-z]{1,12}\b[^>\n]{0,300}?\bon[a-z]{3,15}\s{0,2}=[^>\n]{0,300}>?", "an event handler"),
    ("link", r"\]\(\s{0,3}(?:javascript|data|vbscript):[^)\n]{0,500}\)?", "a link that runs code"),
    ("image", r"!\[[^\]\n]{0,200}\]\(\s{0,3}https?://[^)\s]{1,300}[?][^)\s]{0,500}\)?", "an image with data"),
)  # fmt: skip
_COMPILED = [(kind, re.compile(pattern, re.IGNORECASE), reason) for kind, pattern, reason in _ACTIVE]
_SPAN = re.compile(r"(`{1,2})[^`\n]{1,2000}?\1")


def find_markup(text: str) -> list[Match]:
    """Active markup outside of code."""
    if "<" not in text and "](" not in text:
        return []
    code = [(m.start(), m.end()) for pattern in (FENCE, _SPAN) for m in pattern.finditer(text)]
    return [
        Match(kind, match.start(), match.end(), reason)
        for kind, pattern, reason in _COMPILED
        for match in pattern.finditer(text)
        if not any(start <= match.start() < end for start, end in code)
    ]
