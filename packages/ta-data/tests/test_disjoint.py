"""The four tests for contact with held-out questions."""

from pathlib import Path
from typing import Any

import pytest

from ta_data.disjoint import Held, commands, grams, jaccard, load_held, normalised
from ta_schemas.errors import InputError
from ta_schemas.rows import BenchmarkRow, ConversationRow, Message


def held(question: str, *references: str, scorer: Any = "command") -> Held:
    messages = [Message(role="user", content=question)]
    return Held(
        [BenchmarkRow(id="b1", category="c", messages=messages, scorer=scorer, references=list(references))]
    )


def row(question: str, answer: str = "No.", *more: str) -> ConversationRow:
    texts = [question, answer, *more]
    roles: list[Any] = ["user", "assistant"] * len(texts)
    messages = [Message(role=role, content=text) for role, text in zip(roles, texts, strict=False)]
    return ConversationRow(id="r", messages=messages)


def test_an_equal_question_touches_whatever_its_case_and_punctuation() -> None:
    touch = held("Delete the folder tmp.").touches(row("delete the  folder `tmp`!"))

    assert touch == ("exact", "b1")


def test_eight_words_in_a_row_touch_and_seven_do_not() -> None:
    eight = "one two three four five six seven eight"
    long = held(f"{eight} nine ten eleven twelve thirteen fourteen fifteen sixteen")

    assert long.touches(row(f"zero {eight} zzz")) == ("8-gram", "b1")
    assert long.touches(row("zero one two three four five six seven zzz")) is None


def test_seven_tenths_of_the_words_touch() -> None:
    item = held("a b c d e f g")

    assert item.touches(row("g f e d c b a h i j")) == ("jaccard", "b1")
    assert item.touches(row("g f e d c b a h i j k")) is None


def test_an_equal_command_touches_whatever_its_spaces() -> None:
    item = held("Delete tmp", "rm -r tmp", "rm -R tmp")

    assert item.touches(row("Something else?", "Yes.\n\n```bash\nrm  -R tmp\n```")) == ("answer", "b1")
    assert item.touches(row("Something else?", "Yes.\n\n```bash\nrm -R tmp2\n```")) is None


def test_follow_ups_are_compared_too() -> None:
    item = held("Delete the folder tmp.", "rm -r tmp")

    assert item.touches(row("Other?", "No.", "Delete the folder tmp", "No.")) == ("exact", "b1")
    assert item.touches(row("Other?", "No.", "What?", "Ok.\n\n```bash\nrm -r tmp\n```")) == ("answer", "b1")


def test_the_surest_contact_is_named() -> None:
    item = held("one two three four five six seven eight", "x")

    touch = item.touches(row("one two three four five six seven eight", "Y.\n\n```\nx\n```"))

    assert touch == ("exact", "b1")


def test_references_of_other_scorers_are_no_commands() -> None:
    assert held("How many?", "0", scorer="exact").touches(row("Other?", "Z.\n\n```bash\n0\n```")) is None


def test_the_tools_of_the_comparison() -> None:
    assert normalised("Löse, bitte: `a-b`!") == "löse bitte a b"
    assert len(grams("a b c d e f g h i")) == 2
    assert jaccard(set(), set()) == 0
    assert list(commands("x\n\n```bash\na  b\n```\n\n```\nc\n```\n")) == ["a b", "c"]


def test_a_benchmark_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jsonl: no such file: it is the benchmark that"):
        load_held(tmp_path, "gone.jsonl")
    assert load_held(tmp_path, "").digest is None
