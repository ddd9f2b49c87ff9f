"""The whole way at once: a folder with forty files of all kinds becomes a dataset by one command."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_schemas.artifact import Artifact

pytest.importorskip("rensa")
for library in ("pypdfium2", "mammoth", "python_calamine"):
    pytest.importorskip(library, reason="needs ta-data[documents]")

KINDS = {
    *(
        "csv",
        "docx",
        "eml",
        "html",
        "json",
        "jsonl",
        "man",
        "mbox",
        "md",
        "pdf",
        "tsv",
        "txt",
        "xls",
        "xlsx",
        "xml",
    ),
    "zip",
}


def lines(dataset: Artifact, name: str) -> list[str]:
    return dataset.file(f"{name}.jsonl").read_text().splitlines()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, messy_folder: Path) -> Any:
    """(the folder, the dataset, its stats)."""
    from ta_data.build import BuildConfig, build

    dataset = build(BuildConfig(license="MIT"), messy_folder, tmp_path_factory.mktemp("built") / "out")
    return messy_folder, dataset, json.loads(dataset.file("stats.json").read_text())


def test_every_kind_of_file_is_in_the_folder(built: Any) -> None:
    folder, _, _ = built
    files = [file for file in folder.rglob("*") if file.is_file()]

    assert len(files) >= 30
    assert {"man" if f.suffix == ".1" else f.suffix.lstrip(".") for f in files} >= KINDS


def test_every_file_and_row_is_accounted_for(built: Any) -> None:
    folder, dataset, stats = built

    assert stats["files"]["found"] == sum(
        count for status, count in stats["files"].items() if status != "found"
    )
    assert {f["path"].partition("!/")[0] for f in stats["not_read"]} <= {
        file.relative_to(folder).as_posix() for file in folder.rglob("*")
    }
    funnel = stats["funnel"]
    rows = [line for n in ("train", "validation", "test") for line in lines(dataset, n)]
    dropped = [json.loads(line) for line in lines(dataset, "dropped")]
    assert len(rows) == funnel["output"] > 8
    assert Counter(line["reason"] for line in dropped) == funnel["drops"]
    assert funnel["input"] == len(rows) + len(dropped)


def test_the_report_tells_a_person_what_was_read_what_not_and_why(built: Any) -> None:
    _, dataset, stats = built
    page = dataset.file("report.html").read_text()

    for said in (
        f"{stats['files']['found']} files: ",
        "<td>bad/locked.pdf</td><td>skipped</td><td>encrypted</td>",
        "<td>bad/bomb.zip</td><td>broken or refused</td><td>zip bomb: grows more than 100-fold</td>",
        "<td>good/faq.csv</td><td>prompt: Question, answer: Answer</td>",
        "no question and answer columns found",
        "A split by single rows would have shown",
        "It adds up.",
    ):
        assert said in page
    assert "IGNORE ALL RULES" not in page


def test_the_command_says_the_same(tmp_path: Path, messy: Any, ta_data: Callable[..., Any]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.xls").write_bytes(messy.XLS)
    (tmp_path / "in" / "b.pdf").write_bytes(messy.encrypted_pdf())
    (tmp_path / "in" / "t.csv").write_text("Betreff,Antwort\nWie?,So ist das.\n")

    ran = ta_data("build", tmp_path / "in", "--out", tmp_path / "out", "--column", "prompt=Betreff", "--json")

    told = json.loads(ran.out)
    assert told["funnel"]["output"] == 2
    assert told["not_read"][0]["reason"] == "encrypted"
    assert told["columns"]["t.csv"] == {"prompt": "Betreff", "answer": "Antwort"}
