"""Splits that do not leak: rows of a task, and rows whose questions resemble one another, stay together.

Frozen by id: a row that an earlier version of the dataset had in a split stays in it, and new rows of its unit
join it, so that adding data moves nothing.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ta_data.clean.near import Texts
from ta_data.config import Shares
from ta_data.split import Unit, deal, held_out_first
from ta_schemas.rows import ConversationRow, Split


def units_of(rows: Iterable[ConversationRow], *, near: float, by_group: bool) -> list[Unit]:
    """The unit of each row: all that shares a task (or group) or a cluster of similar questions."""
    texts = Texts(fields=1, threshold=near)
    home: dict[str, int] = {}
    ids: list[str] = []
    together: list[tuple[int, int]] = []
    for i, row in enumerate(rows):
        texts.add([" ".join(m.content for m in row.messages if m.role == "user")])
        ids.append(row.id)
        name = (row.group if by_group else "") or row.task
        if name and home.setdefault(name, i) != i:
            together.append((home[name], i))
    parent = texts.clusters()

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for first, i in together:
        a, b = sorted((root(first), root(i)))
        parent[b] = a
    # Named by a member's id: the same unit has the same name when rows are added around it.
    names: dict[int, str] = {}
    for i, row_id in enumerate(ids):
        names[root(i)] = min(names.get(root(i), row_id), row_id)
    units: dict[int, Unit] = {i: ("unit", name) for i, name in names.items()}
    return [units[root(i)] for i in range(len(ids))]


def split_units(
    rows: Iterable[ConversationRow],
    units: Sequence[Unit],
    *,
    shares: Shares,
    seed: int,
    frozen: Mapping[str, Split] | None = None,
) -> list[Split]:
    """The split of each row: units dealt out whole; rows named in `frozen` keep theirs, their unit follows."""
    frozen = frozen or {}
    bound: dict[Unit, Split] = {}
    sizes: Counter[Unit] = Counter()
    strata: dict[Unit, tuple[str, str]] = {}
    old: dict[int, Split] = {}
    for i, (row, unit) in enumerate(zip(rows, units, strict=True)):
        sizes[unit] += 1
        strata.setdefault(unit, (row.kind, ""))
        if row.id in frozen:
            old[i] = frozen[row.id]
            bound[unit] = held_out_first((old[i], bound.get(unit, old[i])))
    free = {unit: size for unit, size in sizes.items() if unit not in bound}
    place = {**deal(free, strata=strata, shares=shares, seed=seed), **bound}
    return [old.get(i, place[unit]) for i, unit in enumerate(units)]


def random_leak(units: Sequence[Unit], *, shares: Shares, seed: int) -> float:
    """The share of held-out rows that a row-random split would have shown in training too."""
    draw = random.Random(seed)
    trained = [draw.random() < shares.train for _ in units]
    seen = {unit for unit, train in zip(units, trained, strict=True) if train}
    held = [unit for unit, train in zip(units, trained, strict=True) if not train]
    return sum(unit in seen for unit in held) / len(held) if held else 0.0
