"""The file contracts between TunedAssist stages: artifacts, rows and reports.

Stages never import one another. They meet in what this package describes: directories sealed by a
`manifest.json` (`artifact`), JSONL rows that TRL, `datasets` and OpenAI read as they are (`rows`, `jsonl`)
and reports (`reports`). Nothing else belongs here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ta_schemas.errors import ArtifactError, InputError, SetupError, UserError

if TYPE_CHECKING:
    from ta_schemas.artifact import Artifact, ArtifactWriter, sealed
    from ta_schemas.jsonl import RowErrors, read_jsonl, write_jsonl
    from ta_schemas.manifest import SCHEMA_VERSION, FileEntry, Kind, Manifest, Parent

__all__ = [
    "SCHEMA_VERSION",
    "Artifact",
    "ArtifactError",
    "ArtifactWriter",
    "FileEntry",
    "InputError",
    "Kind",
    "Manifest",
    "Parent",
    "RowErrors",
    "SetupError",
    "UserError",
    "read_jsonl",
    "sealed",
    "write_jsonl",
]

_HOMES = {
    "artifact": ("Artifact", "ArtifactWriter", "sealed"),
    "jsonl": ("RowErrors", "read_jsonl", "write_jsonl"),
    "manifest": ("SCHEMA_VERSION", "FileEntry", "Kind", "Manifest", "Parent"),
}


def __getattr__(name: str) -> Any:
    """Load a name's module when it is first asked for: pydantic is a third of a second of every `--help`."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"ta_schemas.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
