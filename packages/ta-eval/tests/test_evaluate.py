import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ta_eval.benchmark import read_benchmark
from ta_eval.config import EvalConfig
from ta_eval.evaluate import evaluate, what_can_be_seen
from ta_eval.journal import journal_path
from ta_eval.saved import score_predictions
from ta_eval.target import CallableTarget, Failure, Message, OnReplies, Reply
from ta_schemas import Artifact, ArtifactError, InputError, SetupError

Make = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


class Parrot:
    """A callable target's function: knows the numbers below `right`, records what it was given."""

    def __init__(self, right: int = 100) -> None:
        self.right = right
        self.batches: list[list[list[Message]]] = []
        self.settings: list[dict[str, Any]] = []
        self.stop_after = 10**6
        self.error: BaseException = KeyboardInterrupt()
        self.finish_reason = "stop"

    def __call__(self, batch: list[list[Message]], **settings: Any) -> list[Reply]:
        if len(self.batches) >= self.stop_after:
            raise self.error
        self.batches.append(batch)
        self.settings.append(settings)
        numbers = [int(messages[-1]["content"].split()[-1]) for messages in batch]
        return [Reply(str(n) if n < self.right else "?", self.finish_reason, 5, 2) for n in numbers]

    @property
    def asked(self) -> int:
        return sum(len(batch) for batch in self.batches)

    def target(self, name: str = "parrot", batch_size: int = 4, **identity: Any) -> CallableTarget:
        return CallableTarget(name, {"model": "parrot", **identity}, self, batch_size=batch_size)


class Flaky:
    """A target on which some items fail."""

    def __init__(self, failing: Sequence[int]) -> None:
        self.name = "flaky"
        self.identity: dict[str, Any] = {"model": "flaky"}
        self.failing = set(failing)
        self.asked: list[str] = []

    def ask(self, conversations: Sequence[list[Message]], done: OnReplies, **_: Any) -> None:
        for at, messages in enumerate(conversations):
            question = messages[-1]["content"]
            self.asked.append(question)
            number = int(question.split()[-1])
            failed = number in self.failing
            done({at: Failure("http 503", "overloaded") if failed else Reply(str(number), "stop", 1, 1)})


def scores_of(artifact: Artifact) -> list[dict[str, Any]]:
    return [json.loads(line) for line in artifact.file("scores.jsonl").read_text().splitlines()]


def summary_of(artifact: Artifact) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(artifact.file("summary.json").read_text())
    return summary


def test_answers_are_scored_counted_by_category_and_sealed(write_benchmark: Write, tmp_path: Path) -> None:
    artifact = evaluate(EvalConfig(), write_benchmark(9), Parrot(right=6).target(), tmp_path / "out")
    summary = summary_of(artifact)
    assert (summary["items"], summary["scored"], summary["unscored"]) == (9, 9, {})
    assert summary["accuracy"]["estimate"] == pytest.approx(6 / 9)
    assert summary["by_category"]["files"]["items"] == 3
    assert [row["score"] for row in scores_of(artifact)] == [1.0] * 6 + [0.0] * 3
    assert artifact.file("benchmark.jsonl").read_bytes() == (tmp_path / "benchmark.jsonl").read_bytes()
    assert not journal_path(tmp_path / "out").exists()


def test_the_same_call_returns_the_sealed_artifact_without_asking(
    write_benchmark: Write, tmp_path: Path
) -> None:
    parrot = Parrot()
    benchmark = write_benchmark(5)
    first = evaluate(EvalConfig(), benchmark, parrot.target(), tmp_path / "out")
    assert evaluate(EvalConfig(), benchmark, parrot.target(), tmp_path / "out").digest == first.digest
    assert parrot.asked == 5


def test_two_runs_have_the_same_digest(write_benchmark: Write, tmp_path: Path) -> None:
    runs = [evaluate(EvalConfig(), write_benchmark(5), Parrot().target(), tmp_path / n) for n in "ab"]
    assert runs[0].digest == runs[1].digest


@pytest.mark.parametrize(
    "change",
    [
        {"config": EvalConfig(max_tokens=9)},
        {"config": EvalConfig(temperature=0.5)},
        {"config": EvalConfig(system_prompt="Be brief.")},
        {"target": {"model": "other"}},
        {"name": "other"},
    ],
)
def test_another_configuration_is_refused_unless_replaced(
    change: dict[str, Any], write_benchmark: Write, tmp_path: Path
) -> None:
    benchmark, out = write_benchmark(3), tmp_path / "out"
    first = evaluate(EvalConfig(), benchmark, Parrot().target(), out)
    config = change.get("config", EvalConfig())
    target = Parrot().target(name=change.get("name", "parrot"), **change.get("target", {}))
    with pytest.raises(ArtifactError, match="another run's artifact"):
        evaluate(config, benchmark, target, out)
    second = evaluate(config, benchmark, target, out, replace=True)
    assert second.manifest.config != first.manifest.config


