from pathlib import Path
from typing import Any

import pytest

from ta_train.curves import fit_sentence, plot_curves


def metrics(losses: list[float]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [{"step": s, "loss": 1.0, "learning_rate": 1e-3} for s in range(1, 61)]
    return lines + [{"step": i * 10, "validation_loss": loss} for i, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        (
            [2.0, 1.0, 0.8, 0.7, 0.8, 0.9, 1.0],
            "It overfits: validation loss rose from 0.700 (step 30) to 1.000",
        ),
        ([2.0, 1.8, 1.6, 1.4, 1.2, 1.0, 0.8], "It underfits: validation loss still fell by 33.3%"),
        ([2.0, 1.0, 0.9, 0.81, 0.80, 0.795, 0.79], "The fit is even"),
        ([2.0, 1.0], "Too few validation points (2)"),
    ],
)
def test_the_fit_is_judged_by_the_stated_rule(losses: list[float], verdict: str) -> None:
    assert fit_sentence(metrics(losses)).startswith(verdict)


@pytest.mark.parametrize(
    ("losses", "accuracies", "verdict"),
    [
        ([0.69, 0.6, 0.5, 0.4], [0.5, 0.6, 0.6, 0.8], "It still learns: the chosen answer is ahead in 80%"),
        ([0.69, 0.5, 0.4, 0.3], [0.5, 0.8, 0.8, 0.8], "The fit is even: the chosen answer is ahead in 80%"),
        ([0.69, 0.5, 0.6, 0.7], [0.5, 0.8, 0.8, 0.8], "It overfits: validation loss rose"),
    ],
)
def test_the_fit_to_pairs_is_judged_by_the_pairs_put_right(
    losses: list[float], accuracies: list[float], verdict: str
) -> None:
    lines = [
        {"step": i * 10, "validation_loss": loss, "validation_reward_accuracy": share}
        for i, (loss, share) in enumerate(zip(losses, accuracies, strict=True))
    ]
    assert fit_sentence(lines).startswith(verdict)


def test_the_picture_has_a_panel_for_whatever_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    labels: list[str] = []

    def kept(self: Figure, *arguments: Any, **more: Any) -> None:
        labels.extend(axes.get_ylabel() for axes in self.axes)

    measured = {"learning_rate": 1e-3, "gradient_norm": 2.0, "tokens_per_s": 200.0, "reward_margin": 0.1}
    lines = [{"step": step, "loss": 1.0, **measured} for step in (1, 2)]
    with monkeypatch.context() as patched:
        patched.setattr(Figure, "savefig", kept)
        plot_curves(lines, tmp_path / "curves.png")
    assert labels == ["loss", "reward margin", "learning rate", "gradient norm", "tokens/s"]
    plot_curves([{"step": 1, "loss": 1.0}], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
