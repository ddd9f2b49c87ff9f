"""A judge held against people: no verdict without them, a corrected one with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judge_fixtures import Cli, Start, answer_files, labels_file, prefer, shown

from ta_eval.judge.calibrate import calibrate
from ta_schemas import InputError


def test_an_uncalibrated_judge_gives_a_table_and_no_verdict(
    judge: Callable[..., Any], judge_server: Start
) -> None:
    found = json.loads(judge(judge_server(prefer("tuned"))).stdout)
    assert (found["verdict"], found["calibration"]) == ("no verdict", None)
    assert "it was not compared with people" in found["why"]


def test_a_judge_that_agrees_with_people_gets_a_corrected_verdict(
    judge: Callable[..., Any], judge_server: Start, tmp_path: Path
) -> None:
    labels = labels_file(tmp_path, ["candidate", "candidate", "candidate", "base", "tie"] * 12)

    def mostly(body: dict[str, Any]) -> str:
        number = int(shown(body)["question"].split()[-1])
        return prefer(("tuned", "tuned", "tuned", "base", "neither")[number % 5 if number % 9 else 0])(body)

    found = json.loads(judge(judge_server(mostly), "--labels", labels, count=90).stdout)
    calibration = found["calibration"]
    assert (calibration["labels"], found["verdict"]) == (60, "better")
    assert calibration["kappa"]["estimate"] > 0.7
    assert calibration["corrected"]["estimate"] == pytest.approx(0.7, abs=0.03)
    assert found["raw"]["estimate"] > calibration["corrected"]["estimate"]
    assert sum(calibration["confusion"].values()) == 60


def test_identical_answers_are_ties_in_the_corrected_rate_too(
    cli: Cli, judge_server: Start, tmp_path: Path
) -> None:
    base, tuned = answer_files(tmp_path, 120)
    rows = [json.loads(line) for line in tuned.read_text().splitlines()]
    same = [json.loads(line) for line in base.read_text().splitlines()[:60]]
    tuned.write_text("".join(json.dumps(row) + "\n" for row in same + rows[60:]))
    labels = tmp_path / "labels.jsonl"
    lines = [
        {"item": f"q{k}", "rater": "ann", "label": "base" if k % 10 == 0 else "candidate"}
        for k in range(60, 120)
    ]
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def nearly(body: dict[str, Any]) -> str:
        number = int(shown(body)["question"].split()[-1])
        return prefer("base" if number % 20 == 0 else "tuned")(body)

    where = ["--judge-url", judge_server(nearly).url, "--judge-model", "m", "--out", tmp_path / "o"]
    options = ["--labels", labels, "--items", 120, "--json"]
    found = json.loads(cli("judge", "pairs", base, tuned, *where, *options).stdout)
    assert (found["identical"], found["calibration"]["labels"]) == (60, 60)
    assert found["calibration"]["human_rate"]["estimate"] == pytest.approx(0.9)
    assert found["calibration"]["corrected"]["estimate"] == pytest.approx(0.7)
    assert found["raw"]["estimate"] == pytest.approx(0.5 + 0.5 * 0.45)


def test_a_judge_below_the_stated_kappa_gets_no_verdict(
    judge: Callable[..., Any], judge_server: Start, tmp_path: Path
) -> None:
    labels = labels_file(tmp_path, ["candidate", "base"] * 30)
    server = judge_server(prefer("tuned"))
    found = json.loads(judge(server, "--labels", labels, count=60).stdout)
    assert found["verdict"] == "no verdict"
    assert "kappa with people is 0.00, below 0.4" in found["why"]
    lower = ["--labels", labels, "--min-kappa", -1, "--force"]
    assert json.loads(judge(server, *lower, count=60).stdout)["verdict"] == "not measurable"


def test_fewer_than_fifty_labels_are_reported_but_correct_nothing() -> None:
    judged = {f"q{k}": 1.0 for k in range(80)}
    human = {f"q{k}": float(k % 2) for k in range(49)}
    found = calibrate(judged, human, single=False)
    assert (found["labels"], found["corrected"]) == (49, None)
    assert found["confusion"] == {"people base, judge candidate": 25, "people candidate, judge candidate": 24}


def test_labels_of_other_items_or_words_are_refused(
    judge: Callable[..., Any], judge_server: Start, tmp_path: Path
) -> None:
    server = judge_server(prefer("tuned"))
    assert "expected one of base, both_bad" in judge(server, "--labels", labels_file(tmp_path, ["good"])).stderr
    with pytest.raises(InputError, match="no labelled item was judged"):
        calibrate({"a": 1.0}, {"b": 1.0}, single=False)
