"""Paraphrases without a teacher: the frame of an English question changes, its content stays as it is."""

import hashlib
import re
from collections.abc import Iterator

FRAMES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (
        re.compile(r"^how (?:do|can|could|would|should) (?:i|we|you|one) (.+?)\??$", re.IGNORECASE),
        (
            "How can I {}?",
            "What is the best way to {}?",
            "I need to {}. How is that done?",
            "Please show me how to {}.",
            "Could you tell me how to {}?",
            "I want to {}.",
            "how to {}",
            "Is there a way to {}?",
        ),
    ),
    (
        re.compile(r"^(?:what is|what's) (?:a |an |the )?(.+?)\??$", re.IGNORECASE),
        ("What does {} mean?", "Explain {} to me.", "Can you explain {}?", "Tell me about {}."),
    ),
    (
        re.compile(r"^why (?:does|do|is|are) (.+?)\??$", re.IGNORECASE),
        ("What is the reason: {}?", "Explain why: {}."),
    ),
)
ANY = ("Hello, a question: {}", "{} Thanks in advance.", "Quick question: {}", "I was wondering: {}")


def paraphrases(question: str, count: int) -> Iterator[str]:
    """Up to `count` other wordings; which ones depends on the question alone."""
    made = []
    plain = question.strip()
    for pattern, frames in FRAMES:
        match = pattern.match(plain)
        if match:
            made = [frame.format(match[1]) for frame in frames]
            break
    made += [frame.format(plain) for frame in ANY]
    fresh = [text for text in dict.fromkeys(made) if text.casefold() != plain.casefold()]
    order = sorted(fresh, key=lambda text: hashlib.sha256(text.encode()).hexdigest())
    # Frames that fit the question go before the ones that fit any.
    fitting = [text for text in order if plain not in text]
    yield from [*fitting, *(text for text in order if plain in text)][:count]
