"""Does an answer give the system prompt away? By a planted canary, and by word sequences both share."""

import hashlib
import re

from ta_safety.detectors.injection.views import views
from ta_safety.detectors.match import Match

RUN_WORDS = 7
"""So many words in a row are no accident in an answer on another subject."""


def canary(system_prompt: str) -> str:
    """A word that stands nowhere else: put it into the prompt, and look for it in answers."""
    return f"ref-{hashlib.sha256(system_prompt.encode()).hexdigest()[:12]}"


def with_canary(system_prompt: str) -> str:
    """The prompt with its canary on a line of its own."""
    return f"{system_prompt}\n[{canary(system_prompt)}]"


def find_leak(answer: str, system_prompt: str) -> list[Match]:
    """Where the answer quotes the system prompt or shows its canary, plainly or in a disguise."""
    if not system_prompt.strip():
        return []
    token = canary(system_prompt)
    wanted = _words(system_prompt)
    length = min(RUN_WORDS, len(wanted))
    if length < 4:
        return []
    runs = {tuple(word for word, _, _ in wanted[i : i + length]) for i in range(len(wanted) - length + 1)}
    for technique, view in views(answer):
        at = view.find(token)
        if at >= 0:
            where = (0, len(answer)) if technique else (at, at + len(token))
            return [Match("system prompt", *where, "shows the canary of the system prompt")]
        shown = _words(view)
        for i in range(len(shown) - length + 1):
            if tuple(word for word, _, _ in shown[i : i + length]) in runs:
                end = i + length
                while end < len(shown) and tuple(w for w, _, _ in shown[end - length + 1 : end + 1]) in runs:
                    end += 1
                where = (0, len(answer)) if technique else (shown[i][1], shown[end - 1][2])
                return [Match("system prompt", *where, f"quotes {end - i} words of the system prompt in a row")]
    return []


def _words(text: str) -> list[tuple[str, int, int]]:
    return [(m[0].lower(), m.start(), m.end()) for m in re.finditer(r"\w+", text)]
