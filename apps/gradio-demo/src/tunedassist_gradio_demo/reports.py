"""Reading the artifacts of a run; what is missing is said with the command that makes it."""

import json
from pathlib import Path
from typing import Any, Literal

from ta_schemas import Artifact, ArtifactError
from ta_schemas.manifest import MANIFEST_NAME
from tunedassist_gradio_demo.look.parts import Html, notice
from tunedassist_gradio_demo.run_folder import place_of

Shown = Literal["dataset", "eval-report", "safety-report"]
MAKES: dict[Shown, str] = {
    "dataset": "just train",
    "eval-report": "just train",
    "safety-report": "just redteam",
}
"""Kind: the recipe that makes it."""


class Missing(Exception):
    """An artifact is not there, or was refused; `html` says so."""

    def __init__(self, html: Html) -> None:
        super().__init__(html)
        self.html = html


def open_artifact(run: Path, kind: Shown) -> Artifact:
    """The run's artifact of a kind, verified. Raises Missing."""
    folder = place_of(run, kind)
    todo = MAKES[kind]
    if not (folder / MANIFEST_NAME).is_file():
        raise Missing(notice(f"No {kind} in {run} yet. Make it with:", todo=todo))
    try:
        return Artifact.open(folder, kind=kind)
    except ArtifactError as error:
        raise Missing(notice(f"{error}. Make it again with:", todo=todo, kind="error")) from None


def read_report(run: Path, kind: Shown) -> dict[str, Any]:
    """`report.json` of a report. Raises Missing."""
    file = open_artifact(run, kind).path / "report.json"
    try:
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Missing(notice(f"{file}: {error}", kind="error")) from None
    return report


def points(interval: dict[str, Any]) -> str:
    """`22.8 % (17.3 to 29.4)`."""
    low, high = 100 * interval["low"], 100 * interval["high"]
    return f"{100 * interval['estimate']:.1f} % ({low:.1f} to {high:.1f})"


def interval(found: dict[str, Any]) -> str:
    """`95 % interval 17.3 to 29.4`."""
    return f"95 % interval {100 * found['low']:.1f} to {100 * found['high']:.1f}"
