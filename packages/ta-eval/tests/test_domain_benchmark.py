"""The benchmark of the default domain, held to what ta-eval demands of any benchmark."""

from pathlib import Path

import pytest

from ta_eval.benchmark import read_benchmark
from ta_eval.sandbox.bwrap import Refused, find_sandbox
from ta_eval.sandbox.equivalence import compare_commands
from ta_eval.scorers import score_answer
from ta_eval.scorers.command import same_command, score_command

FOLDERS = (parent / "data" / "linux-cli" for parent in Path(__file__).parents)
DOMAIN = next((folder for folder in FOLDERS if folder.is_dir()), Path("none"))
SETS = ["benchmark.jsonl", "general.jsonl"]


@pytest.mark.parametrize("name", SETS)
def test_every_item_is_valid(name: str) -> None:
    assert len(read_benchmark(DOMAIN / name).rows) >= 200


@pytest.mark.parametrize("name", SETS)
def test_every_reference_scores_1_in_the_style_the_assistant_is_trained_on(name: str) -> None:
    wrong = []
    for row in read_benchmark(DOMAIN / name).rows:
        for reference in [*row.references, *([row.answer] if row.answer else [])]:
            if row.scorer.startswith("command"):  # by structure: that needs no sandbox
                block = f"This does it.\n\n```bash\n{reference}\n```"
                values = [score_command(text, row.references).value for text in (reference, block)]
            else:
                values = [score_answer(row, reference).value]
            wrong += [(row.id, reference)] if set(values) != {1} else []
    assert wrong == []


def test_no_command_is_the_answer_to_two_questions() -> None:
    rows = [row for row in read_benchmark(DOMAIN / "benchmark.jsonl").rows if row.scorer.startswith("command")]
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


@pytest.mark.slow
def test_every_command_that_is_run_shows_an_effect_and_all_its_references_have_the_same() -> None:
    sandbox = find_sandbox()
    if isinstance(sandbox, Refused):
        pytest.skip(f"needs the system package bubblewrap: {sandbox.reason}")
    told = []
    rows = [row for row in read_benchmark(DOMAIN / "benchmark.jsonl").rows if row.scorer == "command_execution"]
    for row in rows:
        assert len(row.references) >= 2, row.id
        first, *others = row.references
        for other in others:
            for one, two in ((first, other), (other, first)):
                verdict = compare_commands(sandbox, one, two, setup=row.setup)
                told += [] if verdict.equivalent else [(row.id, one, two, verdict.reason)]
    assert told == []


def test_every_item_has_two_accepted_references_or_a_checker() -> None:
    rows = read_benchmark(DOMAIN / "benchmark.jsonl").rows
    alone = [row.id for row in rows if row.scorer.startswith("command") and len(set(row.references)) < 2]
    unchecked = [row.id for row in rows if not (row.references or row.pattern or row.answer)]
    assert (alone, unchecked) == ([], [])
