from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from train_fixtures import conversation

from ta_train.order import training_order
from ta_train.render import Rendered


def rendered(tasks: list[int]) -> list[Rendered]:
    """`tasks[i]` phrasings of task i, of different lengths."""
    return [
        Rendered(conversation(f"t{task}", k), [0] * (5 + (task * 7 + k) % 11), [0])
        for task, count in enumerate(tasks)
        for k in range(count)
    ]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=40), st.integers(0, 3), st.integers(1, 8))
def test_one_epoch_takes_every_row_once(tasks: list[int], seed: int, batch_size: int) -> None:
    rows = rendered(tasks)
    for order in ("core-first", "task-first", "shuffle"):
        found = training_order(rows, order=order, epochs=1, batch_size=batch_size, seed=seed)
        assert sorted(found) == list(range(len(rows)))


def test_task_first_shows_every_task_before_any_second_phrasing() -> None:
    rows = rendered([4] * 16)
    order = training_order(rows, order="task-first", epochs=1, batch_size=2, seed=0)
    assert {rows[i].row.task for i in order[:16]} == {f"t{i}" for i in range(16)}


def test_core_first_takes_large_groups_and_special_kinds_before_the_rest() -> None:
    rows = rendered([2] * 12)
    for i, one in enumerate(rows):
        one.row.group = "large" if i < 8 else f"small-{one.row.task}"
    rows[-1].row.kind = "warn"
    order = training_order(rows, order="core-first", epochs=1, batch_size=1, seed=0)
    core = {*range(8), len(rows) - 1}
    assert set(order[:8]) <= core <= set(order[:16])
    other = training_order(rows, order="task-first", epochs=1, batch_size=1, seed=0)
    assert not set(other[:8]) <= core


def test_shuffle_does_not() -> None:
    rows = rendered([4] * 16)
    order = training_order(rows, order="shuffle", epochs=1, batch_size=2, seed=0)
    assert len({rows[i].row.task for i in order[:16]}) < 16


def test_epochs_count_passes_and_may_be_a_fraction() -> None:
    rows = rendered([2] * 10)
    counts = Counter(training_order(rows, order="task-first", epochs=2.5, batch_size=4, seed=0))
    assert sum(counts.values()) == 50
    assert set(counts.values()) == {2, 3}


def test_the_seed_decides_the_order() -> None:
    rows = rendered([3] * 20)
    orders = [training_order(rows, order="task-first", epochs=1, batch_size=4, seed=s) for s in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_batches_hold_rows_of_similar_length() -> None:
    rows = rendered([3] * 64)

    def padding(order: list[int]) -> int:
        batches = [[len(rows[i].input_ids) for i in order[k : k + 8]] for k in range(0, len(order), 8)]
        return sum(max(batch) * len(batch) - sum(batch) for batch in batches)

    order = training_order(rows, order="shuffle", epochs=1, batch_size=8, seed=0)
    assert padding(order) < padding(list(range(len(rows)))) / 2


def test_repeat_shows_rows_of_a_kind_more_often_in_the_same_round() -> None:
    rows = rendered([2] * 6)
    rows[0].row.kind = rows[1].row.kind = "clarify"
    for order in ("core-first", "task-first", "shuffle"):
        found = training_order(rows, order=order, epochs=1, batch_size=1, seed=0, repeat={"clarify": 3})
        assert Counter(found) == {**dict.fromkeys(range(12), 1), 0: 3, 1: 3}
    first_round = training_order(
        rows, order="task-first", epochs=1, batch_size=1, seed=0, repeat={"clarify": 3}
    )[:8]
    assert sum(i in (0, 1) for i in first_round) == 3
