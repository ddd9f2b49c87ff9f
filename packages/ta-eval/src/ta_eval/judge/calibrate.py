"""Can the judge be believed? Its labels beside people's on the same items."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ta_eval.agree import read_ratings
from ta_eval.stats import MIN_LABELS, cohen_kappa, prediction_powered, win_rate
from ta_schemas import InputError
from ta_schemas.reports import Interval

OUTCOMES = {"candidate": 1.0, "base": 0.0, "tie": 0.5, "both_bad": 0.5, "good": 1.0, "bad": 0.0}
"""What people may say of a pair, and of a single answer."""


def read_labels(file: Path, *, single: bool) -> dict[str, float]:
    """Item: mean outcome of its raters, from `item, rater, label`. InputError for another label."""
    allowed = {"good", "bad"} if single else {"candidate", "base", "tie", "both_bad"}
    means = {}
    for item, ratings in read_ratings(file).items():
        for label in ratings.values():
            if label not in allowed:
                known = ", ".join(sorted(allowed))
                raise InputError(f"{file}: item {item!r}: label {label!r}: expected one of {known}")
        means[item] = sum(OUTCOMES[label] for label in ratings.values()) / len(ratings)
    return means


def calibrate(judged: Mapping[str, float], human: Mapping[str, float], *, single: bool) -> dict[str, Any]:
    """Agreement, Cohen's kappa, confusion and, with 50 labels or more, the corrected rate.

    `judged` and `human` are outcomes by item (1 candidate or good, 0 base or bad). InputError where no item
    has both.
    """
    both = [item for item in judged if item in human]
    if not both:
        raise InputError("no labelled item was judged: are the labels of the same items?")
    ours, theirs = ([_class(values[item], single) for item in both] for values in (judged, human))
    confusion = Counter(f"{person}, judge {judge}" for person, judge in zip(theirs, ours, strict=True))
    corrected: Interval | None = None
    if len(both) >= MIN_LABELS:
        corrected = prediction_powered(
            [human[item] for item in both],
            [judged[item] for item in both],
            [outcome for item, outcome in judged.items() if item not in human],
        )
    return {
        "labels": len(both),
        "agreement": win_rate([float(a == b) for a, b in zip(ours, theirs, strict=True)]).model_dump(),
        "kappa": cohen_kappa(theirs, ours).model_dump(),
        "confusion": {f"people {key}": count for key, count in sorted(confusion.items())},
        "human_rate": win_rate([human[item] for item in both]).model_dump(),
        "corrected": corrected.model_dump() if corrected else None,
    }


def allowed(calibration: dict[str, Any] | None, min_kappa: float) -> str:
    """Why the judge is not allowed a verdict, or an empty string."""
    if calibration is None:
        return "it was not compared with people: pass --labels (ta-eval ab makes them)"
    kappa = calibration["kappa"]
    if calibration["corrected"] is None:
        return f"{calibration['labels']} human labels are fewer than {MIN_LABELS}"
    if "undefined" in kappa["method"] or kappa["estimate"] < min_kappa:
        return f"its kappa with people is {kappa['estimate']:.2f}, below {min_kappa:g}"
    return ""


def _class(outcome: float, single: bool) -> str:
    if single:
        return "good" if outcome >= 0.5 else "bad"
    return "tie" if outcome == 0.5 else "candidate" if outcome > 0.5 else "base"
