"""Grades by a rubric for one system's answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.config import EvalConfig
from ta_eval.evaluate import evaluate
from ta_eval.target import CallableTarget, Message, Reply

Cli = Callable[..., Any]
Start = Callable[..., Any]


def grade(points: int) -> str:
    return json.dumps({"reason": "", "correct": points, "complete": points, "concise": 5})


@pytest.fixture
def points(cli: Cli, write_benchmark: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """`ta-eval judge points` over twelve answers of a system on `smollm2-tuned`."""

    def answer(batch: list[list[Message]], **_: Any) -> list[Reply]:
        return [Reply(f"it is {messages[-1]['content'].split()[-1]}", "stop", 1, 1) for messages in batch]

    target = CallableTarget("tuned", {"model": "smollm2-tuned"}, answer)
    predictions = evaluate(EvalConfig(), write_benchmark(12), target, tmp_path / "tuned").path

    def call(server: Any, *more: object, model: str = "stub", out: str = "grades") -> Any:
        where = ["--judge-url", server.url, "--judge-model", model, "--out", tmp_path / out]
        return cli("judge", "points", predictions, *where, "--json", *more)

    return call


def by_number(body: dict[str, Any]) -> str:
    """Odd answers are good, even ones are not."""
    text = body["messages"][1]["content"]
    return grade(5 if int(text.split("it is ")[1].split()[0]) % 2 else 2)


def test_every_answer_gets_a_grade_for_every_criterion(points: Callable[..., Any], judge_server: Start) -> None:
    server = judge_server(by_number)
    found = json.loads(points(server).stdout)
    assert (found["items"], found["scored"], len(server.requests)) == (12, 12, 13)
    assert found["by_criterion"]["correct"]["estimate"] == 3.5
    assert found["by_criterion"]["concise"]["estimate"] == 5.0
    assert found["raw"]["estimate"] == 0.5
    assert found["audit"]["retest"] == found["audit"]["retest"] | {"items": 1, "estimate": 1.0}


def test_the_judge_sees_a_reference_and_the_answer(points: Callable[..., Any], judge_server: Start) -> None:
    server = judge_server(by_number)
    points(server)
    text = server.requests[0]["messages"][1]["content"]
    assert "a right answer, among others:" in text and "it is" in text


def test_the_grades_are_a_score_file_that_compare_reads(
    points: Callable[..., Any], judge_server: Start, cli: Cli, tmp_path: Path
) -> None:
    points(judge_server(by_number), out="one")
    points(judge_server(lambda body: grade(5)), out="two")
    files = []
    for name in ("one", "two"):
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_bytes((tmp_path / name / "scores.jsonl").read_bytes())
    found = json.loads(cli("compare", *files, "--json").stdout)["item_sets"][0]["comparisons"][0]
    assert found["difference"]["estimate"] == pytest.approx(0.25)
    assert found["test"] == "permutation"


def test_the_pass_score_decides_what_is_good(points: Callable[..., Any], judge_server: Start) -> None:
    found = json.loads(points(judge_server(by_number), "--pass-score", 3).stdout)
    assert found["raw"]["estimate"] == 1.0


def test_an_unreadable_grade_is_unscored(
    points: Callable[..., Any], judge_server: Start, tmp_path: Path
) -> None:
    server = judge_server(
        lambda body: "good" if "it is 3" in body["messages"][1]["content"] else by_number(body)
    )
    found = json.loads(points(server).stdout)
    assert found["scored"] == 11
    rows = [json.loads(line) for line in (tmp_path / "grades" / "scores.jsonl").read_text().splitlines()]
    [unread] = [row for row in rows if row["score"] is None]
    assert unread["id"] == "item-003" and unread["reason"].startswith("unreadable judgment")


def test_labels_calibrate_grades_too(points: Callable[..., Any], judge_server: Start, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    rows = [{"item": f"item-{n:03}", "rater": "ann", "label": "good" if n % 2 else "bad"} for n in range(12)]
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = json.loads(points(judge_server(by_number), "--labels", labels).stdout)
    assert found["calibration"]["kappa"]["estimate"] == 1.0
    assert "12 human labels are fewer than 50" in found["why"]


def test_a_judge_of_the_systems_family_is_warned_of(points: Callable[..., Any], judge_server: Start) -> None:
    found = json.loads(points(judge_server(by_number), model="SmolLM3").stdout)
    assert "are of one family" in found["warnings"][0]
