import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.compare import build_report, compare, read_item_sets
from ta_eval.config import CompareConfig, EvalConfig
from ta_eval.evaluate import evaluate
from ta_eval.saved import score_predictions
from ta_eval.target import CallableTarget, Message, Reply
from ta_schemas import ArtifactError, InputError
from ta_schemas.reports import EvalReport

Write = Callable[..., Path]
FAST = CompareConfig(resamples=1000)


def predictions(  # type: ignore[no-untyped-def]
    benchmark: Path, out: Path, name: str, right, *, config: EvalConfig | None = None, cut: bool = False
) -> Path:
    """A system that is right on the numbers for which `right(number)` is true."""

    def answer(batch: list[list[Message]], **_: Any) -> list[Reply]:
        numbers = [int(messages[-1]["content"].split()[-1]) for messages in batch]
        return [Reply(str(n) if right(n) else "wrong", "length" if cut else "stop", 1, 1) for n in numbers]

    target = CallableTarget(name, {"model": name}, answer)
    return evaluate(config or EvalConfig(), benchmark, target, out).path


def report_of(out: Path) -> EvalReport:
    return EvalReport.model_validate_json((out / "report.json").read_text())


@pytest.fixture
def pair(write_benchmark: Write, tmp_path: Path) -> list[Path]:
    """Base right on every fourth of 60 items, tuned on every second."""
    benchmark = write_benchmark(60)
    base = predictions(benchmark, tmp_path / "base", "base", lambda n: n % 4 == 0)
    return [base, predictions(benchmark, tmp_path / "tuned", "tuned", lambda n: n % 2 == 0)]


def test_systems_are_compared_on_the_same_items(pair: list[Path], tmp_path: Path) -> None:
    compare(FAST, {"benchmark": pair}, tmp_path / "out")
    report = report_of(tmp_path / "out")
    [items] = report.item_sets
    assert [system.accuracy.estimate for system in items.systems] == [0.25, 0.5]
    [found] = items.comparisons
    assert (found.baseline, found.candidate, found.items) == ("base", "tuned", 60)
    assert (found.only_baseline, found.only_candidate) == (0, 15)
    assert found.difference.estimate == 0.25
    assert found.difference.low > 0
    assert found.mcnemar_p == pytest.approx(2 / 2**15)
    assert found.verdict == "better"
    assert found.by_category["files"]["items"] == 20  # type: ignore[attr-defined]


def test_the_order_of_the_directories_says_which_is_the_baseline(pair: list[Path], tmp_path: Path) -> None:
    compare(FAST, {"benchmark": pair[::-1]}, tmp_path / "out")
    [found] = report_of(tmp_path / "out").item_sets[0].comparisons
    assert (found.baseline, found.verdict) == ("tuned", "worse")


def test_equal_systems_are_not_measurable(write_benchmark: Write, tmp_path: Path) -> None:
    benchmark = write_benchmark(30)
    dirs = [predictions(benchmark, tmp_path / name, name, lambda n: n % 2) for name in ("base", "tuned")]
    compare(FAST, {"benchmark": dirs}, tmp_path / "out")
    [found] = report_of(tmp_path / "out").item_sets[0].comparisons
    assert (found.verdict, found.mcnemar_p) == ("not measurable", 1.0)


