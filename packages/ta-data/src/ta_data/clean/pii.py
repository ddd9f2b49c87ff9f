"""Personal data and secrets: found by pattern, confirmed by checksum where there is one, masked or reported.

Names are not found: that needs a language model for entities (none is installed here).
Sources: Luhn (ISO/IEC 7812-1), IBAN (ISO 13616), key prefixes as the providers document them.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A finding: its type and where it stands in the text, in characters."""

    type: str
    start: int
    end: int


class Pattern(NamedTuple):
    """A type, how it looks, and what confirms it. Group 1, where there is one, is what is masked."""

    type: str
    regex: re.Pattern[str]
    confirm: Callable[[str], bool] = lambda found: True
    needs: tuple[str, ...] = ()
    """Lower-case parts of which one must be there for a match: most texts are passed over quickly."""


def luhn(number: str) -> bool:
    """The check digit of payment cards."""
    digits = [int(d) for d in number if d.isdecimal()]
    doubled = [d if i % 2 == 0 else (d * 2 if d < 5 else d * 2 - 9) for i, d in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and sum(doubled) % 10 == 0


def iban(number: str) -> bool:
    """ISO 13616: moved and read in base 36, it leaves 1 modulo 97."""
    plain = re.sub(r"\s", "", number).upper()
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _phone(number: str) -> bool:
    digits = [c for c in number if c.isdecimal()]
    return 8 <= len(digits) <= 15 and len(set(digits)) > 2


def _public_ip(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return found.is_global


def _ssn(number: str) -> bool:
    area, group, serial = number.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _random(secret: str) -> bool:
    """Looks drawn at random: letters and digits mixed, and no placeholder."""
    known = re.search(r"example|placeholder|changeme|your|xxxx|\.\.\.|<|\$\{?\w", secret, re.IGNORECASE)
    kinds = sum(bool(re.search(kind, secret)) for kind in ("[a-z]", "[A-Z]", r"\d", r"[^\w]"))
    return not known and kinds >= 2 and len(set(secret)) >= min(6, len(secret))


SECRETS = frozenset({"private-key", "api-key", "jwt", "password", "url-credentials"})

PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        "private-key",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.*?"
            r"(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        needs=("-----begin",),
    ),
    Pattern(
        "api-key",
        re.compile(
            r"\b(?:sk-(?:ant-|proj-)?[\w-]{20,}|gh[pousr]_\w{36,}|github_pat_\w{40,}|glpat-[\w-]{20,}"
            r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}|xox[abprs]-[\w-]{10,}|hf_[A-Za-z]{30,}|npm_\w{36}"
            r"|pypi-[\w-]{50,}|(?:sk|rk)_live_\w{16,}|SG\.[\w-]{16,}\.[\w-]{30,})"
        ),
        needs=(
            *("sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "akia", "asia", "aiza"),
            *("xoxa", "xoxb", "xoxp", "xoxr", "xoxs", "hf_", "npm_", "pypi-", "_live_", "sg."),
        ),
    ),
    Pattern("jwt", re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"), needs=("eyj",)),
    Pattern(
        "password",
        re.compile(
            r"(?i)\b(?:password|passwd|passwort|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token)"
            r"[\"']?\s*(?:[:=]|is)\s*[\"']?([^\s\"',;]{8,})"
        ),
        _random,
        needs=("passw", "pwd", "secret", "key", "token"),
    ),
    Pattern("url-credentials", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:([^\s/@]+)@"), needs=("://",)),
    Pattern("email", re.compile(r"\b[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}\b"), needs=("@",)),
    Pattern("iban", re.compile(r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b"), iban),
    Pattern("card", re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])"), luhn),
    Pattern("ssn", re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), _ssn, needs=("-",)),
    Pattern(
        "phone",
        re.compile(
            r"(?<![\w.+/-])(?<!\d[ -])(?:\+\d{1,3}[ .-]?(?:\(0?\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}"
            r"|\(\d{3}\)[ ]?\d{3}-\d{4}|\d{3}[-.]\d{3}[-.]\d{4}"
            r"|0\d{2,4}[ /-]\d{3,4}(?:[ -]?\d{2,4}){1,2})(?![\w.-]?\d)"
        ),
        _phone,
    ),
    Pattern(
        "ip",
        re.compile(
            r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]?\d)|(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"
        ),
        _public_ip,
    ),
    Pattern("mac", re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![\w:])"), needs=(":",)),
)
TYPES = tuple(pattern.type for pattern in PATTERNS)
DIGIT = re.compile(r"\d[\d.:]")
NUMERIC = frozenset({"iban", "card", "ssn", "phone", "ip"})


def find_pii(text: str, types: frozenset[str] = frozenset(TYPES)) -> list[Span]:
    """The findings in order; where two overlap, the one whose pattern stands first in the list wins."""
    found: list[Span] = []
    digits, lower = bool(DIGIT.search(text)), text.lower()
    for pattern in PATTERNS:
        if pattern.type not in types or (not digits and pattern.type in NUMERIC):
            continue
        for part in pattern.needs:  # a loop, for any() takes twice the time and this is most of it
            if part in lower:
                break
        else:
            if pattern.needs:
                continue
        found += [span for span in _matches(pattern, text) if not any(_overlap(span, other) for other in found)]
    return sorted(found, key=lambda span: span.start)


def _matches(pattern: Pattern, text: str) -> Iterator[Span]:
    for match in pattern.regex.finditer(text):
        group = 1 if pattern.regex.groups else 0
        if pattern.confirm(match[group]):
            yield Span(pattern.type, *match.span(group))


def _overlap(a: Span, b: Span) -> bool:
    return a.start < b.end and b.start < a.end


class Masker:
    """Replaces findings by placeholders that are stable within a run: the same address is always <EMAIL-1>."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def mask(self, text: str, spans: list[Span]) -> str:
        """The text with each span replaced."""
        parts, at = [], 0
        for span in spans:
            parts += [text[at : span.start], self.name(span.type, text[span.start : span.end])]
            at = span.end
        return "".join([*parts, text[at:]])

    def name(self, kind: str, value: str) -> str:
        """The placeholder of a value."""
        key = (kind, re.sub(r"[\s-]", "", value).casefold())
        if key not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[key] = f"<{kind.upper()}-{self._counts[kind]}>"
        return self._names[key]
