"""Prompts: the conversations of a dataset up to their last answer, for methods that sample their own."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from ta_schemas import Artifact, InputError, read_jsonl
from ta_schemas.rows import ConversationRow
from ta_train.rl.config import OnPolicyConfig

Messages = list[dict[str, str]]
"""`[{"role": …, "content": …}]`, as OpenAI and chat templates read them."""


class Prompt(NamedTuple):
    """A row up to its last answer."""

    messages: Messages
    reference: str
    """The answer that stands in the dataset."""
    input_ids: list[int]
    """Rendered by the model's chat template, ready to be answered."""


class Prompts(NamedTuple):
    """What answers are sampled for, and what the result is measured on."""

    train: list[Prompt]
    validation: list[Prompt]
    """At most `eval_rows`, evenly over the split."""


def read_prompts(config: OnPolicyConfig, dataset: Artifact, tokenizer: Any) -> Prompts:
    """Cut every row of the dataset before its last assistant turn.

    Raises InputError: an empty split, a row without an assistant turn, a prompt that with `sample_tokens` more
    would exceed `max_length`, no chat template.
    """
    if not tokenizer.chat_template:
        raise InputError("the base model has no chat template: use its instruct version")
    splits = []
    for split in ("train", "validation"):
        rows = list(read_jsonl(dataset.file(f"{split}.jsonl"), ConversationRow))
        if not rows:
            raise InputError(f"{dataset.path}: the {split} split is empty: add data")
        if split == "validation" and len(rows) > config.eval_rows:
            rows = [rows[i * len(rows) // config.eval_rows] for i in range(config.eval_rows)]
        splits.append([_prompt(config, row, tokenizer) for row in rows])
    return Prompts(*splits)


def _prompt(config: OnPolicyConfig, row: ConversationRow, tokenizer: Any) -> Prompt:
    where = row.source or row.id
    turns = [i for i, message in enumerate(row.messages) if message.role == "assistant"]
    if not turns:
        raise InputError(f"{where}: no assistant turn, so there is nothing to answer")
    messages = [{"role": m.role, "content": m.content} for m in row.messages[: turns[-1]]]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    input_ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(input_ids) + config.sample_tokens > config.max_length:
        raise InputError(
            f"{where}: a prompt of {len(input_ids)} tokens and an answer of {config.sample_tokens} "
            f"(sample_tokens) exceed max_length {config.max_length}: raise it, or lower sample_tokens"
        )
    return Prompt(messages, row.messages[turns[-1]].content, input_ids)


def training_prompts(config: OnPolicyConfig, prompts: Sequence[Prompt], *, per_step: int) -> list[Prompt]:
    """The prompts of the whole run, in the order they are answered: full steps, shuffled anew in each epoch."""
    rng = random.Random(config.seed)
    steps = max(1, round(config.epochs * len(prompts)) // per_step)
    if config.max_steps:
        steps = min(steps, config.max_steps)
    order: list[Prompt] = []
    while len(order) < steps * per_step:
        order += rng.sample(prompts, len(prompts))
    return order[: steps * per_step]
