"""Answer a file of conversations: JSONL in, JSONL out (`ta-serve generate`)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ta_schemas import InputError, read_jsonl, write_jsonl
from ta_schemas.rows import Message, PredictionRow, Row
from ta_serve.completion import ChatMessage
from ta_serve.engines.chat_engine import ChatEngine


class PromptRow(Row, kw_only=True, omit_defaults=True):
    """A line of the input; what else it holds is not looked at."""

    messages: list[Message]
    id: str = ""
    """The line's number where it has none."""


class Answered(NamedTuple):
    """What was done."""

    rows: int
    completion_tokens: int
    cut_off: int
    """Answers that reached max_tokens."""


def read_prompts(file: Path, *, system: str) -> dict[str, list[ChatMessage]]:
    """Conversations by id; `system` goes in front of those that have no system message.

    Raises InputError(file:line: …) also where the last word is not the user's, or an id is there twice.
    """
    prompts: dict[str, list[ChatMessage]] = {}
    for number, row in enumerate(read_jsonl(file, PromptRow), start=1):
        key = row.id or str(number)
        if key in prompts:
            raise InputError(f"{file}: id {key!r} is there twice")
        if not row.messages or row.messages[-1].role != "user":
            raise InputError(f"{file}: id {key!r}: messages: the last one must be the user's")
        messages = [{"role": str(m.role), "content": m.content} for m in row.messages]
        if system and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": system})
        prompts[key] = messages
    if not prompts:
        raise InputError(f"{file}: no rows")
    return prompts


def generate(
    engine: ChatEngine,
    prompts: dict[str, list[ChatMessage]],
    out: Path,
    *,
    max_tokens: int,
    temperature: float,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Answered:
    """Answer `prompts` and write PredictionRow lines, in order; the file appears whole or not at all."""
    answers = engine.generate(
        list(prompts.values()), max_tokens=max_tokens, temperature=temperature, seed=seed, progress=progress
    )

    def rows() -> Iterator[PredictionRow]:
        for key, answer in zip(prompts, answers, strict=True):
            yield PredictionRow(
                id=key,
                output=answer.text,
                finish_reason=answer.finish_reason,
                prompt_tokens=answer.prompt_tokens,
                completion_tokens=answer.completion_tokens,
            )

    out.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(out, rows())
    return Answered(
        rows=len(answers),
        completion_tokens=sum(answer.completion_tokens for answer in answers),
        cut_off=sum(answer.finish_reason == "length" for answer in answers),
    )
