"""Views of a text: as it is read by a model that decodes what a person hid. views("SWdub3Jl…") has the
plain text too.

Every view costs time, so each is only made where cheap evidence speaks for it.
"""

# ruff: noqa: E501  # tables and patterns are easier to read whole

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

MAX_VIEWS = 12
MAX_DEPTH = 3
"""base64 of base64 of base64: what people nest by hand."""


class View(NamedTuple):
    """`technique` is empty for the text as written (after Unicode clean-up)."""

    technique: str
    text: str


_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\u2500-\u259f]"
)
"""Beside what nobody sees, the lines of drawn boxes, which part no words."""
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_LOOKALIKES = str.maketrans(
    "аеорсхуіјѕԁһӏԛԝкмтвнгпАВЕКМНОРСТХУІЈЅαεορτυνικηωΑΒΕΖΗΙΚΜΝΟΡΤΥΧßıɡɑ",
    "aeopcxyijsdhlqwkmtbhrnABEKMHOPCTXYIJSaeoptuvikhwABEZHIKMNOPTYXBiga",
)  # fmt: skip
_MIXED = re.compile(r"[a-zA-Z][\u0370-\u03ff\u0400-\u052f]|[\u0370-\u03ff\u0400-\u052f][a-zA-Z]|[ıɡɑ]")
_LEET = str.maketrans("4@310!57$8|(6", "aaeloistsblcg")
# A pattern that begins with a set of characters is searched for several times faster than one that does not.
_LEET_WORD = re.compile(
    r"[4@310!57$8|](?:(?<=[a-zA-Z].)(?:[a-zA-Z]|[4@310!57$8])|(?<=[310457])(?<!\w.)[a-zA-Z]{3})"
)
_GAP = r"[ \t.\-_*|,/\u00b7]"
_SPACED = re.compile(
    rf"(?:(?<![^\W_])[^\W_](?:{_GAP}{{1,2}}(?=[^\W_](?![^\W_]))|[ \t]{{2,4}}(?=[^\W_](?![^\W_])))){{5,}}[^\W_]?"
)
_MAYBE_SPACED = re.compile(rf"{_GAP}[^\W_]{_GAP}{{1,4}}[^\W_]{_GAP}{{1,4}}[^\W_]{_GAP}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"[0-9a-fA-F]{2}(?:[ ,:]?(?:\\x|0x|%)?[0-9a-fA-F]{2}){11,}")
_BINARY = re.compile(r"[01]{8}(?:[ ,]?[01]{8}){5,}")
_DECIMAL = re.compile(r"(?:\b(?:3[2-9]|[4-9]\d|1[01]\d|12[0-6])\b[ ,;]{1,2}){8,}\d{2,3}")
_MAYBE_DECIMAL = re.compile(r"[0-9]{2,3}[ ,;]{1,2}[0-9]{2,3}[ ,;]{1,2}[0-9]{2,3}[ ,;]")
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2}){4,}")
_ENTITY = re.compile(r"(?:&#x?[0-9a-fA-F]{2,4};){4,}")
_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[0-7]{3}){4,}")
_GLUE = re.compile(r"[\"'`](?:\s*(?:\+|\.|,|\s)\s*[\"'`]|(?<=\w.)\s+and\s+[\"'`](?=\w))")
_TELLS = (
    "ignor", "instruc", "previous", "system", "prompt", "disregard", "restrict", "pretend", "reveal", "forget", "rules",
    "guideline", "filter", "bypass", "obey", "secret",
)  # fmt: skip
_TELL_WORDS = (
    "ignore", "instructions", "instruction", "previous", "system", "prompt", "disregard", "restrictions", "pretend", "reveal",
    "forget", "rules", "guidelines", "filters", "bypass", "obey", "confidential", "unrestricted", "everything", "developer", "hidden", "safety", "policies", "override",
)  # fmt: skip


def views(text: str) -> list[View]:
    """The text cleaned, then every decoded form that evidence speaks for; at most MAX_VIEWS."""
    found = [View("", clean(text))]
    hidden = (
        "" if text.isascii() else "".join(chr(ord(c) - 0xE0000) for run in _TAGS.findall(text) for c in run)
    )
    if hidden:
        found.append(View("tags", hidden))
    seen = {view.text for view in found}
    queue = [(view, 0) for view in found]
    while queue and len(found) < MAX_VIEWS:
        view, depth = queue.pop(0)
        for technique, decoded in _decoded(view.text):
            if decoded in seen or not decoded.strip() or len(found) >= MAX_VIEWS:
                continue
            seen.add(decoded)
            child = View(f"{view.technique}+{technique}".lstrip("+"), decoded)
            found.append(child)
            if depth + 1 < MAX_DEPTH:
                queue.append((child, depth + 1))
    return found


