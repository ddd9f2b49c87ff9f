import pytest

from ta_eval.scorers import score_answer
from ta_eval.scorers.multiple_choice import chosen_letter, score_multiple_choice
from ta_eval.scorers.text import score_exact, score_regex
from ta_schemas.rows import BenchmarkRow, Message


@pytest.mark.parametrize("answer", ["Paris", " paris.", "`Paris`", '"PARIS!"', "**Paris**", "“Paris”\n"])
def test_exact_ignores_case_blanks_and_surrounding_punctuation(answer: str) -> None:
    assert score_exact(answer, ["Rome", "Paris"]).value == 1


@pytest.mark.parametrize("answer", ["", "Paris, France", "Pari", "It is Paris"])
def test_exact_wants_nothing_but_the_answer(answer: str) -> None:
    assert score_exact(answer, ["Paris"]).value == 0


def test_exact_keeps_signs_that_carry_meaning() -> None:
    assert score_exact("-9", ["9"]).value == 0
    assert score_exact(">", [">>"]).value == 0
    assert score_exact("*", ["*"]).value == 1
    assert score_exact("...", ["*"]).value == 0


def test_exact_collapses_blanks_inside() -> None:
    assert score_exact("two  \n words", ["two words"]).value == 1


def test_regex_searches_the_whole_answer() -> None:
    assert score_regex("First.\nWARNING: gone", r"(?i)\bwarning\b") == (1.0, "WARNING", "pattern found")
    assert score_regex("no warnings", r"(?i)\bwarning\b").value == 0
    assert score_regex("Which one?\n", r"\?\s*$").value == 1


CHOICES = ["644", "600", "755", "666"]


@pytest.mark.parametrize(
    "answer",
    [
        "B", "b", "B)", "(B)", "B.", "**B**", "`B`", "B) 600", "B: 600", "B\n600", "The answer is B.",
        "answer: b", "I would choose option B because A) is too open", "600", "`600`", "The mode is 600.",
        "The correct one is (B).", "**B) 600**",
    ],
)  # fmt: skip
def test_the_letter_is_found_in_any_usual_form(answer: str) -> None:
    assert chosen_letter(answer, CHOICES) == "B"


@pytest.mark.parametrize(
    "answer", ["", "E", "A or B", "600 or 644", "A) 644 B) 600 C) 755 D) 666", "6000", "none"]
)
def test_an_answer_that_chooses_none_or_several_chooses_nothing(answer: str) -> None:
    assert chosen_letter(answer, CHOICES) == ""
    assert score_multiple_choice(answer, CHOICES, "B").value == 0


def test_symbols_are_not_found_inside_longer_ones() -> None:
    choices = ["<", ">", ">>", "2>"]
    assert chosen_letter("Use >> for that.", choices) == "C"
    assert chosen_letter("`>`", choices) == "B"


def test_an_article_is_no_choice() -> None:
    assert chosen_letter("A file has no mode 600 by default", CHOICES) == "B"
    assert chosen_letter("The answer is a mode that nobody listed.", CHOICES) == ""


def test_a_wrong_letter_says_what_was_chosen() -> None:
    assert score_multiple_choice("C", CHOICES, "b") == (0.0, "C", "chose C, right is B")


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"scorer": "exact", "references": ["0"]}, "0"),
        ({"scorer": "regex", "pattern": "0"}, "10"),
        ({"scorer": "multiple_choice", "choices": ["a", "b"], "answer": "B"}, "B"),
        ({"scorer": "command", "references": ["ls -la"]}, "`ls -al`"),
    ],
)
def test_a_row_is_scored_with_the_scorer_it_names(fields: dict[str, object], answer: str) -> None:
    row = BenchmarkRow(id="x", category="c", messages=[Message(role="user", content="q")], **fields)  # type: ignore[arg-type]
    assert score_answer(row, answer).value == 1
    assert score_answer(row, "zzz").value == 0
