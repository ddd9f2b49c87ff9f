"""The benchmark of the default domain, held to what ta-eval demands of any benchmark."""

from pathlib import Path

import pytest

from ta_eval.benchmark import read_benchmark
from ta_eval.scorers import score_answer
from ta_eval.scorers.command import same_command

DOMAIN = next((p / "data" / "linux-cli" for p in Path(__file__).parents if (p / "data").is_dir()), Path("none"))
SETS = ["benchmark.jsonl", "general.jsonl"]


@pytest.mark.parametrize("name", SETS)
def test_every_item_is_valid(name: str) -> None:
    assert len(read_benchmark(DOMAIN / name).rows) >= 60


@pytest.mark.parametrize("name", SETS)
def test_every_reference_scores_1_in_the_style_the_assistant_is_trained_on(name: str) -> None:
    wrong = []
    for row in read_benchmark(DOMAIN / name).rows:
        for reference in [*row.references, *([row.answer] if row.answer else [])]:
            styled = f"This does it.\n\n```bash\n{reference}\n```" if row.scorer == "command" else reference
            wrong += [(row.id, text) for text in (reference, styled) if score_answer(row, text).value != 1]
    assert wrong == []


def test_no_command_is_the_answer_to_two_questions() -> None:
    rows = [row for row in read_benchmark(DOMAIN / "benchmark.jsonl").rows if row.scorer == "command"]
    first = [(row.id, reference) for row in rows for reference in row.references]
    twice = {
        (one_id, other_id)
        for at, (one_id, one) in enumerate(first)
        for other_id, other in first[at + 1 :]
        if one_id != other_id and one.split()[0] == other.split()[0] and same_command(one, other)
    }
    assert twice == set()


@pytest.mark.parametrize("name", SETS)
def test_an_empty_answer_scores_nothing(name: str) -> None:
    rows = read_benchmark(DOMAIN / name).rows
    assert [row.id for row in rows if score_answer(row, "").value] == []
