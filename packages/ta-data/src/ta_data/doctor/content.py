"""What is in the texts of a row that should not be there."""

import re
from collections.abc import Iterator

from ta_data.clean.filters import REFUSAL
from ta_data.clean.language import is_mojibake
from ta_data.clean.pii import SECRETS, find_pii
from ta_data.collect.encoding import INVISIBLE
from ta_data.doctor.shape import Fault

SPECIAL = re.compile(
    r"<\|(?:im_start|im_end|endoftext|begin_of_text|end_of_text|eot_id|start_header_id|end_header_id|user|assistant"
    r"|system)\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
)
MIN_LEAK_WORDS = 4


def content_faults(prompt: str, answer: str) -> Iterator[Fault]:
    """Secrets, personal data, template markers, mojibake, invisible characters, refusals, leaked answers."""
    both = f"{prompt}\n{answer}"
    spans = find_pii(both)
    secrets = sorted({span.type for span in spans if span.type in SECRETS})
    personal = sorted({span.type for span in spans if span.type not in SECRETS})
    if secrets:
        yield Fault("secret", ", ".join(secrets))
    if personal:
        yield Fault("personal-data", ", ".join(personal))
    if ("<" in both or "[" in both) and (marker := SPECIAL.search(both)):
        yield Fault("special-tokens", marker[0])
    if is_mojibake(both):
        yield Fault("mojibake", both[:80])
    if hidden := INVISIBLE.search(both):
        yield Fault("invisible", f"U+{ord(hidden[0]):04X}")
    if prompt and REFUSAL.match(answer):
        yield Fault("refusal", answer[:80])
    plain = " ".join(answer.split())
    if plain and plain.count(" ") >= MIN_LEAK_WORDS - 1 and plain in " ".join(prompt.split()):
        yield Fault("answer-in-prompt", plain[:80])
