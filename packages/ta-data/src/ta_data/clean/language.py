"""Language and mojibake of a text."""

import re
from typing import NamedTuple

from ta_data.clean.sketch import need

MIN_LETTERS = 40
"""Below it a guess at the language is a coin toss."""
MOJIBAKE = re.compile("Ã[\u0080-\u00bf¡-¿€‚-›œžŸ]|â€[\u0080-\u00bf™œ\u009d¦“”˜¢]|Â[ \u00a0-¿]|\ufffd|ï»¿")
CODE = re.compile(r"```.*?```|`[^`\n]*`|https?://\S+", re.DOTALL)


class Language(NamedTuple):
    """ISO 639-1 code, and how sure the model is (0 to 1)."""

    code: str
    probability: float


_identifier = None


def language(text: str) -> Language | None:
    """The language of the prose in a text; None where there is too little to tell. Needs the extra `clean`."""
    global _identifier
    prose = CODE.sub(" ", text)
    if sum(c.isalpha() for c in prose) < MIN_LETTERS:
        return None
    if _identifier is None:
        need("py3langid")
        from py3langid.langid import (  # type: ignore[import-untyped]
            MODEL_FILE,
            LanguageIdentifier,
        )

        _identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    code, probability = _identifier.classify(prose[:2000])
    return Language(code, float(probability))


def is_mojibake(text: str) -> bool:
    """Whether UTF-8 was read as something else on its way here."""
    return not text.isascii() and bool(MOJIBAKE.search(text))


def mended(text: str) -> str:
    """The text with mojibake undone where that is possible without doubt."""
    return str(need("ftfy").fix_encoding(text))
