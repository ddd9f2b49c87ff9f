"""Bytes to text: byte order mark, then UTF-16 without one, then UTF-8, then the likeliest legacy encoding."""

import re
from typing import NamedTuple

from ta_data.collect.outcome import Skipped

MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Without this list short Western texts come out as cp1250, hp_roman8 or worse.
LEGACY = [
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "euc_kr",
    "cp1251",
    "koi8_r",
    "cp1253",
    "cp1255",
    "cp1256",
    "cp1252",
]
BINARY_STARTS = (
    b"%PDF-", b"PK\x03\x04", b"\x7fELF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b", b"MZ\x90",
    b"\xd0\xcf\x11\xe0", b"7z\xbc\xaf", b"Rar!", b"SQLite format 3", b"\xca\xfe\xba\xbe", b"BZh", b"\xfd7zXZ",
)  # fmt: skip
SAMPLE_BYTES = 65_536

INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""Control, zero-width, direction and tag characters: nobody sees them, a model does."""


class Decoded(NamedTuple):
    """The text, with `\\n` line ends, and the encoding it was in."""

    text: str
    encoding: str


def decode(raw: bytes) -> Decoded:
    """The text of a file. Raises Skipped where the bytes are no text."""
    if raw.startswith(BINARY_STARTS):
        raise Skipped("binary content under a text file's name")
    encoding = guess_encoding(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text, encoding = raw.decode("latin-1"), "latin-1"
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    control = sum(c < " " and c not in "\n\t\f\x1b\b" for c in text[:SAMPLE_BYTES])
    if control > len(text[:SAMPLE_BYTES]) // 50:
        raise Skipped("binary content under a text file's name")
    return Decoded(tidy(text), encoding)


def guess_encoding(raw: bytes) -> str:
    """The name of the encoding, by Python's codecs."""
    for mark, name in MARKS:
        if raw.startswith(mark):
            return name
    sample = raw[:SAMPLE_BYTES]
    # UTF-8 accepts NUL, so UTF-16 of Western text would pass as UTF-8 with a NUL in every other place.
    if sample.count(0) > len(sample) // 10:
        return "utf-16-le" if sample[1::2].count(0) >= sample[::2].count(0) else "utf-16-be"
    try:
        raw.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return _legacy(sample)


def tidy(text: str) -> str:
    """The text without invisible characters and trailing blanks."""
    return "\n".join(line.rstrip() for line in INVISIBLE.sub("", text).split("\n"))


def _legacy(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=LEGACY, preemptive_behaviour=False).best()
    return best.encoding if best else "cp1252"
