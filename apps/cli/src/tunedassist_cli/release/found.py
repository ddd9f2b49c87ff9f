"""The artifacts of a run, found by what they are and not by where they lie."""

import os
from collections.abc import Iterator
from pathlib import Path

from ta_schemas import Artifact, ArtifactError
from ta_schemas.manifest import MANIFEST_NAME, Kind


class Found:
    """Every sealed artifact below some folders. What lies inside an artifact is part of it."""

    def __init__(self, *folders: Path) -> None:
        self.all = [artifact for folder in folders for artifact in artifacts_below(folder)]
        self.by_digest: dict[str, list[Artifact]] = {}
        """Two may have one digest: it covers the content, and two models can give the same answers."""
        for artifact in self.all:
            self.by_digest.setdefault(artifact.digest, []).append(artifact)

    def of_kind(self, kind: Kind) -> list[Artifact]:
        """The newest first."""
        found = [one for one in self.all if one.manifest.kind == kind]
        return sorted(found, key=lambda one: one.manifest.created_at, reverse=True)

    def first(self, digest: str) -> Artifact | None:
        """Any artifact with this content."""
        return next(iter(self.by_digest.get(digest, ())), None)


def artifacts_below(folder: Path) -> Iterator[Artifact]:
    """Artifacts in a folder, in the order of their paths; the folder itself may be one. Unverified.

    Folders whose name begins with a dot, half-written ones and what cannot be read as an artifact are passed
    over: they are nobody's evidence.
    """
    for place, folders, files in os.walk(folder):
        if MANIFEST_NAME in files:
            try:
                yield Artifact.open(Path(place), verify=False)
            except ArtifactError:
                continue
            folders.clear()
        else:
            folders[:] = sorted(
                name for name in folders if not name.startswith(".") and ".partial-" not in name
            )
