"""The split: units whole, shares honoured, the same for the same seed whatever the order of files."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ta_data.config import Shares, SplitBy
from ta_data.split import SPLITS, split_rows, unit_of
from ta_schemas.errors import InputError
from ta_schemas.rows import ConversationRow, Message

NAMES = st.sampled_from(["", "a", "b", "c", "d", "e", "f"])


@st.composite
def data_sets(draw: st.DrawFn) -> list[ConversationRow]:
    """Rows with and without task and group; a task keeps to one group."""
    home = {task: draw(NAMES) for task in "abcdef"}
    drawn = draw(st.lists(st.tuples(NAMES, NAMES, st.integers(0, 30)), min_size=1, max_size=60))
    return [
        row(str(i), task, home.get(task, group), f"Question {q}?") for i, (task, group, q) in enumerate(drawn)
    ]


def row(row_id: str, task: str = "", group: str = "", question: str = "") -> ConversationRow:
    messages = [Message(role="user", content=question or row_id), Message(role="assistant", content="Yes.")]
    return ConversationRow(id=row_id, messages=messages, task=task, group=group)


def tasks_of_group(group: str, tasks: int, rows: int = 4) -> list[ConversationRow]:
    return [row(f"{group}-{t}-{k}", f"{group}-{t}", group) for t in range(tasks) for k in range(rows)]


def split_ids(rows: list[ConversationRow], by: SplitBy = "task", seed: int = 0) -> dict[str, set[str]]:
    splits = split_rows(rows, by=by, shares=Shares(), seed=seed)
    return {name: {r.id for r in members} for name, members in splits.items()}


BY = st.sampled_from(["task", "group"])


@given(data_sets(), BY, st.integers(0, 5))
def test_every_row_is_in_exactly_one_split(rows: list[ConversationRow], by: SplitBy, seed: int) -> None:
    splits = split_rows(rows, by=by, shares=Shares(), seed=seed)

    assert Counter(r.id for members in splits.values() for r in members) == Counter(r.id for r in rows)


@given(data_sets(), BY, st.integers(0, 5))
def test_no_unit_task_or_question_without_task_is_in_two_splits(
    rows: list[ConversationRow], by: SplitBy, seed: int
) -> None:
    splits = split_rows(rows, by=by, shares=Shares(), seed=seed)

    for key in (lambda r: unit_of(r, by), lambda r: ("task", r.task) if r.task else ("row", r.id)):
        places = [{key(r) for r in members} for members in splits.values()]
        assert sum(map(len, places)) == len(set.union(*places))


@given(data_sets(), BY, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(
    rows: list[ConversationRow], by: SplitBy, shuffle: random.Random
) -> None:
    before = split_ids(rows, by)
    shuffle.shuffle(rows)

    assert split_ids(rows, by) == before


@given(st.lists(st.integers(1, 6), min_size=1, max_size=80), st.integers(0, 5))
def test_no_split_exceeds_its_share_by_a_unit_or_falls_short_by_two(sizes: list[int], seed: int) -> None:
    rows = [row(f"{t}-{k}", f"task-{t}") for t, size in enumerate(sizes) for k in range(size)]
    shares = Shares(train=0.7, validation=0.2, test=0.1)

    splits = split_rows(rows, by="task", shares=shares, seed=seed)

    for name in SPLITS:
        assert -2 * max(sizes) < len(splits[name]) - getattr(shares, name) * len(rows) < max(sizes)


@given(st.lists(st.integers(1, 35), min_size=1, max_size=8), st.integers(0, 5))
def test_a_group_of_ten_tasks_or_more_is_in_all_splits(groups: list[int], seed: int) -> None:
    rows = [r for g, tasks in enumerate(groups) for r in tasks_of_group(f"g{g}", tasks, rows=3)]

    splits = split_rows(rows, by="task", shares=Shares(), seed=seed)

    for g, tasks in enumerate(groups):
        if tasks >= 10:
            assert all(any(r.group == f"g{g}" for r in splits[name]) for name in SPLITS)


def test_equal_tasks_give_the_shares_to_the_task() -> None:
    rows = [r for g in range(40) for r in tasks_of_group(f"g{g}", 5)]

    sizes = {name: len(ids) // 4 for name, ids in split_ids(rows).items()}

    assert sizes == {"train": 160, "validation": 20, "test": 20}


def test_rare_kinds_are_spread_over_the_splits() -> None:
    rows = [r for g in range(30) for r in tasks_of_group(f"g{g}", 5)]
    for r in rows:
        if r.task.endswith("-3"):
            r.kind = "warn"

    splits = split_rows(rows, by="task", shares=Shares(), seed=1)

    warn = {name: sum(r.kind == "warn" for r in members) / 4 for name, members in splits.items()}
    assert warn["train"] == pytest.approx(24, abs=1)
    assert warn["validation"] == pytest.approx(3, abs=1)


def test_another_seed_deals_otherwise() -> None:
    rows = tasks_of_group("g", 40)

    assert split_ids(rows, seed=0) == split_ids(rows, seed=0)
    assert split_ids(rows, seed=0) != split_ids(rows, seed=1)


def test_by_group_keeps_whole_groups_together() -> None:
    rows = [r for g in range(20) for r in tasks_of_group(f"g{g}", 4)]

    splits = split_rows(rows, by="group", shares=Shares(), seed=0)

    groups = [{r.group for r in splits[name]} for name in SPLITS]
    assert [len(names) for names in groups] == [16, 2, 2]
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_by_group_refuses_a_task_in_two_groups() -> None:
    rows = [row("1", "t", "a"), row("2", "t", "b")]

    with pytest.raises(InputError, match="task 't' stands in the groups 'a' and 'b': give it one group"):
        split_rows(rows, by="group", shares=Shares(), seed=0)


def test_the_same_question_twice_stays_together() -> None:
    rows = [row(str(i), question=f"What is  QUESTION {i % 20}?" if i < 20 else f"what is question {i % 20}?")
            for i in range(40)]  # fmt: skip

    ids = split_ids(rows)

    assert all((str(i) in members) == (str(i + 20) in members) for members in ids.values() for i in range(20))


@pytest.mark.parametrize(("units", "sizes"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (10, [8, 1, 1])])
def test_a_split_is_empty_only_where_there_are_too_few_units(units: int, sizes: list[int]) -> None:
    ids = split_ids([row(str(i)) for i in range(units)])

    assert [len(ids[name]) for name in SPLITS] == sizes


def test_a_share_of_nothing_gets_nothing() -> None:
    shares = Shares(train=0.9, validation=0.1, test=0)

    splits = split_rows(tasks_of_group("g", 20), by="task", shares=shares, seed=0)

    assert [len(splits[name]) for name in SPLITS] == [72, 8, 0]


@given(data_sets(), data_sets(), st.integers(0, 5))
def test_frozen_rows_stay_and_their_units_follow(
    before: list[ConversationRow], more: list[ConversationRow], seed: int
) -> None:
    old = split_rows(before, by="task", shares=Shares(), seed=seed)
    frozen = {r.id: name for name, members in old.items() for r in members}
    added = [row(f"new-{r.id}", r.task, r.group, r.messages[0].content) for r in more]

    new = split_rows([*added, *before], by="task", shares=Shares(), seed=seed, frozen=frozen)

    place = {r.id: name for name, members in new.items() for r in members}
    assert {key: place[key] for key in frozen} == frozen
    units: dict[object, set[str]] = {}
    for r in (*before, *added):
        units.setdefault(unit_of(r, "task"), set()).add(place[r.id])
    assert all(len(places) == 1 for places in units.values())
