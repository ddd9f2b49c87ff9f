"""domain.yaml and the settings: known keys only, the nearest name for a typo."""

from pathlib import Path
from typing import Any

import pytest

from ta_data.collect.sources import find_inputs
from ta_data.config import DataConfig, validated
from ta_data.domain import Domain, load_domain
from ta_schemas.errors import InputError


def load(root: Path, text: str) -> Domain:
    (root / "domain.yaml").write_text(text, encoding="utf-8")
    return load_domain(root)[1]


def test_the_domain_of_the_repository_is_read_whole() -> None:
    root, domain = load_domain(Path(__file__).parents[3] / "data" / "linux-cli")

    assert (domain.name, domain.split.by, domain.sources[0].path) == ("linux-cli", "task", "raw")
    assert root.name == "linux-cli"
    assert load_domain(root / "domain.yaml") == (root, domain)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "name: x\nsystem_promt: y\n",
            "domain.yaml: system_promt: unknown key, did you mean 'system_prompt'?",
        ),
        ("name: x\nsplit:\n  tain: 0.8\n", "split.tain: unknown key, did you mean 'train'?"),
        ("name: x\nsources:\n  - pat: raw\n", "sources.0.path: Field required"),
        (
            "name: x\nsources:\n  - path: raw\n    fromat: alpaca\n",
            "sources.0.fromat: unknown key, did you mean 'format'?",
        ),
        ("name: x\nsources:\n  - path: raw\n    format: csv\n", "sources.0.format: Input should be"),
        ("name: x\nzzzzzz: 1\n", "zzzzzz: unknown key; known are name, title"),
        ("title: x\n", "name: Field required"),
        (
            "name: x\nsplit:\n  train: 0.9\n",
            "split: train, validation and test are 0.9, 0.1 and 0.1: they must sum to 1",
        ),
        ("name: [x\n", "domain.yaml:2: not valid YAML"),
        ("just text\n", "expected 'key: value' lines"),
        ("", "expected 'key: value' lines"),
    ],
)
def test_what_is_wrong_in_a_domain_is_named(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InputError) as error:
        load(tmp_path, text)

    assert what in str(error.value)


def test_a_domain_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "domain.yaml").write_bytes("name: é".encode("latin-1"))

    with pytest.raises(InputError, match=r"domain\.yaml: not UTF-8"):
        load_domain(tmp_path)


def test_a_folder_or_a_file_alone_is_a_domain(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text("{}")

    assert load_domain(tmp_path)[1].name == tmp_path.name
    root, domain = load_domain(tmp_path / "notes.jsonl")
    assert (root, domain.name, domain.sources[0].path) == (tmp_path, "notes", "notes.jsonl")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"sed": 1}, "settings: sed: unknown key, did you mean 'seed'?"),
        (
            {"shares": "80/20"},
            "shares: expected three whole numbers that sum to 100, such as 80/10/10, got '80/20'",
        ),
        ({"shares": "80/10/11"}, "shares: expected three whole numbers that sum to 100"),
        ({"shares": "0/50/50"}, "shares.train: Input should be greater than 0"),
        ({"on_error": "ignore"}, "on_error: Input should be 'raise' or 'skip'"),
    ],
)
def test_what_is_wrong_in_the_settings_is_named(given: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError) as error:
        validated(DataConfig, given, where="settings")

    assert what in str(error.value)


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in DataConfig.model_fields.values())


def test_files_are_found_in_the_order_of_their_paths_and_others_are_named(tmp_path: Path) -> None:
    for name in ["b.jsonl", "a.md", "sub/c.jsonl", "d.csv", "README.md", ".hidden/e.jsonl", ".f.jsonl"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")

    found = find_inputs(tmp_path, Domain(name="x"), None)

    assert [(file.relative, file.format) for file in found.inputs] == [
        ("a.md", "knowledge-base"),
        ("b.jsonl", None),
        ("sub/c.jsonl", None),
    ]
    assert found.ignored == ["d.csv"]


def test_held_out_files_are_never_read_as_data(tmp_path: Path) -> None:
    for name in ["a.jsonl", "benchmark.jsonl", "general.jsonl"]:
        (tmp_path / name).write_text("x")

    found = find_inputs(tmp_path, Domain(name="x", benchmark="benchmark.jsonl", general="general.jsonl"), None)

    assert [file.relative for file in found.inputs] == ["a.jsonl"]
