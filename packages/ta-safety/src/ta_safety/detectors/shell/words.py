"""Words as bash reads them: escapes, ANSI-C quotes, braces."""

import re

BLANK = "\x02"
"""Stands in a word where an unquoted expansion holds a blank: bash splits there."""

UNKNOWN = "\x03"
"""Stands for what only running a command would tell."""

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|u[0-9a-fA-F]{1,4}|.)", re.DOTALL)
_LETTERS = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "v": "\v",
}
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")


def unescaped(word: str) -> str:
    """`r\\m` is `rm`; a backslash before a newline joins two lines."""
    return re.sub(r"\\(.)", r"\1", word.replace("\\\n", ""), flags=re.DOTALL) if "\\" in word else word


def ansi_c(text: str) -> str:
    """`$'…'` and `printf`/`echo -e` escapes: octal, hexadecimal, letters."""
    return _ESCAPE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "xu" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return _LETTERS.get(code, code)


def braces(word: str, limit: int = 64) -> list[str]:
    """`{rm,-rf,/}` is three words. At most `limit` of them."""
    words = [word]
    while any(_BRACES.search(w) for w in words) and len(words) < limit:
        out: list[str] = []
        for w in words:
            match = _BRACES.search(w)
            parts = match[1].split(",") if match else [w]
            out += [w[: match.start()] + part + w[match.end() :] for part in parts] if match else parts
        words = out
    return words[:limit]
