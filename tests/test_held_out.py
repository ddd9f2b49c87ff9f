"""The held-out items of the default domain: disjoint from what is trained on, and from each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from ta_data import DataConfig, prepare
from ta_data.disjoint import Held, commands, normalised
from ta_eval.scorers.bash import canonical_forms
from ta_schemas.jsonl import read_jsonl
from ta_schemas.rows import BenchmarkRow, ConversationRow

ROOT = Path(__file__).parents[1] / "data" / "linux-cli"
FILES = ["benchmark.jsonl", "general.jsonl"]


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> list[ConversationRow]:
    """Everything that training may see: all splits of the prepared domain."""
    dataset = prepare(DataConfig(), ROOT, tmp_path_factory.mktemp("held-out") / "dataset")
    assert dataset.manifest.metrics["dropped"] == 0  # prepare drops what touches the benchmark
    splits = ("train.jsonl", "validation.jsonl", "test.jsonl")
    return [row for split in splits for row in read_jsonl(dataset.file(split), ConversationRow)]


@pytest.mark.parametrize("name", FILES)
def test_no_conversation_touches_a_held_out_item(name: str, conversations: list[ConversationRow]) -> None:
    held = Held(read_jsonl(ROOT / name, BenchmarkRow))
    touched = {(touch.held_id, touch.contact) for row in conversations if (touch := held.touches(row))}
    assert touched == set()


def test_no_answer_is_a_reference_in_other_words(conversations: list[ConversationRow]) -> None:
    """`tr -d '0-9' < f` taught and `tr -d 0-9 < f` asked: other texts, the same command."""
    taught = {
        form: command
        for row in conversations
        for message in row.messages
        if message.role == "assistant"
        for command in commands(message.content)
        for form in canonical_forms(command) or ()
    }
    same = [
        (row["id"], reference, taught[form])
        for row in read("benchmark.jsonl")
        if row["scorer"].startswith("command")
        for reference in row["references"]
        for form in canonical_forms(reference) or ()
        if form in taught
    ]
    assert len(taught) > 1000
    assert same == []


def test_no_question_and_no_id_stands_in_two_places() -> None:
    rows = [row for name in FILES for row in read(name)]
    questions = [normalised(row["messages"][-1]["content"]) for row in rows]
    assert len(set(questions)) == len(questions)
    assert len({row["id"] for row in rows}) == len(rows)


def test_there_are_300_items_in_12_categories_and_200_general_ones() -> None:
    benchmark = read("benchmark.jsonl")
    assert len(benchmark) >= 300
    assert len({row["category"] for row in benchmark}) >= 12
    assert len(read("general.jsonl")) >= 200


def test_no_group_holds_more_than_a_tenth_of_the_items() -> None:
    """A group counts once in the interval: one large group would decide it."""
    for name in FILES:
        rows = read(name)
        sizes = [
            sum(row.get("group") == group for row in rows)
            for group in {row.get("group") for row in rows} - {None}
        ]
        assert max(sizes) <= len(rows) / 10
