"""One GGUF file measured: likelihood of known answers, distance to the reference, speed, memory."""

import math
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ta_serve.parity.llama_model import LlamaModel
from ta_serve.quant_study.texts import Text

if TYPE_CHECKING:
    import numpy as np

REPEATS = 3
DECODED = 48
"""Tokens of an answer that is timed."""


class Quality(NamedTuple):
    """Over the tokens of the answers."""

    perplexity: float
    kl: float
    """Mean Kullback-Leibler divergence of the reference from this file, in nats a token."""
    top1: float
    """Share of places where both find the same token likeliest."""
    tokens: int


class Speed(NamedTuple):
    """Medians of three runs, one conversation at a time."""

    tokens_per_s: float
    first_token_s: float
    """Seconds from a prompt to its first token."""
    prompt_tokens: int


class Measured(NamedTuple):
    """All of a file."""

    quality: Quality
    speed: Speed
    memory_mib: float
    """Largest resident size of the process while it decoded, weights and cache included."""


def measure(file: str, texts: Sequence[Text], reference: str, *, is_reference: bool, threads: int) -> Measured:
    """Measure in this process. `reference`: a folder for the reference's log-probabilities, float32."""
    longest = max(len(text.ids) for text in texts) + DECODED
    model = LlamaModel(Path(file), context_tokens=longest, threads=threads)
    speed = _speed(model, texts)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    quality = _quality(model, texts, Path(reference), is_reference=is_reference)
    model.close()
    return Measured(quality, speed, memory)


def _speed(model: LlamaModel, texts: Sequence[Text]) -> Speed:
    typical = sorted(texts, key=lambda text: text.start)[len(texts) // 2]
    prompt = typical.ids[: typical.start]
    first, rates = [], []
    for repeat in range(REPEATS + 1):
        started = time.perf_counter()
        answer = model.greedy(prompt, count=DECODED)
        next(answer)
        at_first = time.perf_counter()
        rest = sum(1 for _ in answer)
        if repeat:  # the first run reads the file
            first.append(at_first - started)
            rates.append(rest / (time.perf_counter() - at_first))
    return Speed(statistics.median(rates), statistics.median(first), len(prompt))


def _quality(model: LlamaModel, texts: Sequence[Text], folder: Path, *, is_reference: bool) -> Quality:
    import numpy as np

    loss = kl = 0.0
    same = tokens = 0
    for number, text in enumerate(texts):
        own = _log_softmax(model.logits(text.ids[:-1], start=text.start - 1))
        answer = text.ids[text.start :]
        kept = folder / f"{number}.npy"
        if is_reference:
            np.save(kept, own)
        theirs = own if is_reference else np.load(kept, mmap_mode="r")
        loss -= float(own[np.arange(len(answer)), answer].sum())
        kl += float((np.exp(theirs) * (theirs - own)).sum())
        same += int((own.argmax(axis=1) == theirs.argmax(axis=1)).sum())
        tokens += len(answer)
    return Quality(math.exp(loss / tokens), max(kl / tokens, 0.0), same / tokens, tokens)


def _log_softmax(logits: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    import numpy as np

    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # type: ignore[no-any-return]
