"""Stepping an older manifest up, one version at a time. Append-only: a released step is never edited."""

from collections.abc import Callable, Mapping
from typing import Any

from ta_schemas.errors import ArtifactError
from ta_schemas.manifest import SCHEMA_VERSION

Step = Callable[[dict[str, Any]], dict[str, Any]]

STEPS: dict[int, Step] = {}
"""`STEPS[n]` turns a manifest of version n into one of version n + 1."""


def step_up(
    manifest: dict[str, Any],
    *,
    where: str,
    to: int = SCHEMA_VERSION,
    steps: Mapping[int, Step] = STEPS,
) -> dict[str, Any]:
    """Bring a manifest to version `to`; a newer one is refused, never guessed at."""
    version = manifest.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ArtifactError(f"{where}: schema_version is {version!r}, expected an integer from 1 to {to}")
    if version > to:
        raise ArtifactError(
            f"{where}: schema_version {version} is newer than {to}, the newest this ta-schemas reads: "
            "upgrade ta-schemas"
        )
    while version < to:
        manifest = steps[version]({**manifest})
        version += 1
        manifest["schema_version"] = version
    return manifest