def test_a_forgetting_check_is_an_item_set_of_its_own(
    pair: list[Path], write_benchmark: Write, tmp_path: Path
) -> None:
    general = write_benchmark(30, name="general.jsonl")
    checks = [
        predictions(general, tmp_path / f"{name}-general", name, right)
        for name, right in (("base", lambda n: True), ("tuned", lambda n: n > 11))
    ]
    artifact = compare(FAST, {"benchmark": pair, "forgetting check": checks}, tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert [items.name for items in report.item_sets] == ["benchmark", "forgetting check"]
    assert [items.comparisons[0].verdict for items in report.item_sets] == ["better", "worse"]
    assert len(artifact.manifest.parents) == 4


def test_predictions_over_another_benchmark_are_refused(
    pair: list[Path], write_benchmark: Write, tmp_path: Path
) -> None:
    other = predictions(write_benchmark(59, name="other.jsonl"), tmp_path / "o", "other", lambda n: True)
    with pytest.raises(InputError, match="only answers to the same items can be compared"):
        compare(FAST, {"benchmark": [pair[0], other]}, tmp_path / "out")


def test_one_directory_is_no_comparison(pair: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a baseline and at least one candidate, got 1"):
        compare(FAST, {"benchmark": pair[:1]}, tmp_path / "out")
    with pytest.raises(InputError, match="no item set"):
        compare(FAST, {}, tmp_path / "out")


def test_two_systems_of_one_name_are_refused(pair: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two predictions are named 'base'"):
        compare(FAST, {"benchmark": [pair[0], pair[0]]}, tmp_path / "out")


def test_another_kind_of_artifact_and_a_changed_one_are_refused(pair: list[Path], tmp_path: Path) -> None:
    compare(FAST, {"benchmark": pair}, tmp_path / "report")
    with pytest.raises(ArtifactError, match="kind 'eval-report', expected 'predictions'"):
        compare(FAST, {"benchmark": [pair[0], tmp_path / "report"]}, tmp_path / "out")
    (pair[1] / "scores.jsonl").write_text((pair[1] / "scores.jsonl").read_text().replace("0.0", "1.0"))
    with pytest.raises(ArtifactError, match=r"scores\.jsonl: content differs"):
        compare(FAST, {"benchmark": pair}, tmp_path / "out")


def test_unscored_items_are_left_out_on_both_sides_and_told(
    pair: list[Path], write_benchmark: Write, tmp_path: Path
) -> None:
    rows = [{"id": f"item-{n:03}", "output": str(n)} for n in range(55)]
    rows += [{"id": f"item-{n:03}", "output": "", "error": "http 503: busy"} for n in range(55, 58)]
    file = tmp_path / "some.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    some = score_predictions(file, write_benchmark(60), tmp_path / "some", on_missing="unscored").path
    compare(FAST, {"benchmark": [pair[0], some]}, tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert report.item_sets[0].systems[1].unscored == {"http 503": 3, "missing": 2}
    assert report.item_sets[0].systems[1].scored == 55
    assert report.item_sets[0].comparisons[0].items == 55
    assert "benchmark: 5 of 60 items are left out" in report.notes[0]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "3 × http 503, 2 × missing" in page


def test_systems_that_were_not_asked_alike_are_told(
    pair: list[Path], write_benchmark: Write, tmp_path: Path
) -> None:
    long = predictions(
        write_benchmark(60), tmp_path / "l", "long", lambda n: True, config=EvalConfig(max_tokens=9), cut=True
    )
    compare(FAST, {"benchmark": [*pair, long]}, tmp_path / "out")
    notes = report_of(tmp_path / "out").notes
    assert "benchmark: the systems were not asked alike: max_tokens is base: 256; tuned: 256; long: 9." in notes
    assert "benchmark: 60 answers of long were cut off at the token limit." in notes
    assert any("2 comparisons with base" in note for note in notes)


def test_the_seed_decides_the_bootstrap(pair: list[Path]) -> None:
    first, again, others = (interval_ends(pair, seeds) for seeds in ([0] * 8, [0] * 8, range(8)))
    assert first == again
    assert first != others


def test_the_number_of_resamples_is_kept(pair: list[Path]) -> None:
    few, many = (interval_ends(pair, range(8), resamples=count) for count in (100, 1000))
    assert few != many


def interval_ends(  # type: ignore[no-untyped-def]
    pair: list[Path], seeds, *, resamples: int = 100
) -> list[tuple[float, float]]:
    ends = []
    for seed in seeds:
        config = CompareConfig(seed=seed, resamples=resamples, side_by_side=0)
        [found] = build_report(config, read_item_sets(config, {"b": pair})).item_sets[0].comparisons
        ends.append((found.difference.low, found.difference.high))
    return ends


def test_side_by_side_covers_the_categories_and_is_the_same_every_time(
    pair: list[Path], tmp_path: Path
) -> None:
    compare(CompareConfig(resamples=100), {"b": pair}, tmp_path / "out")
    compare(CompareConfig(resamples=100, title="Other"), {"b": pair}, tmp_path / "again")
    first, again = report_of(tmp_path / "out").side_by_side, report_of(tmp_path / "again").side_by_side
    assert first == again
    assert len(first) == 10
    counts = [sum(prompt["category"] == name for prompt in first) for name in ("files", "text", "users")]
    assert sorted(counts) == [3, 3, 4]
    assert [answer["system"] for answer in first[0]["answers"]] == ["base", "tuned"]


@pytest.mark.parametrize("count", [0, 4, 60])
def test_the_number_side_by_side_is_what_was_asked_for(pair: list[Path], tmp_path: Path, count: int) -> None:
    compare(CompareConfig(resamples=100, side_by_side=count), {"b": pair}, tmp_path / "out")
    assert len(report_of(tmp_path / "out").side_by_side) == count


def test_the_title_heads_the_report(pair: list[Path], tmp_path: Path) -> None:
    compare(CompareConfig(resamples=100, title="Version <2>"), {"b": pair}, tmp_path / "out")
    assert "<h1>Version &lt;2&gt;</h1>" in (tmp_path / "out" / "report.html").read_text()


def test_the_same_comparison_is_returned_and_another_refused(pair: list[Path], tmp_path: Path) -> None:
    first = compare(FAST, {"b": pair}, tmp_path / "out")
    assert compare(FAST, {"b": pair}, tmp_path / "out").digest == first.digest
    with pytest.raises(ArtifactError, match="another run's artifact"):
        compare(FAST, {"b": pair[::-1]}, tmp_path / "out")
