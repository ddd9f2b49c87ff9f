"""`ta-data filter`: each check answers "keep" or a reason; reasons are counted and examples shown."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ta_data.checks import Bad
from ta_data.clean.language import is_mojibake, language, mended
from ta_data.clean.parts import parts
from ta_data.pipe import Left, Object, Out, read_rows

REFUSAL = re.compile(
    r"^\W*(as an ai\b|as a (?:large )?language model|i'?m sorry,? but (?:i|as)|i (?:cannot|can't|am unable to) "
    r"(?:assist|help|provide|fulfil|comply))",
    re.IGNORECASE,
)
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
REPEATED_SHARE = 0.3


class FilterConfig(BaseModel):
    """What a row must be like. Lengths are counted in words; 0 switches a check off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_prompt_words: int = Field(default=0, ge=0)
    min_answer_words: int = Field(default=1, ge=0)
    max_words: int = Field(default=0, ge=0, description="prompt and answer together")
    languages: tuple[str, ...] = Field(default=(), description="ISO 639-1 codes that are kept; none: all")
    refusals: bool = Field(default=True, description="drop answers that refuse in a chat model's words")
    mojibake: bool = Field(default=True, description="mend it where that is certain, else drop the row")
    repetition: bool = Field(default=True, description="drop answers of which 30 % is one line over and over")


def fault(row: Object, config: FilterConfig) -> tuple[str, str] | None:
    """The first reason to drop the row, with its detail; None keeps it."""
    prompt, answer = parts(row)
    asked, said = len(prompt.split()), len(answer.split())
    if said < config.min_answer_words:
        return "answer too short", f"{said} words"
    if prompt and asked < config.min_prompt_words:
        return "prompt too short", f"{asked} words"
    if config.max_words and asked + said > config.max_words:
        return "too long", f"{asked + said} words"
    whole = f"{prompt}\n{answer}"
    if config.mojibake and is_mojibake(whole):
        return "mojibake", "text that was read in a wrong encoding"
    if CONTROL.search(whole):
        return "control characters", "bytes that are no text"
    if config.refusals and prompt and REFUSAL.match(answer):
        return "refusal", answer[:60]
    if config.repetition and _repeats(answer):
        return "repetition", "one line makes up most of the answer"
    if config.languages and (found := language(whole)) and found.code not in config.languages:
        return "language", f"{found.code} ({found.probability:.2f})"
    return None


def mend(row: Object) -> Object:
    """The row with mojibake undone in its messages or texts."""

    def repair(value: Any) -> Any:
        if isinstance(value, str):
            return mended(value) if is_mojibake(value) else value
        if isinstance(value, dict):
            return {key: repair(v) for key, v in value.items()}
        return [repair(v) for v in value] if isinstance(value, list) else value

    fixed: Object = repair(row)
    return fixed


def filter_rows(
    config: FilterConfig, source: Path, out: Path | None, *, dropped: Path | None = None
) -> dict[str, Any]:
    """Write the rows that pass; give the summary."""
    read = repaired = 0
    with Out(out) as kept, Left(dropped) as left:
        for placed in read_rows(source):
            read += 1
            if isinstance(placed, Bad):
                left.bad(placed)
                continue
            row = placed.row
            if config.mojibake and is_mojibake("\n".join(parts(row))):
                row = mend(row)
                repaired += row != placed.row
            if found := fault(row, config):
                left.row(placed, *found)
            else:
                kept.write(row)
    return {**left.summary(read), "mended": repaired, "config": config.model_dump()}


def _repeats(answer: str) -> bool:
    lines = [line.strip() for line in answer.split("\n") if len(line.strip()) > 3]
    if len(lines) < 6:
        return False
    return Counter(lines).most_common(1)[0][1] > max(3, REPEATED_SHARE * len(lines))
