"""From a messy folder to a dataset: one command, every row accounted for, no leak between splits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rensa")

from ta_data.build import BuildConfig, build
from ta_data.cluster_split import random_leak, split_units, units_of
from ta_data.config import Shares
from ta_data.questions import find_questions
from ta_schemas.artifact import Artifact
from ta_schemas.errors import InputError
from ta_schemas.jsonl import read_jsonl
from ta_schemas.rows import ConversationRow, Message

SPLITS = ("train", "validation", "test")


def row(question: str, number: int = 0, **more: Any) -> ConversationRow:
    messages = [Message(role="user", content=question), Message(role="assistant", content=f"Answer {number}.")]
    return ConversationRow(id=more.pop("id", f"r{number}"), messages=messages, **more)


def stats_of(dataset: Artifact) -> Any:
    return json.loads(dataset.file("stats.json").read_text())


def ids(dataset: Artifact) -> dict[str, str]:
    return {r.id: n for n in SPLITS for r in read_jsonl(dataset.file(f"{n}.jsonl"), ConversationRow)}


def chat(question: str, answer: str, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **more}


@pytest.fixture
def support(tmp_path: Path, make: Any) -> Path:
    """A small support folder with one of each thing that is cleaned."""
    make.lines(tmp_path / "bench.jsonl", [{"question": "What is the secret question?"}])
    return write_support(tmp_path / "support")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a build of the support folder gives without options."""
    place = tmp_path_factory.mktemp("plain")
    dataset = build(BuildConfig(), write_support(place / "support"), place / "out")
    return {"digest": dataset.digest, **stats_of(dataset)}


def write_support(root: Path) -> Path:
    root.mkdir()
    (root / "faq.md").write_text(
        "# FAQ\n\n## How do I open it?\n\nTurn the lid left.\n\n## About\n\nWe sell pots.\n\n"
        "Q: Is it safe?\nA: Yes, quite safe.\n"
    )
    rows = [chat(f"What is part {n} for?", f"Part number {n} holds the lid.") for n in range(20)]
    long = "Please tell me in a few words how the lid of the big pot is opened when it is stuck"
    same = "Turn it slowly to the left and pull it up once it gives way a little"
    rows += [
        chat("Whom do I ask?", "Mail ann@shop.example, please."),
        chat(long, same),
        chat(f"{long} fast", f"{same} bit"),
        chat("What is the secret question?", "The held out answer is this."),
        chat("Wie öffne ich denn diesen großen Deckel am besten?", "Drehen Sie ihn langsam nach links."),
        chat("Why?", "As an AI, I cannot say."),
        chat("What is part 1 for?", "Part number 1 holds the lid."),
    ]
    (root / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def test_a_folder_becomes_a_dataset_and_every_row_is_accounted_for(support: Path, tmp_path: Path) -> None:
    dataset = build(
        BuildConfig(license="MIT"), support, tmp_path / "out", benchmarks=[tmp_path / "bench.jsonl"]
    )

    stats = stats_of(dataset)
    assert stats["funnel"]["drops"] == {
        "benchmark: exact": 1,
        "duplicate conversation": 1,
        "near-duplicate": 1,
        "refusal": 1,
    }
    assert stats["funnel"]["input"] == 29 == stats["funnel"]["output"] + 4
    assert len(dataset.file("dropped.jsonl").read_text().splitlines()) == 4
    assert stats["masked_spans"] == 1
    rows = [r for n in SPLITS for r in read_jsonl(dataset.file(f"{n}.jsonl"), ConversationRow)]
    assert {r.license for r in rows} == {"MIT"}
    assert "Mail <EMAIL-1>, please." in {r.messages[-1].content for r in rows}
    assert {r.source for r in rows if r.source.startswith("faq")} == {"faq.md:3", "faq.md:11"}
    assert "Can be trained on" in dataset.file("report.html").read_text()


def test_the_same_folder_gives_the_same_dataset(support: Path, tmp_path: Path) -> None:
    first = build(BuildConfig(), support, tmp_path / "a")
    support.rename(tmp_path / "moved")

    second = build(BuildConfig(), tmp_path / "moved", tmp_path / "b")

    assert first.manifest.config | {"domain": ""} == second.manifest.config | {"domain": ""}
    assert first.file("train.jsonl").read_bytes() == second.file("train.jsonl").read_bytes()


def test_adding_data_moves_no_old_row(support: Path, tmp_path: Path, make: Any) -> None:
    first = build(BuildConfig(), support, tmp_path / "a")
    more = [make.chat(f"A new question about item {n}?", f"New answer {n}.") for n in range(30)]
    make.lines(support / "aaa.jsonl", more)

    second = build(BuildConfig(), support, tmp_path / "b", frozen=tmp_path / "a")

    old, new = ids(first), ids(second)
    assert {key: new[key] for key in old} == old
    assert len(new) == len(old) + 30


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--no-mask",), "masked_spans"),
        (("--near", 0.99), "funnel"),
        (("--seed", 1), "digest"),
        (("--shares", "50/25/25"), "splits"),
        (("--license", "MIT"), "digest"),
        (("--language", "de"), "funnel"),
    ],
)
def test_each_option_counts(
    support: Path, tmp_path: Path, ta_data: Callable[..., Any], plain: Any, options: tuple[Any, ...], what: str
) -> None:
    changed = json.loads(ta_data("build", support, "--out", tmp_path / "b", "--json", *options).out)

    assert changed[what] != plain[what]


