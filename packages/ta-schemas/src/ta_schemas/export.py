"""JSON Schema files of all formats: `python -m ta_schemas.export DIR`. Checked in; a test compares."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from ta_schemas.manifest import Manifest
from ta_schemas.reports import EvalReport
from ta_schemas.rows import ROW_TYPES


def json_schemas() -> dict[str, dict[str, Any]]:
    """File name: JSON Schema (draft 2020-12) for each row type, the manifest and the reports."""
    schemas: dict[str, dict[str, Any]] = {
        f"{model.__name__}.schema.json": model.model_json_schema() for model in (Manifest, EvalReport)
    }
    for row_type in ROW_TYPES:
        schemas[f"{row_type.__name__}.schema.json"] = _open(msgspec.json.schema(row_type))
    return schemas


def _open(schema: Any) -> Any:
    """The schema without its bans on additional properties: a row with unknown fields is a row of ours."""
    if isinstance(schema, dict):
        closed = schema.get("additionalProperties") is False
        return {
            key: _open(value) for key, value in schema.items() if not (closed and key == "additionalProperties")
        }
    return [_open(value) for value in schema] if isinstance(schema, list) else schema


def write_schemas(folder: Path) -> None:
    """Write every schema to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in json_schemas().items():
        (folder / name).write_text(json.dumps(schema, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
