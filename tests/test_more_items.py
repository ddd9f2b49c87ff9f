"""The further held-out items of the default domain: disjoint from what is trained on, and from each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from ta_data.collect.sources import collect, find_inputs
from ta_data.disjoint import Held, normalised
from ta_data.domain import load_domain
from ta_schemas.rows import BenchmarkRow, ConversationRow, Message

ROOT = Path(__file__).parents[1] / "data" / "linux-cli"
FILES = ["benchmark.jsonl", "benchmark-more.jsonl", "general.jsonl", "general-more.jsonl"]


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def conversations() -> list[ConversationRow]:
    root, domain = load_domain(ROOT)
    return [record.row for record in collect(find_inputs(root, domain, None).inputs, domain.refusal, {})]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["benchmark-more.jsonl", "general-more.jsonl"])
def test_no_conversation_touches_a_further_item(name: str, conversations: list[ConversationRow]) -> None:
    held = Held(
        BenchmarkRow(
            id=row["id"],
            category=row["category"],
            messages=[Message(role=message["role"], content=message["content"]) for message in row["messages"]],
            scorer="command" if row["scorer"] == "command_execution" else "exact",
            references=row.get("references", []),
        )
        for row in read(name)
    )
    touched = {(touch.held_id, touch.contact) for row in conversations if (touch := held.touches(row))}
    assert touched == set()


def test_no_question_and_no_id_stands_in_two_places() -> None:
    rows = [row for name in FILES for row in read(name)]
    questions = [normalised(row["messages"][-1]["content"]) for row in rows]
    assert len(set(questions)) == len(questions)
    assert len({row["id"] for row in rows}) == len(rows)


def test_with_the_further_items_there_are_300_in_12_categories_and_200_general_ones() -> None:
    benchmark = read("benchmark.jsonl") + read("benchmark-more.jsonl")
    assert len(benchmark) >= 300
    assert len({row["category"] for row in benchmark}) >= 12
    assert len(read("general.jsonl") + read("general-more.jsonl")) >= 200
