"""The training curves: a picture, and a sentence that says whether the run over- or underfits, and why."""

import json
from pathlib import Path
from typing import Any

OVERFIT_RISE = 0.03
"""Validation loss this share above its own minimum, at the end: overfitting."""
STILL_FALLING = 0.03
"""Validation loss still falling by this share over the last third of the run: underfitting."""


PALE, DARK, RED = "#9db4c0", "#253237", "#c1121f"
PAIRS = "validation_reward_accuracy"
"""What a validation over preference pairs measures beside the loss."""


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def fit_sentence(metrics: list[dict[str, Any]]) -> str:
    """Judge the fit from the validation losses; the rule stands in the sentence."""
    points = [(m["step"], m["validation_loss"]) for m in metrics if "validation_loss" in m]
    if len(points) < 3:
        return f"Too few validation points ({len(points)}) to judge over- or underfitting; raise eval_points."
    last_step, last = points[-1]
    best_step, best = min(points, key=lambda point: point[1])
    if last > best * (1 + OVERFIT_RISE):
        return (
            f"It overfits: validation loss rose from {best:.3f} (step {best_step}) to {last:.3f} "
            f"(step {last_step}), more than {OVERFIT_RISE:.0%} above its minimum. "
            "Train fewer epochs or add data."
        )
    accuracies = [(m["step"], m[PAIRS]) for m in metrics if PAIRS in m]
    if accuracies:
        return _fit_of_pairs(accuracies)
    earlier = [loss for step, loss in points if step <= last_step * 2 / 3][-1]
    fall = (earlier - last) / earlier if earlier else 0.0  # a hinge loss can be exactly 0
    if fall > STILL_FALLING:
        return (
            f"It underfits: validation loss still fell by {fall:.1%} over the last third of the run "
            f"(to {last:.3f}), more than {STILL_FALLING:.0%}. More steps would help."
        )
    return (
        f"The fit is even: validation loss {last:.3f} is within {OVERFIT_RISE:.0%} of its minimum {best:.3f} "
        f"and fell by less than {STILL_FALLING:.0%} over the last third of the run."
    )


def _fit_of_pairs(accuracies: list[tuple[int, float]]) -> str:
    """A preference loss falls as long as margins grow: what counts is how many pairs are put right."""
    last_step, last = accuracies[-1]
    before = accuracies[0][1]
    earlier = [share for step, share in accuracies if step <= last_step * 2 / 3][-1]
    ahead = f"the chosen answer is ahead in {last:.0%} of the validation pairs ({before:.0%} before)"
    if last > earlier:
        return f"It still learns: {ahead}, {earlier:.0%} a third of the run ago. More steps may help."
    return (
        f"The fit is even: {ahead} and no more than a third of the run ago. More steps would widen margins and "
        "leave the model further from where it started."
    )


def plot_curves(metrics: list[dict[str, Any]], file: Path) -> None:
    """Draw training and validation loss over steps, below learning rate, gradient norm and tokens/s, to a PNG.

    Between them the reward or its margin, where there is one.
    """
    from matplotlib.figure import Figure

    train = [m for m in metrics if "loss" in m]
    reward = next((key for key in ("reward_margin", "reward") if any(key in m for m in train)), "")
    panels = [key for key in ("learning_rate", "gradient_norm", "tokens_per_s") if any(key in m for m in train)]
    heights = [3, *([2] if reward else []), *[1 for _ in panels]]
    figure = Figure(figsize=(7, 1 + sum(heights)), layout="constrained")
    loss, *others = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    steps, raw = _points(metrics, "loss")
    loss.plot(steps, raw, color=PALE, linewidth=0.8, label="training, each step")
    loss.plot(steps, _smoothed(raw), color=DARK, label="training, smoothed")
    loss.plot(*_points(metrics, "validation_loss"), color=RED, marker="o", label="validation")
    loss.set_ylabel("loss" if reward else "loss (nats per trained token)")
    loss.set_ylim(bottom=min(0, *raw))
    loss.legend(frameon=False)
    if reward:
        axes = others.pop(0)
        axes.plot(*_points(metrics, reward), color=PALE)
        axes.plot(*_points(metrics, f"validation_{reward}"), color=RED)
        axes.set_ylabel(reward.replace("_", " "))
    for key, axes in zip(panels, others, strict=True):
        axes.plot(*_points(metrics, key), color=DARK)
        axes.set_ylabel("tokens/s" if key == "tokens_per_s" else key.replace("_", " "))
        axes.set_ylim(bottom=0)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    figure.axes[-1].set_xlabel("optimizer step")
    figure.align_ylabels()
    figure.savefig(file, dpi=120)


def _points(metrics: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Steps and values of the lines that have it."""
    found = [(m["step"], m[key]) for m in metrics if key in m]
    return [step for step, _ in found], [value for _, value in found]


def _smoothed(values: list[float], keep: float = 0.9) -> list[float]:
    """Exponential moving average, corrected for its start as in Adam (Kingma and Ba 2015)."""
    average, out = 0.0, []
    for i, value in enumerate(values, start=1):
        average = keep * average + (1 - keep) * value
        out.append(average / (1 - keep**i))
    return out
