"""Personal data with checks against accidents: e-mail, phone, card (Luhn), IBAN (mod 97), social-security
numbers.

IP addresses, host names and `user@host` are content for whoever supports computers, so they are no
personal data here.
Sources: ISO/IEC 7812-1 (cards), ISO 13616 (IBAN), SSA's rules for SSN, RFC 2606 (example domains).
"""

import functools
import importlib
import re
from typing import Any

from ta_safety.detectors.match import Match

_EMAIL = re.compile(
    r"(?<![\w.+/:-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,18}\b(?![:\w]|\.[A-Za-z])"
)
_NOT_PERSONAL = re.compile(
    r"(?i)@(?:[\w-]+\.)*(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost|local|internal|lan|github\.com|gitlab\.com)$"
    r"|^(?:git|root|admin|info|support|noreply|no-reply|postmaster|webmaster|user|username|you|me|name|someone)@"
)
_REMOTE = re.compile(r"\b(?:ssh|scp|rsync|sftp|mosh|ssh-copy-id|sshfs|mount|autossh)\b[^\n]*$")
_CARD = re.compile(r"(?<![\d.-])(?:\d[ -]?){12,18}\d(?![\d-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_PHONE = re.compile(
    r"(?<![\w.+])(?<!\d )(?:\+|00)[1-9]\d{0,2}[ ()./-]{0,2}(?:\d[ ()./-]{0,2}){6,11}\d(?!\w)"
    r"|(?<![\w-])\(\d{3}\) ?\d{3}-\d{4}(?!\d)"
)
_IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27, "GB": 22,
    "GR": 27, "HU": 28, "IE": 22, "IT": 27, "LT": 20, "LU": 20, "LV": 21, "MT": 31, "NL": 18, "NO": 15,
    "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SI": 19, "SK": 24, "TR": 26, "UA": 29, "SA": 24, "AE": 23,
    "IL": 23, "BG": 22, "HR": 21, "EE": 20, "CY": 28,
}  # fmt: skip


def find_pii(text: str) -> list[Match]:
    """Personal data that passes its checksum or form."""
    found = []
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if not _NOT_PERSONAL.search(match[0]) and not _REMOTE.search(
                text[max(0, match.start() - 200) : match.start()]
            ):
                found.append(_match("email", match, "an e-mail address"))
    if not re.search(r"\d{2}", text):
        return found
    found += [_match("iban", m, "a bank account number") for m in _IBAN.finditer(text) if is_iban(m[0])]
    found += [_match("card", m, "a card number") for m in _CARD.finditer(text) if is_card(m[0])]
    found += [_match("ssn", m, "a social security number") for m in _SSN.finditer(text)]
    found += [_match("phone", m, "a phone number") for m in _PHONE.finditer(text)]
    return found


def is_card(number: str) -> bool:
    """Luhn's checksum, a length and a first digit that cards have, and not one digit only."""
    digits = [int(c) for c in number if c.isdigit()]
    if not 13 <= len(digits) <= 19 or digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) < 2:
        return False
    total = sum(d if i % 2 == 0 else (2 * d if d < 5 else 2 * d - 9) for i, d in enumerate(reversed(digits)))
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Length of its country and remainder 1 modulo 97."""
    squeezed = text.replace(" ", "")
    if _IBAN_LENGTHS.get(squeezed[:2]) != len(squeezed):
        return False
    return int("".join(str(int(c, 36)) for c in squeezed[4:] + squeezed[:4])) % 97 == 1


def find_pii_with_presidio(text: str) -> list[Match]:
    """More kinds of numbers, by Microsoft's presidio: health insurance, wallets, tax (extra `presidio`)."""
    return [
        Match(
            result.entity_type.lower(),
            result.start,
            result.end,
            f"personal data: {result.entity_type.lower()}",
            result.score,
        )
        for result in presidio().analyze(text=text, language="en")
        if result.score >= 0.5
    ]


_LEFT_OUT = ("SpacyRecognizer", "EmailRecognizer", "UrlRecognizer", "IpRecognizer", "DateRecognizer")
"""The first needs a model; the second asks the network for a list of domains, and ours finds e-mail; the others
are content here."""


@functools.cache
def presidio() -> Any:
    """An analyzer over a blank spaCy pipeline, since the usual one downloads a model. May raise SetupError."""
    try:
        spacy = importlib.import_module("spacy")
        analyzer = importlib.import_module("presidio_analyzer")
        engines = importlib.import_module("presidio_analyzer.nlp_engine")
    except ModuleNotFoundError:
        from ta_schemas.errors import SetupError

        raise SetupError(
            "presidio is not installed: install `ta-safety[presidio]`, or leave `presidio` out of the policy"
        ) from None
    engine = engines.SpacyNlpEngine()
    engine.nlp = {"en": spacy.blank("en")}
    registry = analyzer.RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    for name in _LEFT_OUT:
        registry.remove_recognizer(name)
    return analyzer.AnalyzerEngine(registry=registry, nlp_engine=engine)


def _match(kind: str, match: re.Match[str], reason: str) -> Match:
    return Match(kind, match.start(), match.end(), reason)