def test_the_domains_refusal_as_an_answer_is_no_contact_with_its_benchmark(tmp_path: Path, make: Any) -> None:
    refusal = "I can only help with pots."
    (tmp_path / "domain.yaml").write_text(
        f"name: x\nrefusal: {refusal}\nbenchmark: bench.jsonl\nsources: [{{path: rows.jsonl}}]\n"
    )
    make.lines(tmp_path / "bench.jsonl", [{"question": "Who won the cup in 1954?", "answer": refusal}])
    make.lines(tmp_path / "rows.jsonl", [make.chat(f"Tell me joke {n}?", refusal) for n in range(3)])

    dataset = build(BuildConfig(), tmp_path, tmp_path / "out")

    assert stats_of(dataset)["funnel"] == {"input": 3, "drops": {}, "output": 3}
    assert "benchmark-contact" not in dataset.manifest.metrics["findings"]


def test_a_group_may_be_in_every_split_unless_the_domain_splits_by_group(tmp_path: Path, make: Any) -> None:
    (tmp_path / "in").mkdir()
    rows = [make.chat(f"What about matter {n}?", f"Answer {n}.", group="g") for n in range(20)]
    make.lines(tmp_path / "in" / "a.jsonl", rows)

    dataset = build(BuildConfig(), tmp_path / "in", tmp_path / "out")

    assert dataset.manifest.metrics["blocks"] == []


def test_what_the_doctor_blocks_fails_the_build_by_its_exit_code(
    support: Path, tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    (tmp_path / "doctor.yaml").write_text("thresholds: {no-license: {severity: block, max_share: 0.5}}\n")

    ran = ta_data("build", support, "--out", tmp_path / "out", "--doctor", tmp_path / "doctor.yaml")
    fine = ta_data(
        "build", support, "--out", tmp_path / "b", "--doctor", tmp_path / "doctor.yaml", "--license", "MIT"
    )

    assert (ran.code, fine.code) == (6, 0)
    assert ran.err == f"error: {tmp_path / 'out'}: made, but the doctor blocks: no-license\n"
    assert "doctor:  no-license" in ran.out
    Artifact.open(tmp_path / "out", kind="dataset")


def test_nothing_to_keep_is_an_error_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.md").write_text("Only prose.")

    with pytest.raises(InputError, match="nothing could be kept: document without a question"):
        build(BuildConfig(), tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_id_in_two_files_keeps_both_rows(tmp_path: Path, make: Any) -> None:
    (tmp_path / "in").mkdir()
    make.lines(tmp_path / "in" / "a.jsonl", [make.chat("One?", "First one.", id="1")])
    make.lines(tmp_path / "in" / "b.jsonl", [make.chat("Two?", "Second one.", id="1")])

    assert set(ids(build(BuildConfig(), tmp_path / "in", tmp_path / "out"))) == {"1", "1@b.jsonl:1"}


FOUND = {
    "## Is it open?\n\nYes it is.\n": [("Is it open?", "Yes it is.")],
    "## Is it open?\n\nNo.\n": [],
    "## Opening\n\nTurn it left.\n": [],
    "## **Is** it?\n\nYes it is.\n\n### More\n\nEven more.\n\n## Other\n\nText": [
        ("Is it?", "Yes it is.\n\n### More\n\nEven more.")
    ],
    "Q: How?\nA: Like this one.\nand more\nQ: Why?\nA: Because of it.": [
        ("How?", "Like this one.\nand more"),
        ("Why?", "Because of it."),
    ],
    "**Question 1:** How?\n\n**Answer:** Like this one.\n# Next": [("How?", "Like this one.")],
    "```\n# Is this code?\n```\nyes it is code\n": [],
    "# FAQ?\nQ: A?\nA: b c d.\n": [("A?", "b c d.")],
}


@pytest.mark.parametrize("text", FOUND)
def test_questions_are_found_by_structure_alone(text: str) -> None:
    assert [(found.question, found.answer) for found in find_questions(text)] == FOUND[text]


LONG = "how is the very big lid of the old pot opened again when it is stuck"
questions = st.lists(
    st.sampled_from([f"{LONG} {n}" for n in "abc"] + [f"other question {n}" for n in range(9)]), min_size=3
)


@given(questions, st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_splits_share_no_unit(asked: list[str], seed: int) -> None:
    rows = [row(question, n, task=f"t{n % 5}" if n % 3 == 0 else "") for n, question in enumerate(asked)]
    units = units_of(rows, near=0.7, by_group=False)

    splits = split_units(rows, units, shares=Shares(), seed=seed)

    place = {r.id: split for r, split in zip(rows, splits, strict=True)}
    for key in set(units):
        assert len({place[r.id] for r, unit in zip(rows, units, strict=True) if unit == key}) == 1
    for task in {r.task for r in rows if r.task}:
        assert len({place[r.id] for r in rows if r.task == task}) == 1


def test_a_group_is_a_unit_only_where_it_is_asked_for() -> None:
    rows = [row("alpha beta gamma", 0, group="g"), row("delta epsilon zeta", 1, group="g")]

    assert len(set(units_of(rows, near=0.8, by_group=False))) == 2
    assert len(set(units_of(rows, near=0.8, by_group=True))) == 1


def test_new_rows_follow_the_frozen_rows_of_their_unit() -> None:
    rows = [row(LONG, 0), row(f"{LONG} now", 1), *(row(f"other thing {n} here", n) for n in range(2, 8))]
    units = units_of(rows, near=0.8, by_group=False)

    splits = split_units(rows, units, shares=Shares(), seed=0, frozen={"r0": "test"})

    assert splits[:2] == ["test", "test"]


def test_what_a_random_split_would_leak_is_told() -> None:
    alone = [("unit", str(n)) for n in range(100)]
    pairs = [("unit", str(n // 4)) for n in range(100)]

    assert random_leak(alone, shares=Shares(), seed=0) == 0
    assert random_leak(pairs, shares=Shares(), seed=0) > 0.8
