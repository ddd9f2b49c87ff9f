"""Is a question on the domain? A small classifier, trained from the domain's own questions in seconds.

model = train_scope(dataset)      # a ta-data dataset: what is off the domain against what is on it
model.save(path); ScopeModel.load(path).score("best pizza in Rome")   # 0 on the domain … 1 off it
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ta_safety.detectors.injection.features import SIZE, windows
from ta_schemas import ArtifactError, InputError, read_jsonl
from ta_schemas.rows import ConversationRow

STEPS = 300
MIN_OUT_OF_SCOPE = 20
"""With fewer examples of what is off the domain there is nothing to learn from."""

MAX_REFUSED = 0.01
"""Share of the domain's own validation questions that may be called off-domain."""


@dataclass(frozen=True)
class ScopeModel:
    """Weights of a logistic regression over hashed n-grams."""

    weights: npt.NDArray[np.float32]
    bias: float
    threshold: float

    def score(self, text: str) -> float:
        """Probability that a question is off the domain; a text without words is on it."""
        parts = windows(text)[:4]
        if not parts:
            return 0.0
        logits = [float(self.weights[p.indices].sum() / np.sqrt(len(p.indices))) + self.bias for p in parts]
        return float(1.0 / (1.0 + np.exp(-min(logits))))  # one part on the domain is enough

    def save(self, path: Path) -> None:
        """Write an .npz that holds numbers only; it appears whole or not at all."""
        partial = path.with_name(f"{path.name}.partial")
        with partial.open("wb") as stream:
            np.savez_compressed(
                stream, weights=self.weights.astype(np.float16), bias=self.bias, threshold=self.threshold
            )
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "ScopeModel":
        """Read what `save` wrote; nothing is unpickled."""
        try:
            with np.load(path, allow_pickle=False) as file:
                weights = file["weights"].astype(np.float32)
                if weights.shape != (SIZE,):
                    raise ValueError(f"{weights.shape[0]} weights, expected {SIZE}")
                return cls(weights, float(file["bias"]), float(file["threshold"]))
        except (OSError, KeyError, ValueError) as error:
            raise ArtifactError(f"{path}: no scope model ({error}): make it with `ta-safety scope`") from None


def train_scope(dataset: Path) -> ScopeModel:
    """Train on `train.jsonl` of a dataset, fix the threshold on `validation.jsonl`.

    Raises InputError where the data has too few out-of-scope questions.
    """
    texts, labels = _questions(dataset / "train.jsonl")
    if sum(labels) < MIN_OUT_OF_SCOPE or sum(labels) == len(labels):
        raise InputError(
            f"{dataset / 'train.jsonl'}: {sum(labels)} questions of kind out-of-scope, "
            f"at least {MIN_OUT_OF_SCOPE} are needed beside those on the domain: write some, "
            "or leave the scope rail off"
        )
    weights, bias = _fit(texts, np.array(labels, dtype=np.float32))
    model = ScopeModel(weights, bias, 0.5)
    held_out, off = _questions(dataset / "validation.jsonl")
    own = [model.score(text) for text, label in zip(held_out, off, strict=True) if not label]
    threshold = float(np.clip(np.quantile(own, 1 - MAX_REFUSED), 0.2, 0.99)) if own else 0.9
    return ScopeModel(weights, bias, threshold)


def _questions(file: Path) -> tuple[list[str], list[int]]:
    """First questions, and 1 for those off the domain.

    Off it are rows of kind out-of-scope, and rows under another system prompt than most have: general talk that
    is rehearsed so that tuning does not make the model forget it.
    """
    rows = list(read_jsonl(file, ConversationRow))
    prompts = [next((m.content for m in row.messages if m.role == "system"), "") for row in rows]
    usual = Counter(prompts).most_common(1)[0][0] if rows else ""
    texts, labels = [], []
    for row, prompt in zip(rows, prompts, strict=True):
        first = next((message.content for message in row.messages if message.role == "user"), "")
        if first:
            texts.append(first)
            labels.append(int(row.kind == "out-of-scope" or prompt != usual))
    return texts, labels


def _fit(texts: list[str], labels: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], float]:
    """Logistic regression with balanced classes by Nesterov's gradient descent; 300 steps settle it."""
    parts = [windows(text)[0].indices if windows(text) else np.zeros(1, dtype=np.int64) for text in texts]
    columns = np.concatenate(parts)
    rows = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    values = np.concatenate([np.full(len(p), 1 / np.sqrt(len(p))) for p in parts])
    share = labels.mean()
    importance = np.where(labels > 0, 0.5 / share, 0.5 / (1 - share)) / len(labels)
    weights = np.zeros(SIZE)
    velocity = np.zeros(SIZE)
    bias = bias_velocity = 0.0
    for _ in range(STEPS):
        ahead = weights + 0.9 * velocity
        logits = np.bincount(rows, values * ahead[columns], minlength=len(parts)) + bias + 0.9 * bias_velocity
        error = (1 / (1 + np.exp(-logits)) - labels) * importance
        gradient = np.bincount(columns, values * error[rows], minlength=SIZE) + 1e-5 * ahead
        velocity = 0.9 * velocity - 4.0 * gradient
        bias_velocity = 0.9 * bias_velocity - 4.0 * float(error.sum())
        weights += velocity
        bias += bias_velocity
    return weights.astype(np.float32), float(bias)
