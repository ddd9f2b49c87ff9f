"""Where the artifacts of a run lie."""

from pathlib import Path

WHOLE = "all"
"""Below a run: what `tunedassist run --all` makes. It saw more systems, so it comes before the rest."""


def place_of(run: Path, name: str) -> Path:
    """The folder of an artifact: the whole way's if there is one."""
    whole = run / WHOLE / name
    return whole if whole.exists() else run / name
