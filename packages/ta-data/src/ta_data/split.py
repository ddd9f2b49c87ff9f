"""Deals rows out to train, validation and test so that what belongs together stays together.

A *unit* is never torn: a task with all its paraphrases, a whole group, or every row with the same question.
Row-random splits leak: on public data sets of this kind 12 to 19 % of the test questions stood in train too.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction

from ta_data.config import Shares, SplitBy
from ta_schemas.errors import InputError
from ta_schemas.rows import ConversationRow, Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Unit = tuple[str, str]
"""What kind of thing it is, and its name: ("task", "cp-tree")."""


def unit_of(row: ConversationRow, by: SplitBy) -> Unit:
    """What the row must not be separated from."""
    named: tuple[Unit, Unit] = (("task", row.task), ("group", row.group))
    for unit in named if by == "task" else reversed(named):
        if unit[1]:
            return unit
    # Neither task nor group: the row itself, but the same question twice is one unit.
    question = next((m.content for m in row.messages if m.role == "user"), row.id)
    return ("question", " ".join(question.casefold().split()))


def split_rows(
    rows: Iterable[ConversationRow],
    *,
    by: SplitBy,
    shares: Shares,
    seed: int,
    frozen: Mapping[str, Split] | None = None,
) -> dict[Split, list[ConversationRow]]:
    """The rows of each split, in their given order. The order of the rows changes no row's split.

    Rows named in `frozen` keep their split, and the rest of their unit follows them.
    """
    rows, frozen = list(rows), frozen or {}
    units: dict[Unit, list[ConversationRow]] = defaultdict(list)
    for row in rows:
        units[unit_of(row, by)].append(row)
    if by == "group":
        _refuse_torn_tasks(units)
    # Whole groups are not balanced over anything; tasks are balanced over their groups and kinds.
    strata = {
        unit: min((row.kind, row.group) for row in members) if by == "task" else ("", "")
        for unit, members in units.items()
    }
    bound: dict[Unit, Split] = {}
    for unit, members in units.items():
        homes = {frozen[row.id] for row in members if row.id in frozen}
        if homes:
            bound[unit] = held_out_first(homes)
    sizes = {unit: len(members) for unit, members in units.items() if unit not in bound}
    place = {**deal(sizes, strata=strata, shares=shares, seed=seed), **bound}
    home = {row.id: frozen.get(row.id, place[unit_of(row, by)]) for row in rows}
    return {name: [row for row in rows if home[row.id] == name] for name in SPLITS}


def held_out_first(homes: Collection[Split]) -> Split:
    """Where new rows of a unit go that an earlier split has torn: where they cannot leak into training."""
    return next(name for name in reversed(SPLITS) if name in homes)


def deal(
    sizes: dict[Unit, int], *, strata: dict[Unit, tuple[str, str]], shares: Shares, seed: int
) -> dict[Unit, Split]:
    """The split of each unit, from its size in rows and its stratum (kind, group).

    A group large enough for every split (ten tasks at 80/10/10) is in all of them. All other units stand in
    line by kind, then group, then hash, and each goes to the split that lags behind its share most: so kinds
    and small groups spread out too, and no split exceeds its share by a whole unit. A split is empty only
    where there are too few units.
    """
    # Whole numbers in the proportion of the shares: fractions are exact too, and thirty times slower.
    parts = {name: Fraction(str(getattr(shares, name))) for name in SPLITS}
    whole = math.lcm(*(part.denominator for part in parts.values()))
    share = {name: int(part * whole) for name, part in parts.items()}
    shuffled = sorted(sizes, key=lambda unit: _hash(seed, *unit))
    of_group = {group: _hash(seed, group) for _, group in strata.values()}
    line = sorted(shuffled, key=lambda unit: (strata[unit][0], of_group[strata[unit][1]]))
    place = _deal_large_groups(shuffled, strata, share)
    lags = dict.fromkeys(SPLITS, 0)
    for unit in [*place, *(unit for unit in line if unit not in place)]:
        for name in SPLITS:
            lags[name] += share[name] * sizes[unit]
        place.setdefault(unit, max(SPLITS, key=lambda name: lags[name]))
        lags[place[unit]] -= sizes[unit] * sum(share.values())
    _fill_empty(place, line, share)
    return place


def _deal_large_groups(
    shuffled: list[Unit], strata: dict[Unit, tuple[str, str]], share: dict[Split, int]
) -> dict[Unit, Split]:
    """As many units of each group as can be dealt out in the exact proportion of the shares."""
    smallest = min(part for part in share.values() if part)
    by_group: dict[str, list[Unit]] = defaultdict(list)
    for unit in shuffled:
        if strata[unit][1]:
            by_group[strata[unit][1]].append(unit)
    place: dict[Unit, Split] = {}
    for members in by_group.values():
        times = smallest * len(members) // sum(share.values())
        waiting = iter(members)
        for name in reversed(SPLITS):
            for _ in range(times * share[name] // smallest):
                place[next(waiting)] = name
    return place


def _fill_empty(place: dict[Unit, Split], line: list[Unit], share: dict[Split, int]) -> None:
    """Give a split that came away empty one unit of the split with the most."""
    for name in SPLITS:
        taken = {other: [unit for unit in line if place[unit] == other] for other in SPLITS}
        donor = max(SPLITS, key=lambda other: len(taken[other]))
        if share[name] and not taken[name] and len(taken[donor]) > 1:
            place[taken[donor][-1]] = name


def _refuse_torn_tasks(units: dict[Unit, list[ConversationRow]]) -> None:
    home: dict[str, Unit] = {}
    for unit, members in units.items():
        for row in members:
            if row.task and home.setdefault(row.task, unit) != unit:
                groups = f"{home[row.task][1]!r} and {unit[1]!r}"
                raise InputError(
                    f"{row.source or row.id}: task {row.task!r} stands in the groups {groups}: "
                    "give it one group, or pass --split-by task"
                )


def _hash(seed: int, *names: str) -> bytes:
    return hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
