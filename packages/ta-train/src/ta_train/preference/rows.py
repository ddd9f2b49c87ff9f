"""Reading a `preferences` artifact: pairs of answers, checked and rendered; only the answers are scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ta_schemas import InputError, read_jsonl
from ta_schemas.jsonl import read_objects
from ta_schemas.rows import ConversationRow, PreferenceRow
from ta_train.render import IGNORED, Rendered, render


class Located(NamedTuple):
    """A row and where it stands (`file:line`)."""

    where: str
    row: PreferenceRow


@dataclass(frozen=True)
class Pair:
    """A prompt with a better and a worse answer; `labels` cover the answer alone, stop token included."""

    chosen: Rendered
    rejected: Rendered

    @property
    def longer(self) -> Rendered:
        """The side that decides the padding."""
        return max(self.chosen, self.rejected, key=lambda side: len(side.input_ids))


def read_preferences(file: Path) -> list[Located]:
    """Every row of a preferences file, checked.

    Raises InputError("file:line: field: reason"): no user turn at the end of the prompt, a side that is no
    answer, both sides the same, no rows.
    """
    numbers = (number for number, _ in read_objects(file))
    rows = [
        Located(f"{file}:{number}", row)
        for number, row in zip(numbers, read_jsonl(file, PreferenceRow), strict=True)
    ]
    if not rows:
        raise InputError(f"{file}: no rows: add preferences")
    for located in rows:
        _check(*located)
    return rows


def _check(where: str, row: PreferenceRow) -> None:
    last = row.prompt[-1].role if row.prompt else "nothing"
    if last != "user":
        raise InputError(f"{where}: prompt: ends with {last}, expected a user turn to answer")
    for field, side in (("chosen", row.chosen), ("rejected", row.rejected)):
        if [message.role for message in side] != ["assistant"]:
            raise InputError(f"{where}: {field}: expected one assistant message, found {len(side)} messages")
        if not side[0].content.strip():
            raise InputError(f"{where}: {field}: the answer is empty")
    if row.chosen[0].content.strip() == row.rejected[0].content.strip():
        raise InputError(f"{where}: rejected: the same answer as chosen: nothing to prefer, remove the row")


def render_pairs(rows: Sequence[Located], tokenizer: Any, *, max_length: int) -> list[Pair]:
    """Render both sides with the model's own chat template.

    Raises InputError("file:line: field: reason"): an answer that would be cut, a chat template that does not
    keep the prompt apart from the answer, a stop token that is never trained.
    """
    if not tokenizer.chat_template:
        raise InputError("the base model has no chat template: use its instruct version")
    pairs = [_render_pair(located, tokenizer) for located in rows]
    lengths = [len(pair.longer.input_ids) for pair in pairs]
    too_long = sum(length > max_length for length in lengths)
    if too_long:
        worst = lengths.index(max(lengths))
        where, pair = rows[worst].where, pairs[worst]
        field = "chosen" if pair.longer is pair.chosen else "rejected"
        raise InputError(
            f"{where}: {field}: {lengths[worst]} tokens with its prompt, max_length is {max_length}: the "
            f"answer would be cut ({too_long} such rows): raise max_length or remove them"
        )
    if all(pair.chosen.labels[-1] != tokenizer.eos_token_id for pair in pairs):
        raise InputError(
            f"the stop token {tokenizer.eos_token!r} is never trained: the model would not learn to stop; "
            "check the chat template and the tokenizer's eos_token"
        )
    return pairs


def need_two_prompts(rows: Sequence[Located]) -> None:
    """Refuse rows that all have one prompt: KTO needs answers to another one."""
    if all(located.row.prompt == rows[0].row.prompt for located in rows):
        raise InputError(
            f"{rows[0].where}: prompt: kto needs answers to another prompt, all rows used have this one"
        )


def prompt_ids(side: Rendered) -> list[int]:
    """What stands before the answer."""
    return side.input_ids[: side.labels.count(IGNORED)]


def with_answer_of(side: Rendered, other: Rendered) -> Rendered:
    """The prompt of `side` with the answer of `other`."""
    prompt = prompt_ids(side)
    answer = other.input_ids[len(prompt_ids(other)) :]
    return Rendered(side.row, prompt + answer, [IGNORED] * len(prompt) + answer)


def _render_pair(located: Located, tokenizer: Any) -> Pair:
    where, row = located
    sides = []
    for answer in (row.chosen, row.rejected):
        conversation = ConversationRow(id=row.id, messages=[*row.prompt, *answer], source=where)
        sides.append(_answer_only(render(conversation, tokenizer)))
    chosen, rejected = sides
    if prompt_ids(chosen) != prompt_ids(rejected):
        raise InputError(
            f"{where}: rejected: an answer's first characters melt into the prompt's last token: remove the "
            "white space before it"
        )
    return Pair(chosen, rejected)


def _answer_only(rendered: Rendered) -> Rendered:
    """Without the labels of earlier turns, and without what the template writes after the stop token."""
    ids, labels = rendered.input_ids, rendered.labels
    trained = [i for i, label in enumerate(labels) if label != IGNORED]
    if not trained:
        raise InputError(f"{rendered.row.source}: no token of the answer would be trained: check the template")
    start = end = trained[-1] + 1
    while start and labels[start - 1] != IGNORED:
        start -= 1
    return Rendered(rendered.row, ids[:end], [IGNORED] * start + labels[start:end])
