"""Answers made elsewhere: how sure the system was stays beside the score, and draws the risk-coverage curve."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
Write = Callable[..., Path]


def answers(folder: Path, name: str, *, sure: bool = True) -> Path:
    """Right on the even ones of 20, and surer of those."""
    rows: list[dict[str, Any]] = [
        {
            "id": f"item-{n:03}",
            "output": str(n) if n % 2 == 0 else "?",
            "confidence": 0.9 if n % 2 == 0 else n / 100,
        }
        for n in range(20)
    ]
    file = folder / f"{name}.jsonl"
    file.write_text(
        "".join(json.dumps({k: v for k, v in row.items() if sure or k != "confidence"}) + "\n" for row in rows)
    )
    return file


def test_confidence_goes_from_the_answers_to_the_curve_of_the_report(
    cli: Cli, write_benchmark: Write, tmp_path: Path
) -> None:
    benchmark = write_benchmark(20)
    for name, sure in (("plain", False), ("sure", True)):
        assert (
            cli("score", answers(tmp_path, name, sure=sure), benchmark, "--out", tmp_path / name).returncode
            == 0
        )
    assert cli("compare", tmp_path / "plain", tmp_path / "sure", "--out", tmp_path / "report").returncode == 0
    [risk] = json.loads((tmp_path / "report" / "report.json").read_text())["risks"]
    assert risk["system"] == "sure"
    assert risk["points"][0] == [0.5, 0.0]
    assert risk["points"][-1] == [1.0, 0.5]
    assert cli("verify", tmp_path / "report").returncode == 0


def test_confidence_survives_scoring_a_second_time(cli: Cli, write_benchmark: Write, tmp_path: Path) -> None:
    benchmark = write_benchmark(20)
    cli("score", answers(tmp_path, "a"), benchmark, "--out", tmp_path / "first")
    lines = cli("score", tmp_path / "first", benchmark).stdout.splitlines()
    assert [json.loads(line)["confidence"] for line in lines[:4]] == [0.9, 0.01, 0.9, 0.03]


def test_another_confidence_is_another_result(cli: Cli, write_benchmark: Write, tmp_path: Path) -> None:
    benchmark, file = write_benchmark(20), answers(tmp_path, "a")
    cli("score", file, benchmark, "--out", tmp_path / "o")
    file.write_text(file.read_text().replace("0.9", "0.8"))
    assert cli("score", file, benchmark, "--out", tmp_path / "o").returncode == 4


@pytest.mark.parametrize("value", ["high", True, [1]])
def test_a_confidence_that_is_no_number_is_refused_with_its_item(
    cli: Cli, write_benchmark: Write, tmp_path: Path, value: Any
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"id": "item-000", "output": "0", "confidence": value}) + "\n")
    done = cli("score", file, write_benchmark(1))
    assert done.returncode == 3
    assert "id 'item-000': confidence: expected a number" in done.stderr
