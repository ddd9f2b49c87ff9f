"""In which order the rows are trained: breadth first under a short budget, little padding, a seed."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

from ta_schemas.rows import ConversationKind
from ta_train.render import Rendered

T = TypeVar("T")

CORE_GROUP_TASKS = 4
"""A group with so many training tasks is a core of the domain: what is learned of one task helps the others."""


def training_order(
    rows: Sequence[Rendered],
    *,
    order: str,
    epochs: float,
    batch_size: int,
    seed: int,
    repeat: Mapping[ConversationKind, int] | None = None,
) -> list[int]:
    """Row indices for the whole run; the trainer takes them in sequence.

    `task-first` walks rounds: each round holds one conversation of every task. `core-first` does so with the
    core of the domain (groups of at least 4 tasks, and everything that warns, asks back or refuses), then with
    the rest. `shuffle` mixes all rows.
    `repeat` says how often rows of a kind appear in an epoch (once where it says nothing).
    Within windows of 8 batches rows are sorted by length, which cuts the padding, and the batches shuffled.
    """
    rng = random.Random(seed)
    indices: list[int] = []
    copies = [(repeat or {}).get(rendered.row.kind, 1) for rendered in rows]
    whole, part = divmod(round(epochs * sum(copies)), sum(copies))
    for epoch in range(whole + (part > 0)):
        if order == "shuffle":
            one = _shuffled([i for i, count in enumerate(copies) for _ in range(count)], rng)
        else:
            core = _core(rows) if order == "core-first" else set(range(len(rows)))
            rest = [i for i in range(len(rows)) if i not in core]
            one = _task_rounds(rows, sorted(core), copies, rng) + _task_rounds(rows, rest, copies, rng)
        indices += one if epoch < whole else one[:part]
    window = 8 * batch_size
    batched: list[int] = []
    for start in range(0, len(indices), window):
        by_length = sorted(indices[start : start + window], key=lambda i: (len(rows[i].input_ids), i))
        batches = [by_length[i : i + batch_size] for i in range(0, len(by_length), batch_size)]
        # A short last batch stays last, so that every other batch is full.
        tail = [batches.pop()] if len(batches[-1]) < batch_size else []
        rng.shuffle(batches)
        batched += [i for batch in batches + tail for i in batch]
    return batched


def _core(rows: Sequence[Rendered]) -> set[int]:
    tasks: dict[str, set[str]] = defaultdict(set)
    for rendered in rows:
        tasks[rendered.row.group].add(rendered.row.task or rendered.row.id)
    return {
        i
        for i, rendered in enumerate(rows)
        if len(tasks[rendered.row.group]) >= CORE_GROUP_TASKS or rendered.row.kind != "answer"
    }


def _task_rounds(
    rows: Sequence[Rendered], members: Sequence[int], copies: Sequence[int], rng: random.Random
) -> list[int]:
    by_task: dict[tuple[str, int], list[int]] = defaultdict(list)
    for i in members:
        for copy in range(copies[i]):  # a copy is a task of its own, so that it stands in the same round
            by_task[rows[i].row.task or rows[i].row.id, copy].append(i)
    queues = [_shuffled(indices, rng) for _, indices in sorted(by_task.items())]
    rounds: list[int] = []
    while queues:
        rounds += [queue.pop() for queue in _shuffled(queues, rng)]
        queues = [queue for queue in queues if queue]
    return rounds


def _shuffled(items: Sequence[T], rng: random.Random) -> list[T]:
    copy = list(items)
    rng.shuffle(copy)
    return copy
