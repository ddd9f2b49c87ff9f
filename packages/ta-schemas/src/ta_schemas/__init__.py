"""The file contracts between TunedAssist stages: artifacts, rows and reports.

Stages never import one another. They meet in what this package describes: directories sealed by a
`manifest.json` (`artifact`), JSONL rows that TRL, `datasets` and OpenAI read as they are (`rows`, `jsonl`)
and reports (`reports`). Nothing else belongs here.
"""

from ta_schemas.artifact import Artifact, ArtifactWriter, sealed
from ta_schemas.errors import ArtifactError, InputError, SetupError, UserError
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
