"""`ta-data diff`: which rows were added, removed, changed or moved to another split."""

from typing import Any

from ta_data.versions.version import read_splits
from ta_schemas.artifact import Artifact
from ta_schemas.jsonl import to_object

EXAMPLES = 5


def diff(old: Artifact, new: Artifact) -> dict[str, Any]:
    """Counts by split and the first few ids of each kind of change. Rows are matched by id."""
    before = {row.id: (name, row) for name, rows in read_splits(old).items() for row in rows}
    after = {row.id: (name, row) for name, rows in read_splits(new).items() for row in rows}
    both = before.keys() & after.keys()
    found = {
        "added": [key for key in after if key not in before],
        "removed": [key for key in before if key not in after],
        "changed": [
            key for key in after if key in both and to_object(before[key][1]) != to_object(after[key][1])
        ],
        "moved": [key for key in after if key in both and before[key][0] != after[key][0]],
    }
    settings = {
        key: [old.manifest.config.get(key), new.manifest.config.get(key)]
        for key in sorted(old.manifest.config.keys() | new.manifest.config.keys())
        if key != "inputs" and old.manifest.config.get(key) != new.manifest.config.get(key)
    }
    return {
        "old": old.digest,
        "new": new.digest,
        "same": len(both) - len({*found["changed"], *found["moved"]}),
        **{kind: len(keys) for kind, keys in found.items()},
        "splits": {name: [len(rows), len(read_splits(new)[name])] for name, rows in read_splits(old).items()},
        "examples": {kind: keys[:EXAMPLES] for kind, keys in found.items() if keys},
        "settings": settings,
    }
