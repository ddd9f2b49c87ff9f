"""The memory a run takes at its peak, part by part, from its largest forward pass.

N: tokens that are computed (fast engine: different prefixes; packed: all; else all and the padding).
S: tokens with padding, L: the longest row, P: trained tokens, V: vocabulary, h: hidden, m: MLP width, a and g:
width of all query and of all key heads, H: query heads, r: rank. c: bytes of a number in the products, 4 in
float32 and 2 in bfloat16.

| part | bytes |
| --- | --- |
| libraries | measured: what this process holds with all imported that a run imports; TRAINER_BYTES |
| weights | 4 a parameter (fast engine: c in the layers' matrices); on a GPU c; or NF4 |
| replaced weights | fast engine: 4 a parameter of the layers' matrices (freed singly, the heap keeps them) |
| trained | AdamW's moments, 8 a trained parameter; an adapter itself 4 more (fast engine: 8, a copy) |
| gradients | 4 a trained parameter; full tuning: 8 V h + what is beyond the activations, which go first |
| activations | layers x layer; with checkpointing layers x 4 N h + layer |
| backward | what a layer's backward pass makes besides, or the head's logits, whichever is more |
| heap | holes between them that nothing fits into (glibc; none on a GPU): HOLES x layers x N m c |

layer, fast engine: N (8 h + c (2 h + a + 7 r + 3 m)) + S (c (a + 2 g) + 4 H L)
layer, transformers: N (8 h + c (2 h + 5 a + 7 r + 4 m)), with attention eager 4 H L S more
"""

from typing import NamedTuple

from ta_train.config import TrainConfig
from ta_train.estimate.batches import Batch, Work
from ta_train.estimate.shape import Shape
from ta_train.preference.config import PreferenceConfig

