"""The domain of the repository: counts, style, every command parses, nothing shared with the benchmark."""

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ta_data import DataConfig, prepare
from ta_data.checks import Record
from ta_data.collect.sources import collect, find_inputs
from ta_data.disjoint import commands, load_held, normalised
from ta_data.domain import load_domain
from ta_schemas.jsonl import read_jsonl
from ta_schemas.rows import BenchmarkRow, ConversationRow

ROOT = Path(__file__).parents[3] / "data" / "linux-cli"
REHEARSAL = "raw/general-chat.jsonl"
LEFT_OVER = re.compile(r"(?<![$%{])\{[A-Za-z_]\w*\}(?!\})")


@pytest.fixture(scope="module")
def records() -> list[Record]:
    root, domain = load_domain(ROOT)
    found = list(collect(find_inputs(root, domain, None).inputs, domain.refusal, {}, {}))
    assert [record for record in found if not isinstance(record, Record)] == []
    return [record for record in found if isinstance(record, Record)]


@pytest.fixture(scope="module")
def rows(records: list[Record]) -> list[ConversationRow]:
    """The conversations of the knowledge base."""
    return [record.row for record in records if not record.where.startswith(REHEARSAL)]


@pytest.fixture(scope="module")
def rehearsal(records: list[Record]) -> list[ConversationRow]:
    return [record.row for record in records if record.where.startswith(REHEARSAL)]


@pytest.fixture(scope="module")
def benchmark() -> list[BenchmarkRow]:
    return list(read_jsonl(ROOT / "benchmark.jsonl", BenchmarkRow))


def test_there_is_as_much_of_each_kind_as_the_card_promises(rows: list[ConversationRow]) -> None:
    kinds = Counter(row.kind for row in rows)
    share: dict[str, float] = {kind: n / len(rows) for kind, n in kinds.items()}

    assert len({row.task for row in rows}) >= 300
    assert len(rows) >= 1000
    assert 0.07 <= sum(len(row.messages) > 2 for row in rows) / len(rows) <= 0.13
    assert 0.04 <= share["warn"] + share["clarify"] <= 0.09
    assert 0.03 <= share["out-of-scope"] <= 0.05


def test_every_command_parses(rows: list[ConversationRow], benchmark: list[BenchmarkRow]) -> None:
    found = {block for row in rows for m in row.messages for block in fenced(m.content)}
    found |= {reference for item in benchmark if item.scorer == "command" for reference in item.references}

    together = "\n".join(f"f() {{\n{command}\n}}" for command in sorted(found))

    assert len(found) > 1000
    if not parses(together):  # one by one only to name them: that is three thousand processes
        assert [command for command in sorted(found) if not parses(command)] == []
        pytest.fail("the commands parse one by one, and not together")


def parses(script: str) -> bool:
    ran = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    return ran.returncode == 0 and not ran.stderr


def fenced(text: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)\n```", text, flags=re.MULTILINE | re.DOTALL)


def test_a_broken_command_would_be_noticed() -> None:
    assert parses("echo 'a b' | sort -u")
    assert not parses("echo 'a b | sort -u")


def test_every_answer_has_the_style_of_its_kind(rows: list[ConversationRow]) -> None:
    sentence_and_command = re.compile(r"[^\n]+\n\n```bash\n[^\n]{1,120}\n```")
    wrong = []
    for row in rows:
        first = row.messages[1].content
        fine = {
            "answer": sentence_and_command.fullmatch(first) and not first.startswith("Warning:"),
            "warn": sentence_and_command.fullmatch(first) and first.startswith("Warning:"),
            "clarify": first.endswith("?") and "```" not in first and "\n" not in first,
            "out-of-scope": "```" not in first,
        }[row.kind]
        follow_ups = [m.content for m in row.messages[3::2]]
        if not fine or not all(sentence_and_command.fullmatch(text) for text in follow_ups):
            wrong.append(f"{row.source} {row.id}")

    assert wrong == []


def test_no_question_is_asked_twice(rows: list[ConversationRow]) -> None:
    questions = Counter(normalised(row.messages[0].content) for row in rows)

    assert [question for question, n in questions.items() if n > 1] == []


def test_no_placeholder_is_left_in_a_question(rows: list[ConversationRow]) -> None:
    texts = [m.content for row in rows for m in row.messages if m.role == "user"]

    assert [text for text in texts if LEFT_OVER.search(text)] == []


def test_no_conversation_touches_the_benchmark(rows: list[ConversationRow]) -> None:
    held = load_held(ROOT, "benchmark.jsonl")

    touches = {row.source: held.touches(row) for row in rows}

    assert {source: touch for source, touch in touches.items() if touch} == {}


def test_rehearsal_is_short_general_chat_with_a_system_prompt_of_its_own(
    rehearsal: list[ConversationRow],
) -> None:
    assert Counter(row.group for row in rehearsal) == {
        "general-arithmetic": 100,
        "general-facts": 80,
        "general-reading": 60,
        "general-format": 52,
        "general-common-sense": 40,
    }
    assert Counter(row.messages[0].content for row in rehearsal) == {
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face": 221,
        "You are a helpful AI assistant.": 28,
        "You are a friendly assistant that answers briefly.": 28,
        "You are a helpful assistant.": 28,
        "Answer the question correctly and in few words.": 27,
    }
    assert {tuple(m.role for m in row.messages) for row in rehearsal} == {("system", "user", "assistant")}
    assert all("```" not in m.content for row in rehearsal for m in row.messages)
    assert max(len(row.messages[2].content.split()) for row in rehearsal) <= 16
    assert len({normalised(row.messages[1].content) for row in rehearsal}) == len(rehearsal)


@pytest.mark.parametrize("held_out", ["benchmark.jsonl", "general.jsonl"])
def test_no_rehearsal_touches_a_held_out_question(rehearsal: list[ConversationRow], held_out: str) -> None:
    held = load_held(ROOT, held_out)

    touches = {row.id: held.touches(row) for row in rehearsal}

    assert {row_id: touch for row_id, touch in touches.items() if touch} == {}


def test_a_planted_benchmark_item_would_be_noticed(
    rows: list[ConversationRow], benchmark: list[BenchmarkRow]
) -> None:
    held = load_held(ROOT, "benchmark.jsonl")
    item = next(item for item in benchmark if item.scorer == "command")
    planted = ConversationRow(id="planted", messages=[*item.messages, *rows[0].messages[1:]])

    assert held.touches(planted) is not None
    assert set(commands(f"```bash\n{item.references[0]}\n```")) == {" ".join(item.references[0].split())}


def test_benchmark_items_can_be_told_apart(benchmark: list[BenchmarkRow]) -> None:
    assert len({item.id for item in benchmark}) == len(benchmark)
    assert len({normalised(item.messages[-1].content) for item in benchmark}) == len(benchmark)
    assert all(item.references for item in benchmark if item.scorer in ("command", "exact"))
    assert all(item.pattern and re.compile(item.pattern) for item in benchmark if item.scorer == "regex")


def test_prepare_keeps_every_conversation_and_deals_them_80_10_10(tmp_path: Path) -> None:
    dataset = prepare(DataConfig(), ROOT, tmp_path / "out")

    counts: dict[str, Any] = dataset.manifest.metrics["rows"]
    total = sum(counts.values())
    assert dataset.manifest.metrics["dropped"] == 0
    assert counts["train"] / total == pytest.approx(0.8, abs=0.01)
    assert counts["validation"] / total == pytest.approx(0.1, abs=0.01)
