"""Golden artifacts: written once, never edited. What an old release sealed must stay readable."""

import json
from pathlib import Path

import pytest

from ta_schemas import SCHEMA_VERSION, Artifact, ArtifactError
from ta_schemas.export import json_schemas
from ta_schemas.jsonl import read_jsonl
from ta_schemas.migrations import step_up
from ta_schemas.rows import BenchmarkRow, ConversationRow, FeedbackRow, PredictionRow, PreferenceRow

GOLDEN = Path(__file__).parent / "golden"
JSON = Path(__file__).parent.parent / "json"
READABLE = sorted(path.name for path in GOLDEN.iterdir() if path.name.startswith("v1-"))


@pytest.mark.parametrize("name", READABLE)
def test_a_golden_artifact_opens_and_keeps_its_digest(name: str) -> None:
    artifact = Artifact.open(GOLDEN / name)
    assert artifact.digest == json.loads((GOLDEN / "digests.json").read_text())[name]


def test_golden_rows_are_read() -> None:
    expected = {
        "v1-dataset/train.jsonl": ConversationRow,
        "v1-preferences/pairs.jsonl": PreferenceRow,
        "v1-predictions/predictions.jsonl": PredictionRow,
        "v1-feedback/feedback.jsonl": FeedbackRow,
    }
    for name, row_type in expected.items():
        assert list(read_jsonl(GOLDEN / name, row_type))
    assert list(read_jsonl(GOLDEN / "benchmark-v1.jsonl", BenchmarkRow))


def test_an_artifact_of_a_newer_version_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"schema_version 99 is newer than 1.*upgrade ta-schemas"):
        Artifact.open(GOLDEN / "v99-dataset")


def test_the_checked_in_json_schemas_are_current() -> None:
    on_disk = {file.name: json.loads(file.read_text()) for file in JSON.glob("*.json")}
    assert on_disk == json_schemas(), "run: just schemas"


def test_an_older_manifest_is_stepped_up_one_version_at_a_time() -> None:
    steps = {
        1: lambda manifest: manifest | {"seen": [1]},
        2: lambda manifest: manifest | {"seen": manifest["seen"] + [2]},
    }
    stepped = step_up({"schema_version": 1}, where="x", to=3, steps=steps)
    assert stepped == {"schema_version": 3, "seen": [1, 2]}


@pytest.mark.parametrize("version", [None, 0, "1", True, 1.5])
def test_a_version_that_is_no_positive_integer_is_refused(version: object) -> None:
    with pytest.raises(ArtifactError, match="schema_version"):
        step_up({"schema_version": version}, where="x")


def test_there_is_a_step_for_every_older_version() -> None:
    from ta_schemas.migrations import STEPS

    assert set(STEPS) == set(range(1, SCHEMA_VERSION))