HEAD_CHUNK = 256
"""Rows of logits at a time, in the fast engine and in TRL's head."""
HEAD_COPIES = {"fast": 2, "trl": 5}
"""Matrices of the logits' size at once, by engine."""
HOLES = {"peft": 4.5, "other": 2.0}
"""What the heap loses in each layer, in matrices of N x m, fitted to measured peaks: PEFT's sums leave more
pieces between what is kept."""
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""A weight in NF4: 4 bits, and its share of a scale in 8 bits for 64 weights and one in 32 for 256 scales
(Dettmers et al. 2023, https://arxiv.org/abs/2305.14314, section 3)."""
TRAINER_BYTES = 80 * 10**6
"""Trainer, tables and threads: by so much measured peaks were above the other parts, in the mean."""
CUDA_BYTES = 500 * 10**6
"""CUDA's context and the libraries' workspaces: assumed, not measured."""


class Memory(NamedTuple):
    """Bytes, by part; see the module."""

    libraries: int
    weights: int
    replaced_weights: int
    trained: int
    gradients: int
    activations: int
    backward: int
    heap: int
    probed: int = 0
    """What a probe held above or below its own estimate."""

    @property
    def peak(self) -> int:
        """All parts together."""
        return sum(self)


class Numerics(NamedTuple):
    """Where and in what a run multiplies."""

    gpu: bool
    bfloat16: bool

    @property
    def bytes(self) -> int:
        """Of a number in the products."""
        return 2 if self.bfloat16 else 4


def largest_pass(config: TrainConfig, shape: Shape, work: Work, numerics: Numerics) -> tuple[Batch, Memory]:
    """The forward pass that takes the most, and what it takes; `libraries` is 0 here."""
    each = [(batch, memory(config, shape, batch, numerics)) for batch in set(work.training)]
    return max(each, key=lambda found: found[1].peak)


def memory(
    config: TrainConfig, shape: Shape, batch: Batch, numerics: Numerics, *, libraries: int = 0
) -> Memory:
    """The memory of a run whose largest forward pass is `batch`."""
    c = numerics.bytes
    full = getattr(config, "tuning", "lora") == "full"
    layer = _layer(config, shape, batch, c)
    if config.gradient_checkpointing:
        kept = shape.layers * 4 * computed(config, shape, batch) * shape.hidden + layer
    else:
        kept = shape.layers * layer
    adapter = 8 if shape.fast else 4
    gradients = 4 * shape.trainable
    if full:  # the embedding gets two, from the head and from the input, which are added up
        twice = 8 * shape.vocabulary * shape.hidden
        # With accumulation those of the passes before are there already.
        gradients = twice + (gradients if config.gradient_accumulation > 1 else max(0, gradients - kept))
    return Memory(
        libraries=CUDA_BYTES if numerics.gpu else libraries,
        weights=_weights(config, shape, numerics, full),
        replaced_weights=4 * shape.linear if shape.fast else 0,
        trained=shape.trainable * (8 if full else 8 + adapter),
        gradients=gradients,
        activations=kept,
        backward=max(_layer_backward(config, shape, batch, c), _head(config, shape, batch)),
        heap=0 if numerics.gpu else _heap(config, shape, batch, c),
    )


def computed(config: TrainConfig, shape: Shape, batch: Batch) -> int:
    """N: tokens that go through the layers."""
    if shape.fast:
        return batch.nodes
    return batch.tokens if getattr(config, "packing", False) else batch.places


def _layer(config: TrainConfig, shape: Shape, batch: Batch, c: int) -> int:
    n, h, m, a, g = (
        computed(config, shape, batch),
        shape.hidden,
        shape.intermediate,
        shape.attention,
        shape.groups,
    )
    low = 7 * config.lora_rank
    scores = 4 * shape.heads * batch.length * batch.places
    if shape.fast:
        return n * (8 * h + c * (2 * h + a + low + 3 * m)) + batch.places * c * (a + 2 * g) + scores
    return n * (8 * h + c * (2 * h + 5 * a + low + 4 * m)) + (scores if config.attention == "eager" else 0)


def _layer_backward(config: TrainConfig, shape: Shape, batch: Batch, c: int) -> int:
    pieces = 6 if shape.fast else 4  # of the MLP's width
    return computed(config, shape, batch) * c * (shape.hidden + pieces * shape.intermediate)


def _head(config: TrainConfig, shape: Shape, batch: Batch) -> int:
    """Logits are float32 whatever the products are."""
    if shape.fast:
        rows = HEAD_COPIES["fast"] * min(batch.trained, HEAD_CHUNK)
    elif isinstance(config, PreferenceConfig):
        # From the first answer on, with gradient, and twice those that are scored.
        rows = 2 * batch.rows * batch.answer + 2 * batch.trained
    else:
        rows = HEAD_COPIES["trl"] * min(batch.places, HEAD_CHUNK)
    return 4 * shape.vocabulary * rows


def _heap(config: TrainConfig, shape: Shape, batch: Batch, c: int) -> int:
    peft = not shape.fast and shape.trainable < shape.parameters
    holes = HOLES["peft" if peft else "other"]
    return round(holes * shape.layers * computed(config, shape, batch) * c * shape.intermediate)


def _weights(config: TrainConfig, shape: Shape, numerics: Numerics, full: bool) -> int:
    c, rest = numerics.bytes, shape.parameters - shape.linear
    if (
        config.quantization == "nf4"
    ):  # PEFT keeps what is not quantized in float32; one matrix at a time unpacked
        return round(NF4_BYTES * shape.linear) + 4 * rest + c * shape.largest
    if numerics.gpu and not full:
        return c * shape.parameters
    if shape.fast and numerics.bfloat16:  # and a copy of the head
        return c * shape.linear + 4 * rest + c * shape.vocabulary * shape.hidden
    if numerics.bfloat16 and not numerics.gpu:  # autocast keeps a bfloat16 copy of each matrix for the gradient
        return 4 * shape.parameters + 2 * shape.linear
    return 4 * shape.parameters
