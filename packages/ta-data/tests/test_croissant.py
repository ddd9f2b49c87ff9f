"""Croissant metadata is JSON-LD whose references resolve and whose files are the dataset's own."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def metadata(domain: Path, tmp_path: Path, ta_data: Callable[..., Any]) -> Any:
    text = (domain / "domain.yaml").read_text()
    (domain / "domain.yaml").write_text(text + "license: CC-BY-4.0\n")
    ta_data("prepare", domain, "--out", tmp_path / "out")
    return json.loads(ta_data("croissant", tmp_path / "out").out)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from nodes(child)


def test_the_required_properties_are_there(metadata: Any) -> None:
    assert metadata["@type"] == "sc:Dataset"
    assert metadata["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert (metadata["name"], metadata["license"]) == ("shop", "https://spdx.org/licenses/CC-BY-4.0.html")
    for name in ("description", "url", "version", "datePublished", "creator", "distribution", "recordSet"):
        assert metadata[name]


def test_files_are_named_with_their_digest(metadata: Any, tmp_path: Path) -> None:
    for file in metadata["distribution"]:
        content = (tmp_path / "out" / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentSize"] == f"{len(content)} B"
    assert [file["name"] for file in metadata["distribution"]] == [
        "train.jsonl",
        "validation.jsonl",
        "test.jsonl",
    ]


def test_every_reference_names_a_node_of_the_document(metadata: Any) -> None:
    body = [node for key, value in metadata.items() if key != "@context" for node in nodes(value)]
    defined = {node["@id"] for node in body if "@type" in node and "@id" in node}
    referred = {node["@id"] for node in body if node.keys() == {"@id"}}

    assert referred <= defined
    assert {"train/id", "train.jsonl"} <= referred


def test_every_term_is_known_to_the_context_or_schema_org(metadata: Any) -> None:
    for name in (
        "recordSet",
        "field",
        "subField",
        "jsonPath",
        "fileObject",
        "dataType",
        "conformsTo",
        "repeated",
    ):
        assert name in metadata["@context"]
    assert metadata["@context"]["@vocab"] == "https://schema.org/"


def test_only_columns_that_the_rows_have_are_named(
    chats: Path, tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    ta_data("prepare", chats, "--out", tmp_path / "out")

    metadata = json.loads(ta_data("croissant", tmp_path / "out").out)

    for record_set in metadata["recordSet"]:
        assert [field["name"] for field in record_set["field"]] == ["id", "source", "messages"]
