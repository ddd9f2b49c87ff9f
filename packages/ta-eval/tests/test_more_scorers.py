"""The scorers numeric, json_schema, token_f1, chrf, rouge_l, and your own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ta_eval.benchmark import read_benchmark
from ta_eval.item import Item
from ta_eval.scorers import score_answer, what_decides
from ta_eval.scorers.json_schema import find_json
from ta_eval.scorers.numeric import chosen_number, score_numeric
from ta_eval.scorers.overlap import chrf, rouge_l, token_f1
from ta_eval.scorers.own import load_own
from ta_schemas import InputError
from ta_schemas.rows import Message

Write = Callable[..., Path]
Make = Callable[..., dict[str, Any]]
texts = st.text("abc xyz,.", max_size=30)


def row(scorer: str, **fields: Any) -> Item:
    return Item(id="a", category="c", messages=[Message(role="user", content="q")], scorer=scorer, **fields)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("42", 42),
        ("The answer is 42, since 6 times 7 is that.", 42),
        ("6 * 7 = 42", 42),
        ("There were 12, and 5 left, so 7 stayed.", 7),
        ("1,234,567", 1234567),
        ("-3.5e2", -350),
        ("−3", -3),
        (".5", 0.5),
        ("1/4", 0.25),
    ],
)
def test_the_number_an_answer_settles_on_is_found(answer: str, number: float) -> None:
    found = chosen_number(answer)
    assert found is not None
    assert found.value == number


@pytest.mark.parametrize("answer", ["", "none", "v1.2.3", "a4", "-"])
def test_what_is_no_number_is_not_taken_for_one(answer: str) -> None:
    assert chosen_number(answer) is None
    assert score_numeric(answer, ["1"]).reason == "no number in the answer"


@pytest.mark.parametrize(
    ("answer", "reference", "value"),
    [
        ("5 km", "5000 m", 1),
        ("5 km", "5 m", 0),
        ("90 minutes", "1.5 hours", 1),
        ("5 kg", "5 km", 0),
        ("5", "5 km", 1),
        ("5 km", "5", 1),
        ("5 apples", "5 km", 1),
        ("2 KiB", "2048 bytes", 1),
        ("2 kB", "2048 bytes", 0),
        ("50 %", "50 percent", 1),
    ],
)
def test_units_are_converted(answer: str, reference: str, value: float) -> None:
    assert score_numeric(answer, [reference]).value == value


def test_the_tolerance_is_in_the_unit_of_the_reference() -> None:
    assert score_numeric("3.1 km", ["3000 m"], tolerance=100).value == 1
    assert score_numeric("3.1 km", ["3000 m"], tolerance=99).value == 0


def test_the_relative_tolerance_is_a_share() -> None:
    assert score_answer(row("numeric", references=["200"], relative_tolerance=0.01), "202").value == 1
    assert score_answer(row("numeric", references=["200"], relative_tolerance=0.01), "203").value == 0
    assert score_answer(row("numeric", references=["200"], tolerance=3), "203").value == 1


def test_any_reference_will_do() -> None:
    assert score_numeric("7", ["6", "7"]).reason == "equal to reference 2"


@given(st.floats(-1e9, 1e9), st.sampled_from(["", " km", " minutes", "%"]))
def test_a_number_equals_itself_in_any_unit(number: float, unit: str) -> None:
    assert score_numeric(f"It is {number!r}{unit}", [f"{number!r}{unit}"]).value == 1


@given(st.text(max_size=40))
def test_no_answer_makes_the_numeric_scorer_fail(answer: str) -> None:
    assert score_numeric(answer, ["1"]).value in (0, 1)


SCHEMA = {
    "type": "object",
    "properties": {"port": {"type": "integer"}},
    "required": ["port"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('{"port": 80}', 1),
        ('Here it is:\n```json\n{"port": 80}\n```\nDone.', 1),
        ('Sure: {"port": 80}. Anything else?', 1),
        ('{"port": "80"}', 0),
        ('{"port": 80, "x": 1}', 0),
        ("{}", 0),
        ("port 80", 0),
        ('{"port": 80', 0),
    ],
)
def test_json_of_the_asked_for_shape_is_right(answer: str, value: float) -> None:
    assert score_answer(row("json_schema", schema=SCHEMA), answer).value == value


def test_the_reason_names_what_is_wrong_with_the_json() -> None:
    assert "must contain ['port'] properties" in score_answer(row("json_schema", schema=SCHEMA), "{}").reason


@given(st.text('{}[]":,1a ', max_size=40))
def test_no_text_makes_the_search_for_json_fail(answer: str) -> None:
    assert isinstance(find_json(answer), str)


@pytest.mark.parametrize(
    ("measure", "value"),
    [(token_f1, 2 * 2 / 6), (rouge_l, 2 * 3 / 9), (chrf, 0.495935)],
)
def test_known_values(measure: Callable[[str, str], float], value: float) -> None:
    """By hand; chrF as sacrebleu 2.6 gives it for the same pair (sentence level, 49.5935)."""
    assert measure("the cat sat", "the cat sat on the mat") == pytest.approx(value, abs=1e-5)


def test_token_f1_counts_no_case_no_punctuation_and_no_articles() -> None:
    assert token_f1("The Cat sat!", "cat, sat") == 1


def test_rouge_l_counts_order_and_token_f1_does_not() -> None:
    assert token_f1("one two three", "three two one") == 1
    assert rouge_l("one two three", "three two one") == pytest.approx(1 / 3)


@pytest.mark.parametrize("measure", [token_f1, rouge_l, chrf])
@given(one=texts, other=texts)
def test_overlap_is_between_0_and_1_and_1_with_itself(
    measure: Callable[[str, str], float], one: str, other: str
) -> None:
    assert 0 <= measure(one, other) <= 1
    assert measure("abc x", "abc x") == 1


@pytest.mark.parametrize("scorer", ["token_f1", "chrf", "rouge_l"])
def test_the_best_reference_counts_and_a_threshold_makes_it_right_or_wrong(scorer: str) -> None:
    graded = score_answer(row(scorer, references=["blue", "one two four"]), "one two three")
    assert graded.value is not None
    assert 0.3 < graded.value < 1
    assert graded.reason.endswith("with reference 2")
    assert score_answer(row(scorer, references=["one two four"], threshold=0.3), "one two three").value == 1
    assert score_answer(row(scorer, references=["one two four"], threshold=0.99), "one two three").value == 0


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module `my_own_scorers` on the path."""
    file = tmp_path / "my_own_scorers.py"
    file.write_text(
        "def starts(row, answer):\n    return answer.startswith(row.references[0])\n"
        "def told(row, answer):\n    return 0.5, 'part', 'half right'\n"
        "def cannot(row, answer):\n    return None, answer, 'too short'\n"
        "def wrong(row, answer):\n    return 7\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield file
    sys.modules.pop("my_own_scorers", None)
    load_own.cache_clear()


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("starts", (1.0, "", "my_own_scorers:starts")),
        ("told", (0.5, "part", "half right")),
        ("cannot", (None, "yes sir", "too short")),
    ],
)
def test_a_scorer_of_ones_own_is_called(own: Path, name: str, score: tuple[Any, ...]) -> None:
    assert score_answer(row(f"my_own_scorers:{name}", references=["yes"]), "yes sir") == score


