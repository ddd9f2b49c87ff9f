"""Scored answers, corrections and votes become pairs; length must not tell which is chosen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_data.pairs import Answer, Pair, balanced
from ta_schemas.artifact import Artifact, ArtifactWriter
from ta_schemas.jsonl import read_jsonl
from ta_schemas.rows import PreferenceRow

Run = Callable[..., Any]


def scored(prompt: str, output: str, score: float) -> dict[str, Any]:
    return {"prompt": prompt, "output": output, "score": score}


@pytest.fixture
def pairs(tmp_path: Path, make: Any, ta_data: Run) -> Callable[..., list[PreferenceRow]]:
    def run(rows: list[Any], *options: object) -> list[PreferenceRow]:
        file = make.lines(tmp_path / "rows.jsonl", rows)
        ran = ta_data("pairs", file, "--out", tmp_path / "out", "--force", *options)
        assert ran.code == 0, ran.err
        artifact = Artifact.open(tmp_path / "out", kind="preferences")
        return [
            row
            for name in ("train", "validation")
            for row in read_jsonl(artifact.file(f"{name}.jsonl"), PreferenceRow)
        ]

    return run


def texts(row: PreferenceRow) -> tuple[str, str, str]:
    return row.prompt[-1].content, row.chosen[0].content, row.rejected[0].content


def test_the_better_answer_is_chosen_and_the_margin_told(pairs: Any) -> None:
    (row,) = pairs([scored("A?", "good", 1.0), scored("A?", "bad", 0.25), scored("B?", "only", 1.0)])

    assert (texts(row), row.margin) == (("A?", "good", "bad"), 0.75)


def test_a_small_margin_or_an_equal_answer_makes_no_pair(tmp_path: Path, make: Any, ta_data: Run) -> None:
    file = make.lines(
        tmp_path / "r.jsonl",
        [scored("A?", "x", 1.0), scored("A?", "y", 0.8), scored("B?", "z", 1), scored("B?", "z ", 0)],
    )

    ran = ta_data("pairs", file, "--out", tmp_path / "out")

    assert ran.code == 3
    assert "'margin too small': 1" in ran.err and "'one answer only': 1" in ran.err


def test_corrections_and_votes_are_pairs_too(pairs: Any) -> None:
    chat = [{"role": "user", "content": "A?"}, {"role": "assistant", "content": "wrong"}]
    event = {"messages": chat, "rating": "down", "correction": "right"}
    vote = {"prompt": "B?", "a": "one", "b": "two", "winner": "b"}

    assert {texts(row) for row in pairs([event, vote])} == {("A?", "right", "wrong"), ("B?", "two", "one")}


def test_predictions_of_ta_eval_are_joined_by_their_scores(tmp_path: Path, make: Any, ta_data: Run) -> None:
    question = {"id": "q", "messages": [{"role": "user", "content": "A?"}]}
    for name, output, score in (("good", "yes", 1.0), ("bad", "no", 0.0), ("unscored", "hm", None)):
        with ArtifactWriter(tmp_path / name, kind="predictions", producer="t") as writer:
            make.lines(writer.path / "benchmark.jsonl", [question])
            make.lines(writer.path / "predictions.jsonl", [{"id": "q", "output": output}])
            make.lines(writer.path / "scores.jsonl", [{"id": "q", "score": score}])

    ran = ta_data(
        "pairs",
        *(tmp_path / n for n in ("good", "bad", "unscored")),
        "--out",
        tmp_path / "out",
        "--validation",
        0,
    )

    result = json.loads(ran.out)
    assert (result["pairs"], result["left_out"]) == (1, {"answer without a score": 1})
    (row,) = read_jsonl(tmp_path / "out" / "train.jsonl", PreferenceRow)
    assert (texts(row), row.source) == (("A?", "yes", "no"), "good:q bad:q")


VOTES = [("p1", "left"), ("p1", "left"), ("p1", "tie"), ("p2", "left"), ("p3", "both_bad"), ("p4", "right")]


@pytest.mark.parametrize("name", ["", "votes.jsonl", "labels.jsonl"])
def test_the_votes_of_an_ab_folder_are_pairs_without_its_key(
    tmp_path: Path, make: Any, ta_data: Run, name: str
) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    shown = [("p1", "One?", "good", "bad", ""), ("p2", "Two?", "no", "yes", ""), ("p3", "Three?", "x", "y", "")]
    # p4 is p1 again with its sides exchanged, so a vote for its right is one for p1's left.
    keys = ("id", "question", "left", "right", "repeat_of")
    make.lines(
        folder / "pairs.jsonl",
        [dict(zip(keys, p, strict=True)) for p in (*shown, ("p4", "One?", "bad", "good", "p1"))],
    )
    make.lines(
        folder / "votes.jsonl", [{"pair": pair, "rater": "a", "choice": choice} for pair, choice in VOTES]
    )
    make.lines(folder / "labels.jsonl", [])

    ran = ta_data("pairs", folder / name, "--out", tmp_path / "out", "--validation", 0, "--max-skew", 1)

    assert json.loads(ran.out)["left_out"] == {"margin too small": 1}
    rows = read_jsonl(tmp_path / "out" / "train.jsonl", PreferenceRow)
    assert {(*texts(row), row.margin) for row in rows} == {
        ("One?", "good", "bad", 0.75),
        ("Two?", "no", "yes", 1.0),
    }


def test_options_count(pairs: Any) -> None:
    rows = [scored("A?", "aa", 1.0), scored("A?", "bb", 0.4), scored("A?", "cc", 0.0)]

    assert len(pairs(rows, "--per-prompt", 2)) == 2
    assert len(pairs(rows, "--per-prompt", 2, "--min-margin", 0.7)) == 1
    assert pairs(rows, "--system", "Be brief.")[0].prompt[0].content == "Be brief."


def test_a_prompt_is_in_one_split_only(pairs: Any, tmp_path: Path) -> None:
    rows = [scored(f"{n}?", text, score) for n in range(20) for text, score in (("a", 1), ("b", 0), ("c", 0))]

    pairs(rows, "--per-prompt", 2, "--validation", 0.25)

    train, validation = (
        {row.prompt[0].content for row in read_jsonl(tmp_path / "out" / f"{n}.jsonl", PreferenceRow)}
        for n in ("train", "validation")
    )
    assert (len(train), len(validation), train & validation) == (15, 5, set())


def test_among_equal_margins_lengths_are_evened_out(pairs: Any, tmp_path: Path) -> None:
    rows = [
        scored(f"{n}?", text, score)
        for n in range(20)
        for text, score in (("medium", 1), ("x", 0), ("a much longer one", 0))
    ]

    pairs(rows)

    stats = json.loads((tmp_path / "out" / "stats.json").read_text())
    assert (stats["pairs"], stats["chosen_is_longer"], stats["length_alone_would_guess"]) == (20, 0.5, 0.5)


def test_pairs_in_which_chosen_is_merely_longer_are_left_out() -> None:
    def pair(n: int, good: str, bad: str) -> Pair:
        return Pair(str(n), Answer(good, 1.0, ""), Answer(bad, 0.01 * n, ""))

    long = [pair(n, "long answer", "no") for n in range(8)]
    short = [pair(n, "no", "long answer") for n in range(2)]

    kept, gone = balanced([*long, *short], 0.6)

    assert (len(kept), gone) == (5, 5)
    assert [p.prompt for p in kept if p.longer] == ["0", "1", "2"]
    assert balanced([*long, *short], 1.0) == ([*long, *short], 0)
