"""Splits that do not leak: rows of a task, and rows whose questions resemble one another, stay together.

Frozen by id: a row that an earlier version of the dataset had in a split stays in it, and new rows of its unit
join it, so that adding data moves nothing.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from ta_data.clean.near import Texts
from ta_data.config import Shares
from ta_data.split import SPLITS, Unit, deal
from ta_schemas.rows import ConversationRow, Split

HELD_OUT_FIRST: tuple[Split, ...] = ("test", "validation", "train")


def units_of(rows: Sequence[ConversationRow], *, near: float, by_group: bool) -> list[Unit]:
    """The unit of each row: all that shares a task (or group) or a cluster of similar questions."""
    texts = Texts(fields=1, threshold=near)
    for row in rows:
        texts.add([" ".join(m.content for m in row.messages if m.role == "user")])
    parent = texts.clusters()

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    home: dict[str, int] = {}
    for i, row in enumerate(rows):
        name = (row.group if by_group else "") or row.task
        if name:
            a, b = sorted((root(home.setdefault(name, i)), root(i)))
            parent[b] = a
    # Named by a member's id: the same unit has the same name when rows are added around it.
    names: dict[int, str] = {}
    for i, row in enumerate(rows):
        names[root(i)] = min(names.get(root(i), row.id), row.id)
    return [("unit", names[root(i)]) for i in range(len(rows))]


def split_units(
    rows: Sequence[ConversationRow],
    units: Sequence[Unit],
    *,
    shares: Shares,
    seed: int,
    frozen: Mapping[str, Split] | None = None,
) -> dict[Split, list[ConversationRow]]:
    """Deal the units out; rows named in `frozen` keep their split, and the rest of their unit follows them."""
    frozen = frozen or {}
    members: dict[Unit, list[ConversationRow]] = defaultdict(list)
    for row, unit in zip(rows, units, strict=True):
        members[unit].append(row)
    bound: dict[Unit, Split] = {}
    for unit, its in members.items():
        homes = {frozen[row.id] for row in its if row.id in frozen}
        if homes:
            # Where an old split was torn already, new rows go where they cannot leak into training.
            bound[unit] = next(name for name in HELD_OUT_FIRST if name in homes)
    free = {unit: len(its) for unit, its in members.items() if unit not in bound}
    strata: dict[Unit, tuple[str, str]] = {unit: (members[unit][0].kind, "") for unit in free}
    place: dict[Unit, Split] = {**deal(free, strata=strata, shares=shares, seed=seed), **bound}
    out: dict[Split, list[ConversationRow]] = {name: [] for name in SPLITS}
    for row, unit in zip(rows, units, strict=True):
        out[frozen.get(row.id, place[unit])].append(row)
    return out


def random_leak(units: Sequence[Unit], *, shares: Shares, seed: int) -> float:
    """The share of held-out rows that a row-random split would have shown in training too."""
    draw = random.Random(seed)
    trained = [draw.random() < shares.train for _ in units]
    seen = {unit for unit, train in zip(units, trained, strict=True) if train}
    held = [unit for unit, train in zip(units, trained, strict=True) if not train]
    return sum(unit in seen for unit in held) / len(held) if held else 0.0
