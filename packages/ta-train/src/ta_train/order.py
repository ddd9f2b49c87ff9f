"""In which order the rows are trained: breadth first under a short budget, little padding, a seed."""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

from ta_train.render import Rendered

T = TypeVar("T")


def training_order(
    rows: Sequence[Rendered], *, order: str, epochs: float, batch_size: int, seed: int
) -> list[int]:
    """Row indices for the whole run; the trainer takes them in sequence.

    `task-first` walks rounds: each round holds one conversation of every task. `shuffle` mixes all rows.
    Within windows of 8 batches rows are sorted by length, which cuts the padding, and the batches shuffled.
    """
    rng = random.Random(seed)
    indices: list[int] = []
    whole, part = divmod(round(epochs * len(rows)), len(rows))
    for epoch in range(whole + (part > 0)):
        one = _task_rounds(rows, rng) if order == "task-first" else _shuffled(range(len(rows)), rng)
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


def _task_rounds(rows: Sequence[Rendered], rng: random.Random) -> list[int]:
    by_task: dict[str, list[int]] = defaultdict(list)
    for i, rendered in enumerate(rows):
        by_task[rendered.row.task or rendered.row.id].append(i)
    queues = [_shuffled(members, rng) for _, members in sorted(by_task.items())]
    rounds: list[int] = []
    while queues:
        rounds += [queue.pop() for queue in _shuffled(queues, rng)]
        queues = [queue for queue in queues if queue]
    return rounds


def _shuffled(items: Sequence[T], rng: random.Random) -> list[T]:
    copy = list(items)
    rng.shuffle(copy)
    return copy
