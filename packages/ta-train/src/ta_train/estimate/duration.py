"""The time a run takes: the multiplications of its passes over this machine's speed at them.

Letters as in `memory`; W: weights of the layers' matrices, T: trained parameters. Floating point operations,
two for a multiplication and its addition:

| pass | operations |
| --- | --- |
| forward | 2 W N + 2 T N (adapter) + layers 4 a L S + head 2 V h P |
| backward, frozen weights | 2 W N + 4 T N + layers 8 a L S + head 2 V h P |
| backward, full tuning | 4 W N + layers 8 a L S + head 4 V h P |

Gradient checkpointing adds a forward pass of the layers, TRL's head one of the head. Methods with a reference
go forward once more over what they train, KTO a third time; each validation is a forward pass.
Speed: a matrix product of the model's shape is timed and multiplied by EFFICIENCY, the share of it that whole
steps reached; `--probe` takes it from real steps.
"""

import time
from typing import NamedTuple

from ta_train.config import TrainConfig
from ta_train.estimate.batches import Batch, Work
from ta_train.estimate.memory import HEAD_CHUNK, Numerics, computed
from ta_train.estimate.shape import Shape
from ta_train.preference.config import KtoConfig, PreferenceConfig
from ta_train.processor import cpu_threads

EFFICIENCY = {"fast": 0.75, "trl": 0.55}
"""Share of a matrix product's speed that whole steps reach, by engine."""


class Operations(NamedTuple):
    """Of a run, in floating point operations."""

    steps: list[float]
    """Of each optimizer step."""
    besides: float
    """The reference's passes and the validations."""

    @property
    def total(self) -> float:
        """Of the whole run."""
        return sum(self.steps) + self.besides


def operations(config: TrainConfig, shape: Shape, work: Work) -> Operations:
    """What a run multiplies."""
    known = {batch: _training(config, shape, batch) for batch in set(work.training)}
    passes = [known[batch] for batch in work.training]
    steps = [sum(passes[i : i + work.passes]) for i in range(0, len(passes), work.passes)]
    forwards = 1 + isinstance(config, KtoConfig)
    validation = forwards * sum(_forward(config, shape, batch) for batch in work.validation)
    besides = validation * (config.eval_points + 1)
    if isinstance(config, PreferenceConfig) and config.uses_reference:
        # Once a pair: `epochs` go over the same pairs again.
        besides += forwards * sum(_forward(config, shape, b) for b in work.training) / max(1.0, config.epochs)
        besides += validation
    return Operations(steps, besides)


def _forward(config: TrainConfig, shape: Shape, batch: Batch) -> float:
    return _layers(config, shape, batch) + _head(shape, batch)


def _training(config: TrainConfig, shape: Shape, batch: Batch) -> float:
    full = getattr(config, "tuning", "lora") == "full"
    layers, head = _layers(config, shape, batch), _head(shape, batch)
    adapter = 0 if full else 2 * shape.trainable * computed(config, shape, batch)
    total = (3 if full else 2) * (layers + head) + adapter  # an adapter's own gradient is a product more
    attention = _attention(shape, batch)
    total += attention * (0 if full else 1)
    if config.gradient_checkpointing:
        total += layers
    if not shape.fast and not isinstance(config, PreferenceConfig):
        total += head  # TRL computes the head's logits again for the gradient
    if isinstance(config, KtoConfig):
        total += layers + head  # the answers to other prompts
    return total


def _layers(config: TrainConfig, shape: Shape, batch: Batch) -> float:
    adapter = 0 if shape.trainable >= shape.parameters else shape.trainable
    return 2 * (shape.linear + adapter) * computed(config, shape, batch) + _attention(shape, batch)


def _attention(shape: Shape, batch: Batch) -> float:
    return 4.0 * shape.layers * shape.attention * batch.length * batch.places


def _head(shape: Shape, batch: Batch) -> float:
    rows = batch.trained if shape.fast else -(-batch.trained // HEAD_CHUNK) * HEAD_CHUNK
    return 2.0 * shape.vocabulary * shape.hidden * min(rows, batch.places)


def matrix_rate(config: TrainConfig, shape: Shape, numerics: Numerics, *, seconds: float) -> float:
    """Operations a second of a product [1024, hidden] x [hidden, MLP width], timed for about `seconds`."""
    import torch

    if not numerics.gpu:
        torch.set_num_threads(cpu_threads(config.threads))
    device = "cuda" if numerics.gpu else "cpu"
    dtype = torch.bfloat16 if numerics.bfloat16 else torch.float32
    # No random numbers: the run's own must not depend on this.
    x = torch.full((1024, shape.hidden), 0.5, device=device, dtype=dtype)
    weight = torch.full((shape.hidden, shape.intermediate), 0.5, device=device, dtype=dtype)
    one = 2.0 * x.numel() * shape.intermediate

    def timed(seconds: float) -> float:
        products, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds or not products:
            for _ in range(8):
                x @ weight
            if numerics.gpu:
                torch.cuda.synchronize()
            products += 8
        return float(products * one / elapsed)

    timed(seconds / 10)  # the first ones start threads and load kernels
    return timed(seconds)


def in_words(seconds: float) -> str:
    """Such as `9 minutes`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
