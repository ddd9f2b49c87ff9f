"""What may be compared with what, and how several systems and grouped items are treated."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.compare import build_report, compare, read_item_sets
from ta_eval.config import CompareConfig, EvalConfig
from ta_eval.evaluate import evaluate
from ta_eval.target import CallableTarget, Message, Reply
from ta_schemas import InputError, Parent
from ta_schemas.reports import Comparison

Cli = Callable[..., Any]
Write = Callable[..., Path]
FAST = CompareConfig(resamples=500)


def score_file(folder: Path, name: str, scores: list[float | None], **more: Any) -> Path:
    file = folder / f"{name}.jsonl"
    rows = [{"id": f"i{k}", "score": score} for k, score in enumerate(scores)]
    for key, values in more.items():
        rows = [row | {key: values[k]} for k, row in enumerate(rows)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def compared(*files: Path, config: CompareConfig = FAST) -> list[Comparison]:
    return build_report(config, read_item_sets(config, {"benchmark": files})).item_sets[0].comparisons


def predictions(benchmark: Path, out: Path, name: str, identity: dict[str, Any], **asked: Any) -> Path:
    def answer(batch: list[list[Message]], **_: Any) -> list[Reply]:
        return [Reply(messages[-1]["content"].split()[-1], "stop", 1, 1) for messages in batch]

    target = CallableTarget(name, identity, answer)
    parents = [Parent(kind="model", digest=identity["digest"])] if "digest" in identity else []
    return evaluate(EvalConfig(**asked), benchmark, target, out, parents=parents).path


def test_score_files_are_compared_without_an_artifact(cli: Cli, tmp_path: Path) -> None:
    base = score_file(tmp_path, "base", [0, 0, 1, 1] * 15)
    tuned = score_file(tmp_path, "tuned", [1, 0, 1, 1] * 15)
    found = json.loads(cli("compare", base, tuned, "--json").stdout)
    [comparison] = found["item_sets"][0]["comparisons"]
    assert (comparison["baseline"], comparison["candidate"], comparison["verdict"]) == (
        "base",
        "tuned",
        "better",
    )
    assert comparison["difference"]["estimate"] == 0.25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.jsonl", "tuned.jsonl"]


def test_score_files_can_be_sealed_as_a_report_and_other_scores_are_another_report(
    cli: Cli, tmp_path: Path
) -> None:
    files = [score_file(tmp_path, "base", [0, 1] * 9), score_file(tmp_path, "tuned", [1, 1] * 9)]
    done = cli("compare", *files, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "report.html").exists()
    score_file(tmp_path, "tuned", [1, 0] * 9)
    assert cli("compare", *files, "--out", tmp_path / "report").returncode == 4


def test_scores_that_are_no_zeros_and_ones_get_a_permutation_test(tmp_path: Path) -> None:
    base = score_file(tmp_path, "base", [k % 10 / 10 for k in range(50)])
    tuned = score_file(tmp_path, "tuned", [k % 10 / 10 + 0.05 + k % 3 / 50 for k in range(50)])
    [found] = compared(base, tuned)
    assert found.test == "permutation"  # type: ignore[attr-defined]
    assert found.mcnemar_p < 0.01
    assert found.difference.estimate == pytest.approx(0.05 + 0.0196, abs=1e-3)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"score": 1}', ":1: id: is missing"),
        ('{"id": "a"}', ":1: score: expected a number"),
        ('{"id": "a", "score": "high"}', ":1: score: expected a number"),
        ('{"id": "a", "score": 1}\n{"id": "a", "score": 1}', ":2: id: is there twice"),
        ("", "no scores"),
        ("[1]", ":1: expected a JSON object"),
    ],
)
def test_a_wrong_score_file_is_told_with_line_and_field(line: str, told: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(line + "\n")
    with pytest.raises(InputError) as caught:
        compared(bad, score_file(tmp_path, "tuned", [1.0]))
    assert told in str(caught.value)


def test_score_files_over_other_items_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="score different items, such as 'i2'"):
        compared(score_file(tmp_path, "base", [1, 1]), score_file(tmp_path, "tuned", [1, 1, 1]))


def test_holm_can_take_back_what_one_comparison_alone_would_say(tmp_path: Path) -> None:
    base = score_file(tmp_path, "base", [0.0] * 60)
    six = score_file(tmp_path, "six", [1.0] * 6 + [0.0] * 54)
    others = [score_file(tmp_path, f"other{k}", [0.0] * 60) for k in range(2)]
    [alone] = compared(base, six)
    assert (alone.verdict, alone.mcnemar_p) == ("better", 0.03125)
    among = compared(base, six, *others)
    assert among[0].p_adjusted == pytest.approx(3 * 0.03125)  # type: ignore[attr-defined]
    assert among[0].verdict == "not measurable"


def test_items_of_one_group_widen_the_interval_unless_told_otherwise(tmp_path: Path) -> None:
    groups = [f"g{k // 6}" for k in range(120)]
    gains = [float(k // 6 % 4 == 0) for k in range(120)]
    base = score_file(tmp_path, "base", [0.0] * 120, group=groups)
    tuned = score_file(tmp_path, "tuned", gains, group=groups)
    [grouped] = compared(base, tuned)
    [apart] = compared(base, tuned, config=CompareConfig(resamples=500, cluster="none"))
    assert (grouped.clusters, apart.clusters) == (20, 0)  # type: ignore[attr-defined]
    assert (grouped.difference.method, apart.difference.method) == ("clustered", "paired-bootstrap")
    wide, narrow = (found.difference.high - found.difference.low for found in (grouped, apart))
    assert wide > 1.8 * narrow
    assert grouped.minimum_detectable_effect > 1.8 * apart.minimum_detectable_effect


def test_fewer_than_ten_groups_are_too_few_to_cluster(tmp_path: Path) -> None:
    groups = [f"g{k % 9}" for k in range(90)]
    base = score_file(tmp_path, "base", [0.0] * 90, group=groups)
    [found] = compared(base, score_file(tmp_path, "tuned", [1.0] * 90, group=groups))
    assert found.difference.method == "paired-bootstrap"


def test_a_comparison_of_a_model_with_itself_is_refused(write_benchmark: Write, tmp_path: Path) -> None:
    benchmark, same = write_benchmark(6), {"model": "m", "digest": "sha256:" + "a" * 64}
    base = predictions(benchmark, tmp_path / "base", "base", same)
    tuned = predictions(benchmark, tmp_path / "tuned", "tuned", same)
    with pytest.raises(InputError, match="compares a model with itself"):
        compare(FAST, {"benchmark": [base, tuned]}, tmp_path / "out")
    prompted = predictions(benchmark, tmp_path / "p", "prompted", same, system_prompt="Short.")
    compare(FAST, {"benchmark": [base, prompted]}, tmp_path / "out")


def test_the_baseline_must_be_the_model_that_was_named(write_benchmark: Write, tmp_path: Path) -> None:
    benchmark, a, b = write_benchmark(6), "sha256:" + "a" * 64, "sha256:" + "b" * 64
    base = predictions(benchmark, tmp_path / "base", "base", {"model": "m", "digest": a})
    tuned = predictions(benchmark, tmp_path / "tuned", "tuned", {"model": "t", "digest": b})
    compare(CompareConfig(resamples=500, base_digest=a), {"b": [base, tuned]}, tmp_path / "out")
    with pytest.raises(InputError, match=r"the baseline .*tuned is .*not sha256:aaa.*is it the base model"):
        compare(CompareConfig(resamples=500, base_digest=a), {"b": [tuned, base]}, tmp_path / "other")


def test_a_candidate_that_names_its_base_is_held_to_it(write_benchmark: Write, tmp_path: Path) -> None:
    benchmark, a, b = write_benchmark(6), "sha256:" + "a" * 64, "sha256:" + "b" * 64
    tuned = predictions(benchmark, tmp_path / "tuned", "tuned", {"model": "t", "digest": b, "base_digest": a})
    base = predictions(benchmark, tmp_path / "base", "base", {"model": "m", "digest": a})
    other = predictions(benchmark, tmp_path / "other", "other", {"model": "o", "digest": "sha256:" + "c" * 64})
    compare(FAST, {"b": [base, tuned]}, tmp_path / "out")
    with pytest.raises(InputError, match="was tuned from sha256:aaa.* is not that model"):
        compare(FAST, {"b": [other, tuned]}, tmp_path / "no")


def test_cluster_and_base_digest_are_options_of_the_command(cli: Cli, tmp_path: Path) -> None:
    groups = [f"g{k // 3}" for k in range(60)]
    files = [
        score_file(tmp_path, name, [value] * 30 + [0.0] * 30, group=groups)
        for name, value in (("a", 0.0), ("b", 1.0))
    ]
    found = [json.loads(cli("compare", *files, "--json", *more).stdout) for more in ([], ["--cluster", "none"])]
    methods = [one["item_sets"][0]["comparisons"][0]["difference"]["method"] for one in found]
    assert methods == ["clustered", "paired-bootstrap"]
    assert "not sha256:x" in cli("compare", *files, "--base-digest", "sha256:x").stderr
    assert cli("compare", *files, "--cluster", "tool").returncode == 3


def test_a_report_says_where_nothing_shows_that_the_baseline_is_the_base(
    write_benchmark: Write, tmp_path: Path
) -> None:
    benchmark, digest = write_benchmark(12), "sha256:" + "1" * 64
    base = predictions(benchmark, tmp_path / "base", "base", {"model": "m", "digest": digest})
    by_url = predictions(benchmark, tmp_path / "url", "url", {"model": "tuned"})
    known = predictions(benchmark, tmp_path / "known", "known", {"model": "t", "base_digest": digest})
    prompted = predictions(benchmark, tmp_path / "p", "p", {"model": "m", "digest": digest}, system_prompt="x")

    def told(*candidates: Path, config: CompareConfig = FAST) -> list[str]:
        report = build_report(config, read_item_sets(config, {"b": [base, *candidates]}))
        return [note for note in report.notes if "Nothing recorded shows" in note]

    assert "that base is the model that url came from" in told(known, by_url, prompted)[0]
    assert told(known, prompted) == []
    assert told(by_url, config=FAST.model_copy(update={"base_digest": digest})) == []
