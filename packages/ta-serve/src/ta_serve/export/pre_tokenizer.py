"""How text is cut before byte-pair merging: from tokenizer.json to the name llama.cpp knows it by.

A byte-level tokenizer is `gpt2` to llama.cpp, and its `tokenizer.ggml.pre` names the cut. A wrong name gives
other tokens without a word, so what is not in the table is refused.
"""

from typing import Any

_LETTERS_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LETTERS_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_SHORT = r"'s|'t|'re|'ve|'m|'ll|'d"
_WORD = r"[^\r\n\p{L}\p{N}]?"

PATTERNS = {
    rf"(?i:{_SHORT})|{_WORD}\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_TAIL}": "llama-bpe",
    rf"(?i:{_SHORT})|{_WORD}\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_TAIL}": "qwen2",
    rf"{_WORD}{_LETTERS_UPPER}*{_LETTERS_LOWER}+|{_WORD}{_LETTERS_UPPER}+{_LETTERS_LOWER}*"
    rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_TAIL}": "tekken",
    rf"{_WORD}{_LETTERS_UPPER}*{_LETTERS_LOWER}+(?i:{_SHORT})?"
    rf"|{_WORD}{_LETTERS_UPPER}+{_LETTERS_LOWER}*(?i:{_SHORT})?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_TAIL}": "gpt-4o",
}
"""Regular expressions of a Split before ByteLevel."""

TAKES_WHOLE_WORDS = {"llama-bpe", "tekken"}
"""llama.cpp takes a word that is in the vocabulary without merging (`ignore_merges`) for these."""


def pre_tokenizer_name(tokenizer: dict[str, Any]) -> str:
    """`tokenizer.ggml.pre` for a parsed byte-level tokenizer.json. Raises ValueError with the reason."""
    name = _by_shape(_steps(tokenizer.get("pre_tokenizer")))
    whole_words = bool(tokenizer["model"].get("ignore_merges"))
    if name == "llama-bpe" and not whole_words:
        return "smaug-bpe"  # the same cut with merging
    if whole_words and name not in TAKES_WHOLE_WORDS:
        raise ValueError(f"ignore_merges, which llama.cpp does not do for {name!r}")
    return name


def _steps(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    if part is None:
        return []
    if part["type"] == "Sequence":
        return [step for inner in part["pretokenizers"] for step in _steps(inner)]
    return [part]


def _by_shape(steps: list[dict[str, Any]]) -> str:
    kinds = [step["type"] for step in steps]
    last = steps[-1] if steps else {}
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise ValueError(
            f"pre_tokenizer {kinds or 'is missing'}: expected one that ends with a plain ByteLevel"
        )
    cut_by_bytes = last.get("use_regex", True)
    if kinds == ["ByteLevel"] and cut_by_bytes:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and cut_by_bytes and steps[0]["individual_digits"]:
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not cut_by_bytes and steps[0]["behavior"] == "Isolated":
        pattern = steps[0]["pattern"].get("Regex", "")
        if pattern in PATTERNS:
            return PATTERNS[pattern]
        raise ValueError(f"pre_tokenizer with the regular expression {pattern!r}")
    raise ValueError(f"pre_tokenizer {kinds}")