def clean(text: str) -> str:
    """NFKC, invisible characters out, look-alike letters to Latin where a word mixes scripts, accents kept."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", _TAGS.sub("", _INVISIBLE.sub("", text)))
    return text.translate(_LOOKALIKES) if _MIXED.search(text) else text


def _decoded(text: str) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    lower = text.lower()
    for technique, needs, pattern, decode in _ENCODINGS:
        if not needs(text):
            continue
        plain = " ".join(filter(None, (decode(match[0]) for match in list(pattern.finditer(text))[:8])))
        if plain:
            out.append((technique, clean(plain)))
    if "%" in text and _PERCENT.search(text):
        out.append(("percent", unquote(text)))
    if "&#" in text and _ENTITY.search(text):
        out.append(("entities", html.unescape(text)))
    if len(_LEET_WORD.findall(text)) >= 2:
        out.append(("leet", lower.translate(_LEET)))
    if _MAYBE_SPACED.search(f" {text} ") and _SPACED.search(text):
        out.append(("spaced", _unspaced(text)))
    if _GLUE.search(text):
        out.append(("joined", _GLUE.sub("", text)))
    if _tells(lower, _TELLS) < 2:
        out += [(name, decode(lower)) for name, decode, tells in _CIPHERS if _tells(lower, tells) >= 2]
    words = set(_LETTERS.findall(lower))
    if _HYPHENED.search(lower) or any(len(word) >= 18 for word in words) or not _TWO_WORDS.search(lower):
        letters = re.sub(r"[^a-z]", "", lower)
        if _tells(letters, _TELL_WORDS) >= 2:
            out.append(("unseparated", _separated(lower)))
    mended = _mended(lower, words)
    if mended != lower:
        out.append(("shuffled", mended))
    return out


_TWO_WORDS = re.compile(r"[a-z] [a-z]")
_HYPHENED = re.compile(r"[-_*](?<=\w.)\w+[-_*]\w")
_ATBASH = str.maketrans("abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba")
_CIPHERS: tuple[tuple[str, Callable[[str], str], tuple[str, ...]], ...] = tuple(
    (name, decode, tuple(decode(word) for word in _TELLS))  # each is its own inverse
    for name, decode in (
        ("rot13", lambda text: codecs.encode(text, "rot13")),
        ("reversed", lambda text: text[::-1]),
        ("atbash", lambda text: text.translate(_ATBASH)),
    )
)
_SHUFFLED = {(w[0], w[-1], "".join(sorted(w))): w for w in _TELL_WORDS if len(w) >= 5}
_SHAPES = {(first, last, len(letters)) for first, last, letters in _SHUFFLED}
_LETTERS = re.compile(r"[a-z]{5,}")


def _tells(text: str, words: tuple[str, ...]) -> int:
    """How many of the words stand in the text."""
    return sum(word in text for word in words)


def _mended(lower: str, words: set[str]) -> str:
    """`ingore all perivous`: inner letters in another order still read as the word."""
    wrong = {}
    for word in words:
        if (word[0], word[-1], len(word)) in _SHAPES:
            meant = _SHUFFLED.get((word[0], word[-1], "".join(sorted(word))), word)
            if meant != word:
                wrong[word] = meant
    return _LETTERS.sub(lambda match: wrong.get(match[0], match[0]), lower) if wrong else lower


def _unspaced(text: str) -> str:
    """`i g n o r e  a l l`: single letters joined; where the gaps differ, the wide ones part words."""

    def join(match: re.Match[str]) -> str:
        run = match[0]
        words = re.split(r"[ \t]{2,}|[.\-_*|,/]{2,}|[ \t][.\-_*|,/][ \t]", run)
        joined = " ".join(re.sub(r"[\W_]", "", word) for word in words)
        return f" {joined} " if len(words) > 1 else f" {_separated(joined.lower())} "

    return _SPACED.sub(join, text)


def _separated(letters: str) -> str:
    """Blanks around the telling words of letters run together."""
    letters = re.sub(r"[-_*.]+", " ", letters)
    return re.sub(
        "|".join(sorted((*_TELL_WORDS, "your", "all", "print"), key=len, reverse=True)), r" \g<0> ", letters
    )


def _readable(raw: bytes) -> str:
    text = raw.decode("utf-8", "ignore")
    printable = sum(c.isprintable() or c in "\n\t" for c in text)
    letters = sum(c.isalpha() or c in " +/=" for c in text)
    good = (
        len(text) >= 6
        and printable >= 0.95 * len(text)
        and letters >= 0.7 * len(text)
        and len(text) >= 0.9 * len(raw)
    )
    return text if good else ""


def _from_base64(run: str) -> str:
    body = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        return ""


def _from_hex(run: str) -> str:
    digits = re.sub(r"\\x|0x|%|[ ,:]", "", run)
    return _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _from_binary(run: str) -> str:
    digits = re.sub(r"[^01]", "", run)
    return _readable(bytes(int(digits[i : i + 8], 2) for i in range(0, len(digits) // 8 * 8, 8)))


def _from_decimal(run: str) -> str:
    return _readable(bytes(int(n) for n in re.findall(r"\d+", run)))


def _from_escapes(run: str) -> str:
    return codecs.decode(run, "unicode_escape")


_ENCODINGS = (
    ("base64", bool, _BASE64, _from_base64),
    ("hex", bool, _HEX, _from_hex),
    ("binary", bool, _BINARY, _from_binary),
    ("decimal", _MAYBE_DECIMAL.search, _DECIMAL, _from_decimal),
    ("escapes", lambda text: "\\" in text, _ESCAPES, _from_escapes),
)