def test_a_value_outside_0_to_1_is_refused_with_the_item(own: Path) -> None:
    with pytest.raises(InputError, match=r"my_own_scorers:wrong: gave 7 for item 'a': expected 0 to 1"):
        score_answer(row("my_own_scorers:wrong"), "x")


@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ("my_own_scorers:none", "has no function 'none'"),
        ("no_such_module:f", "put its folder on PYTHONPATH"),
        ("os:system", "os is Python's own"),
        ("subprocess.x:run", "is Python's own"),
        ("comand", "did you mean 'command'?"),
        ("zzz", "known: exact, regex"),
    ],
)
def test_a_scorer_that_is_none_is_refused_with_the_line(
    own: Path, scorer: str, told: str, write_benchmark: Write, make_item: Make
) -> None:
    with pytest.raises(InputError) as caught:
        read_benchmark(write_benchmark([make_item(0), make_item(1, scorer=scorer)]))
    assert ":2: scorer" in str(caught.value)
    assert told in str(caught.value)


def test_a_module_beside_the_benchmark_is_not_imported(
    write_benchmark: Write, make_item: Make, tmp_path: Path
) -> None:
    (tmp_path / "beside.py").write_text("raise SystemExit('ran')")
    with pytest.raises(InputError, match="No module named 'beside'"):
        read_benchmark(write_benchmark([make_item(0, scorer="beside:f")]))


def test_what_a_result_depends_on_names_own_code_and_the_sandbox(own: Path) -> None:
    before = what_decides([row("my_own_scorers:starts")])
    own.write_text(own.read_text() + "\n")
    assert before != what_decides([row("my_own_scorers:starts")])
    assert "sandbox" in what_decides([row("command_execution", references=["ls"])])
    assert what_decides([row("exact", references=["x"])]).keys() == {"scorers"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"scorer": "numeric", "references": ["many"]}, "references: no number: 'many'"),
        ({"scorer": "numeric", "references": []}, "references: scorer 'numeric' needs at least one"),
        ({"scorer": "json_schema"}, "schema: scorer 'json_schema' needs one"),
        ({"scorer": "json_schema", "schema": {"type": "nonsense"}}, "schema: "),
        ({"scorer": "command_execution", "references": ["ls |"]}, "references: not a command"),
        ({"scorer": "chrf", "references": [" "]}, "references: an empty one"),
    ],
)
def test_a_row_its_scorer_cannot_use_is_refused(
    fields: dict[str, Any], told: str, write_benchmark: Write, make_item: Make
) -> None:
    with pytest.raises(InputError, match=told):
        read_benchmark(write_benchmark([make_item(0, **fields)]))


def test_a_row_read_as_a_plain_benchmark_row_is_a_bug_for_scorers_that_need_more() -> None:
    from ta_schemas.rows import BenchmarkRow

    plain = BenchmarkRow(id="a", category="c", messages=[], scorer="numeric")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="read_benchmark"):
        score_answer(plain, "1")