def test_the_system_prompt_goes_before_rows_without_one_only(
    write_benchmark: Write, make_item: Make, tmp_path: Path
) -> None:
    own = [{"role": "system", "content": "mine"}, {"role": "user", "content": "question 1"}]
    benchmark = write_benchmark([make_item(0), make_item(1, messages=own)])
    parrot = Parrot()
    evaluate(EvalConfig(system_prompt="Be brief."), benchmark, parrot.target(), tmp_path / "out")
    assert [batch[0]["content"] for batch in parrot.batches[0]] == ["Be brief.", "mine"]
    evaluate(EvalConfig(), benchmark, parrot.target(), tmp_path / "bare")
    assert parrot.batches[1][0] == [{"role": "user", "content": "question 0"}]


def test_generation_settings_reach_the_target(write_benchmark: Write, tmp_path: Path) -> None:
    parrot = Parrot()
    config = EvalConfig(max_tokens=7, temperature=0.25)
    evaluate(config, write_benchmark(1), parrot.target(), tmp_path / "out")
    assert parrot.settings == [{"max_tokens": 7, "temperature": 0.25}]


def test_the_batch_size_is_kept(write_benchmark: Write, tmp_path: Path) -> None:
    parrot = Parrot()
    evaluate(EvalConfig(), write_benchmark(7), parrot.target(batch_size=3), tmp_path / "out")
    assert [len(batch) for batch in parrot.batches] == [3, 3, 1]


def test_truncated_answers_are_counted(write_benchmark: Write, tmp_path: Path) -> None:
    parrot = Parrot()
    parrot.finish_reason = "length"
    artifact = evaluate(EvalConfig(), write_benchmark(3), parrot.target(), tmp_path / "out")
    assert summary_of(artifact)["truncated"] == 3


