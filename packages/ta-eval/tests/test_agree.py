import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.agree import agree, read_ratings
from ta_schemas import InputError

Cli = Callable[..., Any]
ROWS = [("q1", "ann", "good"), ("q1", "bob", "good"), ("q2", "ann", "bad"), ("q2", "bob", "bad")]
ROWS += [("q3", "ann", "good"), ("q3", "bob", "bad"), ("q4", "ann", "bad")]


def csv_file(folder: Path, rows: list[tuple[str, ...]], header: str = "item,rater,label") -> Path:
    file = folder / "ratings.csv"
    file.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return file


def test_csv_and_json_lines_give_the_same_ratings(tmp_path: Path) -> None:
    lines = tmp_path / "ratings.jsonl"
    lines.write_text(
        "".join(json.dumps(dict(zip(("item", "rater", "label"), row, strict=True))) + "\n" for row in ROWS)
    )
    assert read_ratings(csv_file(tmp_path, ROWS)) == read_ratings(lines)


def test_items_rated_once_count_as_items_but_not_for_agreement() -> None:
    found = agree({"a": {"x": "1", "y": "1"}, "b": {"x": "2", "y": "2"}, "c": {"x": "1"}})
    assert (found.items, found.rated_twice, found.ratings) == (3, 2, 5)
    assert found.agreement.estimate == 1.0


def test_every_pair_of_raters_gets_its_own_kappa() -> None:
    ratings = {str(k): {"ann": "ab"[k % 2], "bob": "ab"[k % 2], "cy": "ab"[(k + 1) % 2]} for k in range(20)}
    kappas = {(pair.first, pair.second): pair.kappa.estimate for pair in agree(ratings).cohen}
    assert kappas == {("ann", "bob"): 1.0, ("ann", "cy"): -1.0, ("bob", "cy"): -1.0}


def test_the_level_decides_how_far_labels_differ(cli: Cli, tmp_path: Path) -> None:
    rows = [
        (f"q{k}", rater, str(k % 5 + (rater == "bob") * (k % 3 == 0)))
        for k in range(30)
        for rater in ("ann", "bob")
    ]
    file = csv_file(tmp_path, rows)
    found = {
        level: json.loads(cli("agree", file, "--level", level, "--json").stdout)
        for level in ("nominal", "interval")
    }
    alphas = {level: result["krippendorff"]["estimate"] for level, result in found.items()}
    assert alphas["interval"] > alphas["nominal"] + 0.1


@pytest.mark.parametrize(
    ("rows", "header", "told"),
    [
        (ROWS, "item,person,label", ":1: rater: column is missing, the header has item, person, label"),
        ([*ROWS, ("q1", "ann", "bad")], "item,rater,label", ":9: rater 'ann' has rated item 'q1' already"),
        ([("q1", "ann", "")], "item,rater,label", ":2: label: is missing or empty"),
        ([], "item,rater,label", "no ratings"),
    ],
)
def test_a_wrong_file_is_told_with_line_and_field(
    rows: list[tuple[str, ...]], header: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        read_ratings(csv_file(tmp_path, rows, header))
    assert told in str(caught.value)


def test_ratings_that_never_meet_are_refused() -> None:
    with pytest.raises(InputError, match="no item has ratings of two raters"):
        agree({"a": {"x": "1"}, "b": {"y": "1"}})


def test_words_are_refused_where_numbers_are_needed(cli: Cli, tmp_path: Path) -> None:
    done = cli("agree", csv_file(tmp_path, ROWS), "--level", "ordinal")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "label 'bad': level 'ordinal' needs numbers" in done.stderr
    assert cli("agree", csv_file(tmp_path, ROWS), "--level", "some").returncode == 3


def test_agree_prints_a_table(cli: Cli, tmp_path: Path) -> None:
    done = cli("agree", csv_file(tmp_path, ROWS))
    assert done.returncode == 0, done.stderr
    assert "4 items, 3 of them rated twice or more, 7 ratings" in done.stdout
    assert "Cohen's kappa, ann and bob" in done.stdout


def test_agree_reads_a_pipe(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with csv_file(tmp_path, ROWS).open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert json.loads(cli("agree", "--json").stdout)["rated_twice"] == 3
