"""What is wrong with a text's shape: too long, padded, random; an answer cut off or looping."""

import re
import zlib

from ta_safety.detectors.match import Match

MIN_CHARS = 1_500
"""Shorter texts compress by chance."""

RATIO = 12.0
"""Times that zlib shrinks a text. English prose: 2 to 3; a log: 5 to 8; one sentence pasted over and over:
50."""

LOOPS = 4
"""How often a line or a phrase at the end of an answer comes in a row."""


def find_bloat(text: str, max_chars: int) -> list[Match]:
    """A prompt longer than `max_chars`, padded with repetition, or with a long run of what is no language."""
    if len(text) > max_chars:
        return [
            Match("too long", max_chars, len(text), f"{len(text)} characters, at most {max_chars} are read")
        ]
    if len(text) < MIN_CHARS:
        return []
    raw = text.encode("utf-8", "replace")
    ratio = len(raw) / len(zlib.compress(raw, 1))
    if ratio > RATIO:
        return [Match("repetition", 0, len(text), f"the same over and over: shrinks {ratio:.0f} times", 0.8)]
    blob = re.search(r"[^\s]{1500,}", text)
    if blob:
        return [Match("blob", blob.start(), blob.end(), "a run of characters that is no language", 0.6)]
    return []


def find_cut_off(answer: str, finish_reason: str) -> list[Match]:
    """An answer that stopped at its token limit or inside a code block."""
    if finish_reason == "length":
        return [Match("cut off", len(answer), len(answer), "stopped at the token limit")]
    fences = re.findall(r"^[ \t]*(?:```|~~~)", answer, re.MULTILINE)
    if len(fences) % 2:
        return [Match("cut off", len(answer), len(answer), "ends inside a code block")]
    return []


def find_loop(answer: str) -> list[Match]:
    """A line, or a phrase of up to 200 characters, that comes LOOPS times in a row at the end."""
    lines = [line for line in answer.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else ""
    same = 0
    for line in reversed(lines):
        if line.strip() != last:
            break
        same += 1
    if same >= LOOPS and len(last) > 3:
        return [Match("loop", answer.find(last), len(answer), f"the last line comes {same} times in a row")]
    tail = answer[-2_000:].rstrip()
    for size in range(8, min(200, len(tail) // LOOPS) + 1):
        phrase = tail[-size:]
        if tail.endswith(phrase * LOOPS) and re.search(r"\w", phrase):
            start = len(answer.rstrip()) - size * LOOPS
            return [Match("loop", start, len(answer), f"ends with {LOOPS} times {phrase.strip()[:40]!r}")]
    return []
