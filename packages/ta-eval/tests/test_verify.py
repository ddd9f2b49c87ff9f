"""`ta-eval verify`: every number of a report from the sealed answers, or which one differs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.compare import compare
from ta_eval.config import CompareConfig
from ta_eval.saved import score_predictions
from ta_eval.verify import verify
from ta_schemas import ArtifactWriter, Parent

Cli = Callable[..., Any]
Write = Callable[..., Path]
FAST = CompareConfig(resamples=200, seed=3, cluster="none", side_by_side=2)


@pytest.fixture
def runs(write_benchmark: Write, tmp_path: Path) -> Path:
    """runs/{base,tuned} and runs/report over 30 items; base right on every third, tuned on two of three."""
    benchmark, runs = write_benchmark(30), tmp_path / "runs"
    for name, right in (("base", [0]), ("tuned", [0, 1])):
        rows = [{"id": f"item-{n:03}", "output": str(n) if n % 3 in right else "?"} for n in range(30)]
        answers = tmp_path / f"{name}.jsonl"
        answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
        runs.mkdir(exist_ok=True)
        score_predictions(answers, benchmark, runs / name)
    compare(FAST, {"benchmark": [runs / "base", runs / "tuned"]}, runs / "report")
    return runs


def reseal(artifact: Path, file: str, change: Callable[[str], str]) -> None:
    """Change a file of an artifact and seal it again, as somebody who cheats would."""
    manifest = json.loads((artifact / "manifest.json").read_text())
    with ArtifactWriter(
        artifact,
        kind=manifest["kind"],
        producer=manifest["producer"],
        config=manifest["config"],
        parents=[Parent(**parent) for parent in manifest["parents"]],
        replace=True,
    ) as writer:
        for entry in manifest["files"]:
            place = writer.path / entry["path"]
            place.parent.mkdir(exist_ok=True)
            shutil.copy(artifact / entry["path"], place)
        (writer.path / file).write_text(change((writer.path / file).read_text()))


def test_an_honest_report_is_equal_in_every_number(cli: Cli, runs: Path) -> None:
    done = cli("verify", runs / "report", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["equal"]) == (0, True)
    assert [part["differences"] for part in found["parts"]] == [[]] * len(found["parts"])
    numbers = {part["name"].rpartition("/")[2]: part["values"] for part in found["parts"]}
    assert numbers["base: scores"] == numbers["tuned: scores"] == 30
    assert numbers["report: report.json"] > 50


def test_a_number_changed_in_the_report_is_told_with_its_place(cli: Cli, runs: Path) -> None:
    reseal(
        runs / "report",
        "report.json",
        lambda text: text.replace('"only_candidate": 10', '"only_candidate": 19'),
    )
    done = cli("verify", runs / "report")
    assert done.returncode == 6
    assert "item_sets[0].comparisons[0].only_candidate: 19, 10" in done.stdout


def test_a_page_that_says_something_else_than_the_numbers_is_told(cli: Cli, runs: Path) -> None:
    reseal(runs / "report", "report.md", lambda text: text.replace("tuned", "base", 1))
    done = cli("verify", runs / "report")
    assert (done.returncode, "report.md: is not what report.json renders to" in done.stdout) == (6, True)


def test_scores_that_the_answers_do_not_have_are_told(runs: Path) -> None:
    shutil.rmtree(runs / "report")
    reseal(runs / "tuned", "scores.jsonl", lambda text: text.replace('"score":0.0', '"score":1.0'))
    compare(FAST, {"benchmark": [runs / "base", runs / "tuned"]}, runs / "report")
    wrong = {
        part.name.rpartition("/")[2]: part.differences for part in verify(runs / "report") if part.differences
    }
    assert len(wrong["tuned: scores"]) == 10
    assert wrong["tuned: scores"][0].startswith("item-002: 1.0, 0.0")
    assert any(told.startswith("accuracy.estimate:") for told in wrong["tuned: summary"])


def test_predictions_elsewhere_are_found_where_one_says(cli: Cli, runs: Path, tmp_path: Path) -> None:
    shutil.move(runs / "base", tmp_path / "elsewhere" / "base")
    done = cli("verify", runs / "report")
    assert done.returncode == 3
    assert "benchmark: base (sha256:" in done.stderr
    assert "name its folder with --in" in done.stderr
    assert cli("verify", runs / "report", "--in", runs, "--in", tmp_path / "elsewhere").returncode == 0


def test_a_report_of_score_files_is_verified_with_the_files(cli: Cli, tmp_path: Path) -> None:
    for name, step in (("a", 3), ("b", 2)):
        lines = [json.dumps({"id": str(n), "score": n % step == 0}) + "\n" for n in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    compare(FAST, {"benchmark": [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]}, tmp_path / "report")
    assert cli("verify", tmp_path / "report").returncode == 0
    (tmp_path / "b.jsonl").write_text("")
    assert "benchmark: b (sha256:" in cli("verify", tmp_path / "report").stderr
