"""From conversations to tokens and labels: only what the assistant says is trained, its stop token included."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ta_schemas import InputError
from ta_schemas.rows import ConversationRow

IGNORED = -100
"""The label that PyTorch's cross entropy leaves out."""


class Rendered(NamedTuple):
    """A conversation as the model sees it."""

    row: ConversationRow
    input_ids: list[int]
    labels: list[int]
    """As long as `input_ids`; IGNORED where nothing is trained."""


def render(row: ConversationRow, tokenizer: Any) -> Rendered:
    """Render with the model's own chat template and mark each assistant turn up to its stop token.

    The prompt of a turn is rendered exactly as at inference (`add_generation_prompt`), so the tokens trained
    are the tokens that will have to be generated. Raises InputError where a template cannot be cut that way.
    """
    messages = [{"role": m.role, "content": m.content} for m in row.messages]
    text = _template(tokenizer, messages)
    spans = []
    for i, message in enumerate(messages):
        if message["role"] == "assistant":
            prompt = _template(tokenizer, messages[:i], add_generation_prompt=True)
            turn = _template(tokenizer, messages[: i + 1])
            if not (text.startswith(prompt) and text.startswith(turn)):
                raise InputError(
                    f"{row.source or row.id}: the chat template rewrites earlier turns, so the assistant's "
                    f"tokens cannot be told apart (message {i + 1})"
                )
            spans.append((len(prompt), len(turn.rstrip())))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    labels = [
        token if any(start <= first and last <= end for start, end in spans) and first < last else IGNORED
        for token, (first, last) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    return Rendered(row, encoded["input_ids"], labels)


def render_all(rows: Sequence[ConversationRow], tokenizer: Any, *, max_length: int) -> list[Rendered]:
    """Render every row and refuse what would train badly in silence.

    Raises InputError: a row longer than `max_length` (its answer would be cut), no token or every token
    trained, a stop token that is never trained.
    """
    if not tokenizer.chat_template:
        raise InputError("the base model has no chat template: use its instruct version")
    rendered = [render(row, tokenizer) for row in rows]
    too_long = [r for r in rendered if len(r.input_ids) > max_length]
    if too_long:
        worst = max(too_long, key=lambda r: len(r.input_ids))
        raise InputError(
            f"{worst.row.source or worst.row.id}: {len(worst.input_ids)} tokens, max_length is {max_length}: "
            f"the answer would be cut ({len(too_long)} such rows): raise max_length or split them"
        )
    trained = sum(label != IGNORED for r in rendered for label in r.labels)
    total = sum(len(r.labels) for r in rendered)
    if trained == 0:
        raise InputError(f"0 of {total} tokens would be trained: the rows hold no assistant answer")
    if trained == total:
        raise InputError(f"all {total} tokens would be trained, the prompts too: the template marks no turns")
    untrained = next((r for r in rendered if all(label == IGNORED for label in r.labels)), None)
    if untrained:
        raise InputError(f"{untrained.row.source or untrained.row.id}: no token of this row would be trained")
    if all(label != tokenizer.eos_token_id for r in rendered for label in r.labels):
        raise InputError(
            f"the stop token {tokenizer.eos_token!r} is never trained: the model would not learn to stop; "
            "check the chat template and the tokenizer's eos_token"
        )
    return rendered


def _template(tokenizer: Any, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
    return str(
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
    )
