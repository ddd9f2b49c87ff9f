"""Abuse of people: insults, threats and calls to self-harm, by who they are aimed at.

Words alone say little here: processes are killed, children reaped, masters and slaves configured. What counts is a
person as the target. A lexical rail finds open abuse and no more; it does not understand.
"""

# ruff: noqa: E501  # tables and patterns are easier to read whole

import re

from ta_safety.detectors.match import Match

_INSULT = (
    r"(?:idiots?|morons?|imbeciles?|stupid|dumb(?:ass)?|worthless|pathetic|losers?|scum|trash|garbage|filth|retard(?:ed)?s?|cretins?|bastards?|"
    r"assholes?|arseholes?|dickheads?|bitch(?:es)?|whores?|sluts?|cunts?|wankers?|motherfuckers?|shitheads?|pigs?|vermin|subhuman|disgusting)"
)
_GROUP = (
    r"(?:women|men|gays|lesbians|trans people|blacks|whites|jews|muslims|christians|arabs|asians|mexicans|immigrants|refugees|foreigners|"
    r"disabled people|gypsies|roma|old people|poor people)"
)
_PATTERNS: tuple[tuple[str, float, str], ...] = (
    ("self-harm", 1.0, r"\b(?:go |just |please |should |better )?(?:kill|hang|shoot|cut) (?:yourself|urself)\b|\bkys\b|\byou should (?:die|be dead|not be alive)\b"),
    ("threat", 1.0, r"\b(?:i|we)(?:'ll| will| am going to|'m going to|'m gonna| shall) (?:\w+ ){0,2}(?:kill|murder|hurt|stab|shoot|rape|beat|find) (?:\w+ ){0,1}(?:you|your family|him|her|them all)\b(?! (?:a|the|an|some|out)\b)"),
    ("insult", 0.95, rf"\b(?:you(?:'re| are| r)|ur|u r|you (?:fucking|stupid|little))\W+(?:\w+\W+){{0,3}}{_INSULT}\b"),
    ("insult", 0.95, rf"\b(?:what (?:a|an)|such (?:a|an)|shut up,? you)\W+(?:\w+\W+){{0,2}}{_INSULT}\b[^\n]{{0,20}}\byou\b"),
    ("insult", 0.95, r"\b(?:fuck|screw|damn) (?:you|off,? you|your mother)\b|\b(?:piece of shit|son of a bitch)\b|\bshut the fuck up\b"),
    ("hate", 1.0, rf"\b(?:all |those |these |the )?{_GROUP} (?:are|should|must|deserve)\W+(?:\w+\W+){{0,4}}(?:{_INSULT}|inferior|die|dead|killed|gassed|exterminated|removed|animals|criminals|parasites)\b"),
    ("hate", 1.0, rf"\b(?:i hate|death to|kill|gas|exterminate|deport) (?:all )?(?:the |those )?{_GROUP}\b"),
    ("insult", 0.5, rf"\b{_INSULT}\b"),
    ("profanity", 0.4, r"\b(?:fuck(?:ing|ed|er)?|shit|bullshit)\b"),
)  # fmt: skip
_COMPILED = [  # within a line, as an answer is streamed
    (kind, score, re.compile(pattern.replace(r"\W", r"[^\w\n]"), re.IGNORECASE))
    for kind, score, pattern in _PATTERNS
]
THRESHOLD = 0.9
"""Swearing at a computer stays below it."""


def find_toxicity(text: str) -> list[Match]:
    """Abuse and swearing with scores; what reaches THRESHOLD is aimed at people."""
    return [
        Match(kind, match.start(), match.end(), f"abuse: {kind}", score)
        for kind, score, pattern in _COMPILED
        for match in pattern.finditer(text[:20_000])
    ]