def test_ctrl_c_keeps_the_journal_and_says_so_and_the_rerun_asks_only_for_the_rest(
    write_benchmark: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark, out = write_benchmark(10), tmp_path / "out"
    parrot = Parrot()
    parrot.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        evaluate(EvalConfig(), benchmark, parrot.target(), out)
    assert "stopped: 8 of 10 answers are kept in" in capsys.readouterr().err
    assert not out.exists()
    again = Parrot()
    resumed = evaluate(EvalConfig(), benchmark, again.target(), out)
    assert again.asked == 2
    assert resumed.digest == evaluate(EvalConfig(), benchmark, Parrot().target(), tmp_path / "whole").digest
    assert json.loads(resumed.file("logs/speed.json").read_text())["resumed"] == 8


@pytest.mark.parametrize(
    "change",
    [
        {"config": EvalConfig(max_tokens=9)},
        {"config": EvalConfig(temperature=0.5)},
        {"config": EvalConfig(system_prompt="Be brief.")},
        {"target": {"model": "other"}},
        {"rows": {"references": ["changed"]}},
    ],
)
def test_a_journal_never_answers_for_other_settings(
    change: dict[str, Any], write_benchmark: Write, make_item: Make, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    parrot = Parrot()
    parrot.stop_after = 1
    with pytest.raises(KeyboardInterrupt):
        evaluate(EvalConfig(), write_benchmark(5), parrot.target(), out)
    again = Parrot()
    benchmark = write_benchmark([make_item(n, **change.get("rows", {})) for n in range(5)])
    target = again.target(**change.get("target", {}))
    evaluate(change.get("config", EvalConfig()), benchmark, target, out)
    assert again.asked == 5


def test_a_bug_in_the_callable_keeps_its_traceback_and_the_journal(
    write_benchmark: Write, tmp_path: Path
) -> None:
    parrot = Parrot()
    parrot.stop_after, parrot.error = 1, ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        evaluate(EvalConfig(), write_benchmark(5), parrot.target(), tmp_path / "out")
    assert len(journal_path(tmp_path / "out").read_text().splitlines()) == 4


def test_a_callable_that_loses_answers_is_a_bug(write_benchmark: Write, tmp_path: Path) -> None:
    target = CallableTarget("short", {}, lambda batch, **_: [])
    with pytest.raises(ValueError, match="'short' gave 0 answers to 2 questions"):
        evaluate(EvalConfig(), write_benchmark(2), target, tmp_path / "out")


def test_failed_items_stop_the_sealing_and_a_rerun_asks_for_those_only(
    write_benchmark: Write, tmp_path: Path
) -> None:
    benchmark, out = write_benchmark(6), tmp_path / "out"
    with pytest.raises(SetupError, match=r"2 of 6 items failed \(2 x http 503; first: overloaded\)"):
        evaluate(EvalConfig(), benchmark, Flaky([1, 4]), out)
    assert not out.exists()
    cured = Flaky([])
    artifact = evaluate(EvalConfig(), benchmark, cured, out)
    assert cured.asked == ["question 1", "question 4"]
    assert summary_of(artifact)["scored"] == 6


def test_failed_items_are_unscored_and_counted_when_that_is_asked_for(
    write_benchmark: Write, tmp_path: Path
) -> None:
    config = EvalConfig(on_error="unscored")
    artifact = evaluate(config, write_benchmark(6), Flaky([1, 4]), tmp_path / "out")
    summary = summary_of(artifact)
    assert (summary["items"], summary["scored"], summary["unscored"]) == (6, 4, {"http 503": 2})
    assert summary["accuracy"]["estimate"] == 1.0
    assert scores_of(artifact)[1]["score"] is None
    assert "http 503: overloaded" in artifact.file("predictions.jsonl").read_text()


def test_a_bad_benchmark_is_refused_before_anything_is_asked(write_benchmark: Write, tmp_path: Path) -> None:
    parrot = Parrot()
    with pytest.raises(InputError):
        evaluate(EvalConfig(), write_benchmark([]), parrot.target(), tmp_path / "out")
    assert parrot.asked == 0


def test_a_folder_that_is_no_artifact_is_refused_before_anything_is_asked(
    write_benchmark: Write, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    parrot = Parrot()
    with pytest.raises(ArtifactError, match="no artifact"):
        evaluate(EvalConfig(), write_benchmark(2), parrot.target(), tmp_path / "out")
    assert parrot.asked == 0


def test_the_detectable_effect_follows_from_the_number_of_items(write_benchmark: Write) -> None:
    assert "8.9 / 12.5 / 15.3 points" in what_can_be_seen(read_benchmark(write_benchmark(100)))


def test_parents_are_named_in_the_manifest(write_benchmark: Write, tmp_path: Path) -> None:
    model = evaluate(EvalConfig(), write_benchmark(1), Parrot().target(), tmp_path / "a").as_parent
    child = evaluate(EvalConfig(), write_benchmark(1), Parrot().target(), tmp_path / "b", parents=[model])
    assert [parent.digest for parent in child.manifest.parents] == [model.digest]


def write_answers(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_saved_answers_are_scored_like_fresh_ones(write_benchmark: Write, tmp_path: Path) -> None:
    benchmark = write_benchmark(4)
    answers = write_answers(tmp_path / "a.jsonl", [{"id": f"item-{n:03}", "output": str(n)} for n in range(4)])
    artifact = score_predictions(answers, benchmark, tmp_path / "out", name="other")
    assert summary_of(artifact)["accuracy"]["estimate"] == 1.0
    assert artifact.manifest.config["name"] == "other"
    fresh = evaluate(EvalConfig(), benchmark, Parrot().target(), tmp_path / "fresh")
    assert scores_of(fresh) == scores_of(artifact)


def test_a_predictions_artifact_can_be_scored_again(write_benchmark: Write, tmp_path: Path) -> None:
    config = EvalConfig(on_error="unscored")
    first = evaluate(config, write_benchmark(4), Flaky([2]), tmp_path / "first")
    again = score_predictions(first.path, write_benchmark(4), tmp_path / "again", name="flaky")
    assert scores_of(again) == scores_of(first)
    assert again.file("predictions.jsonl").read_bytes() == first.file("predictions.jsonl").read_bytes()
    assert again.manifest.parents[0].digest == first.digest


def test_scoring_twice_returns_the_sealed_artifact(write_benchmark: Write, tmp_path: Path) -> None:
    answers = write_answers(tmp_path / "a.jsonl", [{"id": "item-000", "output": "0"}])
    digests = {score_predictions(answers, write_benchmark(1), tmp_path / "out").digest for _ in range(2)}
    assert len(digests) == 1


def test_a_missing_answer_is_refused_or_counted(write_benchmark: Write, tmp_path: Path) -> None:
    answers = write_answers(tmp_path / "a.jsonl", [{"id": "item-000", "output": "0"}])
    with pytest.raises(InputError, match=r"no answer to 2 of 3 items, first 'item-001'"):
        score_predictions(answers, write_benchmark(3), tmp_path / "out")
    artifact = score_predictions(answers, write_benchmark(3), tmp_path / "out", on_missing="unscored")
    assert summary_of(artifact)["unscored"] == {"missing": 2}


@pytest.mark.parametrize(
    ("ids", "told"),
    [(["item-000", "stranger"], "'stranger' is no item"), (["item-000"] * 2, "is there twice")],
)
def test_answers_to_other_items_are_refused(
    ids: list[str], told: str, write_benchmark: Write, tmp_path: Path
) -> None:
    answers = write_answers(tmp_path / "a.jsonl", [{"id": id_, "output": "0"} for id_ in ids])
    with pytest.raises(InputError, match=told):
        score_predictions(answers, write_benchmark(1), tmp_path / "out")
