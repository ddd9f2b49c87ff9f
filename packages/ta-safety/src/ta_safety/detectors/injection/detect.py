"""Is this text an attack on the assistant? detect("Ignore your instructions.") gives score, signature and span.

The score joins the signatures and the classifier, over all views of the text; the worst view counts.
"""

import functools
import math
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ta_safety.detectors.injection.features import Window, span, windows
from ta_safety.detectors.injection.signatures import Hit, hits
from ta_safety.detectors.injection.views import views

Channel = Literal["user", "document"]
CLASSIFIER = 0.95
"""How sure the classifier may be without a signature: just as sure as one good signature."""

PIECE = 20_000
OVERLAP = 1_000
"""Characters; an order longer than the overlap may be cut in two."""

WEIGHTS = Path(__file__).with_name("weights.npz")


class Detection(NamedTuple):
    """`score` is 0 to 1; `technique` names the disguise, `signature` the phrase.

    The span is (0, 0) in a disguise, and in a text whose letters had to be cleaned first.
    """

    score: float
    signature: str = ""
    technique: str = ""
    span: tuple[int, int] = (0, 0)

    @property
    def reason(self) -> str:
        """One sentence."""
        what = _REASONS.get(self.signature, "reads like an attempt to steer the assistant away from its task")
        return f"{what}, hidden by {self.technique}" if self.technique else what


class Model(NamedTuple):
    """Weights of the logistic regression, and the threshold of each channel (fixed on development data)."""

    weights: npt.NDArray[np.float32]
    bias: float
    thresholds: dict[str, float]


_REASONS = {
    "override": "asks the assistant to drop its instructions",
    "prompt-leak": "asks for the assistant's own instructions",
    "persona": "asks the assistant to play one without limits",
    "fake-turn": "imitates the marks of a system message",
    "authority": "claims authority to switch protection off",
    "refusal": "forbids the assistant to refuse",
    "document": "addresses the assistant from inside a document",
    "joined": "asks the assistant to drop its instructions",
    "multilingual": "asks the assistant to drop its instructions",
}


@functools.cache
def model() -> Model:
    """The weights shipped with the package (see training/README.md)."""
    with np.load(WEIGHTS, allow_pickle=False) as file:
        thresholds = {"user": float(file["threshold_user"]), "document": float(file["threshold_document"])}
        return Model(file["weights"].astype(np.float32), float(file["bias"]), thresholds)


def threshold(channel: Channel) -> float:
    """From which score a text of this channel is an attack."""
    return model().thresholds[channel]


def detect(text: str, *, channel: Channel = "user") -> Detection:
    """The strongest evidence over all views; a text without words scores 0.

    A text longer than PIECE is read piece by piece, so that nothing hides in the middle of a long page.
    """
    best = Detection(0.0)
    for start in range(0, max(len(text), 1), PIECE - OVERLAP):
        found = _detect_piece(text[start : start + PIECE])
        if found.score > best.score:
            place = (found.span[0] + start, found.span[1] + start) if found.span != (0, 0) else (0, 0)
            best = found._replace(span=place)
        if start + PIECE >= len(text):
            break
    return best


def _detect_piece(text: str) -> Detection:
    best, worst = Detection(0.0), None
    for technique, view in views(text):
        found = hits(view)
        probability, window = classify(view)
        score = together(found, probability)
        if score > best.score:
            name = found[0].name if found else ""
            where = (found[0].start, found[0].end) if found and view == text else (0, 0)
            best = Detection(score, name, technique, where)
            worst = window if not found and view == text else None
    return best._replace(span=span(text, worst.first, worst.last)) if worst else best


def together(found: list[Hit], probability: float) -> float:
    """Noisy-or of the kinds of signature found and of the classifier, which alone never reaches CLASSIFIER."""
    kinds: dict[str, float] = {}
    for hit in found:
        kinds[hit.name] = max(kinds.get(hit.name, 0.0), hit.weight)
    harmless = 1.0 - CLASSIFIER * probability**2
    for weight in kinds.values():
        harmless *= 1.0 - weight
    return 1.0 - harmless


def classify(text: str) -> tuple[float, Window | None]:
    """Probability of the worst window by the classifier alone, and that window; none without words."""
    trained = model()
    scored = [
        (float(trained.weights[window.indices].sum()) / math.sqrt(len(window.indices)), window)
        for window in windows(text)
    ]
    if not scored:
        return 0.0, None
    logit, worst = max(scored, key=lambda pair: pair[0])
    return 1.0 / (1.0 + math.exp(-(logit + trained.bias))), worst
