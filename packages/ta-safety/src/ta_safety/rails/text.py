"""The rails on a user's message, a document and an answer."""

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ta_safety.detectors.leak import find_leak
from ta_safety.detectors.markup import find_markup
from ta_safety.detectors.match import Match
from ta_safety.detectors.pii import find_pii, find_pii_with_presidio
from ta_safety.detectors.scope import ScopeModel
from ta_safety.detectors.secrets import find_secrets
from ta_safety.detectors.shape import find_bloat, find_cut_off, find_loop
from ta_safety.detectors.toxicity import THRESHOLD as TOXICITY
from ta_safety.detectors.toxicity import find_toxicity
from ta_safety.rails.run import Found

if TYPE_CHECKING:
    from ta_safety.detectors.injection.detect import Channel, Detection


class Asked(NamedTuple):
    """What an answer was given to."""

    question: str = ""
    finish_reason: str = ""
    before: str = ""
    """What of the answer has passed already."""


def injection(text: str, *, channel: "Channel") -> Found:
    """Injection or jailbreak."""
    from ta_safety.detectors.injection.detect import threshold

    found = _detected(text, channel)
    match = Match(found.signature or "injection", *found.span, found.reason, found.score)
    return Found([match], threshold(channel))


@functools.lru_cache(maxsize=256)
def _detected(text: str, channel: "Channel") -> "Detection":
    """Recent turns are looked at again with each new one."""
    from ta_safety.detectors.injection.detect import detect

    return detect(text, channel=channel)


def bloat(text: str, max_chars: int) -> Found:
    """Too long or padded."""
    return Found(find_bloat(text, max_chars), 0.7)


def scope(text: str, model: ScopeModel) -> Found:
    """On the domain?"""
    score = model.score(text)
    return Found([Match("scope", 0, len(text), "off the domain's subject", score)], model.threshold)


def toxicity(text: str) -> Found:
    """Abuse of people."""
    return Found(find_toxicity(text), TOXICITY)


def pii(text: str, *, presidio: bool = False) -> Found:
    """Personal data; with presidio, what either of the two finds."""
    more = find_pii_with_presidio(text) if presidio else []
    return Found([*find_pii(text), *more], 0.5)


def secrets(text: str) -> Found:
    """Keys, tokens, passwords."""
    return Found(find_secrets(text), 0.5)


def markup(text: str) -> Found:
    """What runs in a reader's browser."""
    return Found(find_markup(text), 0.5)


def leak(text: str, system_prompt: str) -> Found:
    """The system prompt in an answer."""
    return Found(find_leak(text, system_prompt), 0.5)


_DISK_WORK = re.compile(
    r"\b(?:wip|eras|format|shred|overwrit|zero|clear|partition|sanitiz|sell|clone|imag|writ|flash|restor)\w*\b",
    re.I,
)
_DISK_RULES = {"overwrite-disk", "format-disk", "partition-table", "remove-volume"}


def shell(text: str, asked: Asked, block_rules: Sequence[str] = ()) -> Found:
    """Dangerous commands, `block_rules` raised to blocking.

    Work on a disk that the question itself is about is warned of, not refused.
    """
    from ta_safety.detectors.shell.answer import check_answer

    verdict = check_answer(text)
    wanted = bool(
        _DISK_WORK.search(asked.question)
        and re.search(r"\b(?:disks?|drives?|ssd|usb|stick|card|/dev/\w+|partition)\b", asked.question, re.I)
    )
    levels = [
        "warn" if wanted and rule in _DISK_RULES else "block" if rule in block_rules else level
        for rule, level in ((f.finding.rule, f.finding.level) for f in verdict.findings)
    ]
    matches = [
        Match(f.finding.rule, f.start, f.end, f.finding.reason, 1.0 if level == "block" else 0.6)
        for f, level in zip(verdict.findings, levels, strict=True)
    ]
    return Found(matches, 0.5, None if "block" in levels else "warn")


_WARNED = re.compile(
    r"\b(?:warning|caution|careful|beware|danger|irreversibl|cannot be undone|back ?up|destroys?|"
    r"erases?|permanently)\b",
    re.I,
)


def warning(text: str, commands: list[str], asked: Asked) -> Found:
    """A command that the domain wants warned of, in an answer without a warning."""
    from ta_safety.detectors.shell.answer import snippets

    if _WARNED.search(asked.before + text):
        return Found([], 0.5)
    found = []
    for snippet in snippets(text):
        for command in commands:
            words = [re.escape(word) for word in command.split()]
            joined = r"[ \t]+(?:-\S+[ \t]+)*?".join(words)
            match = re.search(rf"(?<![\w-])(?:\S*/)?{joined}(?![\w-])", snippet.text)
            if match:
                start = max(0, snippet.start + match.start())
                found.append(Match("warning", start, start + len(match[0]), f"{command!r} without a warning"))
    return Found(found[:3], 0.5)


def cut_off(text: str, asked: Asked) -> Found:
    """An answer that stopped early."""
    return Found(find_cut_off(text, asked.finish_reason), 0.5)


def loop(text: str) -> Found:
    """An answer that repeats itself."""
    return Found(find_loop(text), 0.5)
