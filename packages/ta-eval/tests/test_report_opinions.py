"""One report with benchmark, forgetting, people and judge over the same sealed answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.config import EvalConfig
from ta_eval.evaluate import evaluate
from ta_eval.target import CallableTarget, Message, Reply

Cli = Callable[..., Any]


def predictions(benchmark: Path, out: Path, name: str, every: int) -> Path:
    """Right on every so many-th item; a wrong answer is the longer one."""

    def answer(batch: list[list[Message]], **_: Any) -> list[Reply]:
        numbers = [int(messages[-1]["content"].split()[-1]) for messages in batch]
        texts = [str(n) if n % every == 0 else f"{name} does not know {n}" for n in numbers]
        return [Reply(text, "stop", 7, 3) for text in texts]

    return evaluate(EvalConfig(), benchmark, CallableTarget(name, {"model": name}, answer), out).path


@pytest.fixture
def pair(write_benchmark: Callable[..., Path], tmp_path: Path) -> list[Path]:
    benchmark = write_benchmark(24)
    return [predictions(benchmark, tmp_path / name, name, every) for name, every in (("base", 4), ("tuned", 2))]


@pytest.fixture
def opinions(cli: Cli, pair: list[Path], judge_server: Callable[..., Any], tmp_path: Path) -> list[object]:
    """`--ab` and `--judge` over the pair."""
    assert cli("ab", "create", *pair, "--out", tmp_path / "ab").returncode == 0
    assert cli("ab", "analyze", tmp_path / "ab").returncode == 0
    server = judge_server(lambda body: json.dumps({"reason": "", "winner": "tie"}))
    judge = ["--judge-url", server.url, "--judge-model", "stub", "--out", tmp_path / "judge"]
    assert cli("judge", "pairs", *pair, *judge).returncode == 0
    return ["--ab", tmp_path / "ab", "--judge", tmp_path / "judge"]


def test_people_and_judge_stand_in_the_report(
    cli: Cli, pair: list[Path], opinions: list[object], tmp_path: Path
) -> None:
    done = cli("compare", *pair, *opinions, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Not enough votes to tell tuned from base" in page
    assert "Judge audit: stub" in page


def test_opinions_on_other_answers_are_refused(
    cli: Cli, pair: list[Path], opinions: list[object], write_benchmark: Callable[..., Path], tmp_path: Path
) -> None:
    other = predictions(write_benchmark(24), tmp_path / "third", "third", 3)
    done = cli("compare", pair[0], other, *opinions, "--out", tmp_path / "report")
    assert done.returncode == 3
    assert "is about other answers" in done.stderr


def test_opinions_need_a_report_to_go_into(cli: Cli, pair: list[Path], opinions: list[object]) -> None:
    assert "name its directory with --out" in cli("compare", *pair, *opinions).stderr


def test_a_vote_that_was_not_analyzed_is_told(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    done = cli("compare", *pair, "--ab", tmp_path, "--out", tmp_path / "report")
    assert (done.returncode, "no analysis.json" in done.stderr) == (3, True)


def test_a_judge_that_was_changed_afterwards_is_refused(
    cli: Cli, pair: list[Path], opinions: list[object], tmp_path: Path
) -> None:
    file = tmp_path / "judge" / "judge.json"
    file.write_text(file.read_text().replace("no verdict", "better", 1))
    done = cli("compare", *pair, *opinions, "--out", tmp_path / "report")
    assert (done.returncode, "judge.json" in done.stderr) == (4, True)


def test_another_opinion_is_another_report(
    cli: Cli, pair: list[Path], opinions: list[object], tmp_path: Path
) -> None:
    assert cli("compare", *pair, "--out", tmp_path / "report").returncode == 0
    assert cli("compare", *pair, *opinions, "--out", tmp_path / "report").returncode == 4


def test_wins_and_losses_are_those_that_one_side_alone_got_right(
    cli: Cli, pair: list[Path], tmp_path: Path
) -> None:
    report = json.loads(cli("compare", *pair, "--json").stdout)
    assert len(report["wins"]) == 5 and report["losses"] == []
    for prompt in report["wins"]:
        assert [answer["score"] for answer in prompt["answers"]] == [0.0, 1.0]
    backwards = json.loads(cli("compare", *pair[::-1], "--json").stdout)
    assert len(backwards["losses"]) == 5 and backwards["wins"] == []


def test_lengths_and_origin_are_those_of_the_sealed_answers(cli: Cli, pair: list[Path]) -> None:
    report = json.loads(cli("compare", *pair, "--json").stdout)
    base = report["lengths"][0]
    assert (base["system"], base["mean_tokens"], base["right_longer_half"]) == ("base", 3.0, 0.0)
    run = report["runs"][0]
    manifest = json.loads((pair[0] / "manifest.json").read_text())
    assert (run["prompt_tokens"], run["completion_tokens"]) == (24 * 7, 24 * 3)
    assert run["environment"] == manifest["environment"]
    assert run["digest"].startswith("sha256:")


def test_confidence_beside_the_scores_gives_a_risk_curve(cli: Cli, tmp_path: Path) -> None:
    files = []
    for name in ("base", "tuned"):
        files.append(tmp_path / f"{name}.jsonl")
        rows = [{"id": str(n), "score": int(n < 10), "confidence": 1 - n / 20} for n in range(20)]
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = json.loads(cli("compare", *files, "--json").stdout)
    assert [risk["system"] for risk in report["risks"]] == ["base", "tuned"]
    assert report["risks"][0]["points"][9] == [0.5, 0.0]
    assert report["risks"][0]["points"][-1] == [1.0, 0.5]
    files[1].write_text(files[1].read_text().replace('"confidence"', '"sure"', 1))
    assert [risk["system"] for risk in json.loads(cli("compare", *files, "--json").stdout)["risks"]] == ["base"]


def test_a_report_with_opinions_is_verified_and_they_are_told_as_taken_over(
    cli: Cli, pair: list[Path], opinions: list[object], tmp_path: Path
) -> None:
    cli("compare", *pair, *opinions, "--out", tmp_path / "report")
    done = cli("verify", tmp_path / "report")
    assert done.returncode == 0, done.stdout
    assert "left out: judge and votes: taken over from their own sealed reports" in done.stdout
