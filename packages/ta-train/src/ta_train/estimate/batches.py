"""The forward passes of a run by their sizes: what memory and time follow from."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ta_train.arguments import optimizer_steps
from ta_train.config import SftConfig, TrainConfig
from ta_train.order import training_order
from ta_train.preference.config import PreferenceConfig
from ta_train.preference.rows import Pair
from ta_train.processes import rank, world_size
from ta_train.render import IGNORED, Rendered

Item = Sequence[Rendered]
"""The rows that stand in a batch together: a conversation, or both answers of a pair."""


class Batch(NamedTuple):
    """One forward pass."""

    rows: int
    length: int
    """Tokens of its longest row; the others are padded to it."""
    nodes: int
    """Different prefixes: what is computed where rows that begin alike share it (`ta_train.fast.pack`)."""
    trained: int
    """Tokens with a label."""
    answer: int
    """Columns from the first label on."""
    tokens: int
    """Without padding."""

    @property
    def places(self) -> int:
        """Tokens with padding."""
        return self.rows * self.length


class Work(NamedTuple):
    """All forward passes of a run on one process."""

    training: list[Batch]
    """In their order; `passes` of them make an optimizer step."""
    validation: list[Batch]
    """Of one validation."""
    passes: int

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return math.ceil(len(self.training) / self.passes)

    def tokens(self, step: int) -> int:
        """Tokens of an optimizer step, the first one being 0."""
        return sum(batch.tokens for batch in self.training[step * self.passes : (step + 1) * self.passes])


def batch_of(rows: Sequence[Rendered]) -> Batch:
    """The sizes of a batch of these rows."""
    ids = sorted(row.input_ids for row in rows)
    shared = sum(_common(a, b) for a, b in pairwise(ids))
    tokens = sum(map(len, ids))
    length = max(map(len, ids))
    first = min(next((i for i, label in enumerate(row.labels) if label != IGNORED), length) for row in rows)
    return Batch(
        rows=len(rows),
        length=length,
        nodes=tokens - shared,
        trained=sum(label != IGNORED for row in rows for label in row.labels[1:]),
        answer=length - first + 1,
        tokens=tokens,
    )


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two rows begin with alike."""
    different = (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    return next(different, min(len(a), len(b)))


def sft_work(config: SftConfig, train: Sequence[Rendered], validation: Sequence[Rendered]) -> Work:
    """The passes of `ta_train.sft`."""
    order = training_order(
        train,
        order=config.order,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        repeat=config.repeat,
    )
    return _work(config, [[train[i]] for i in order], [[row] for row in validation])


def pair_work(config: PreferenceConfig, train: Sequence[Pair], validation: Sequence[Pair]) -> Work:
    """The passes of `ta_train.preference`: both answers of a pair are rows of a batch."""
    order = training_order(
        [pair.longer for pair in train],
        order="shuffle",
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    both = [[pair.chosen, pair.rejected] for pair in train]
    return _work(config, [both[i] for i in order], [[pair.chosen, pair.rejected] for pair in validation])


def _work(config: TrainConfig, train: Sequence[Item], validation: Sequence[Item]) -> Work:
    passes = config.gradient_accumulation
    wanted = optimizer_steps(config, len(train)) * passes * world_size()
    training = _batches(train[: wanted * config.batch_size], config.batch_size)
    return Work(training[rank() :: world_size()], _batches(validation, config.batch_size), passes)


def _batches(items: Sequence[Item], size: int) -> list[Batch]:
    return [
        batch_of([row for item in items[start : start + size] for row in item])
        for start in range(0, len(items), size)
    ]
