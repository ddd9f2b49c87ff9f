"""rank(): many systems from comparisons in pairs, by people or a judge: strengths with intervals."""

from pathlib import Path
from typing import NamedTuple

from ta_eval.pipe import read_lines
from ta_eval.stats import Battle, bradley_terry, win_rate
from ta_schemas import InputError
from ta_schemas.reports import Interval

WINNERS = {"first": 1.0, "second": 0.0, "tie": 0.5}


class Ranked(NamedTuple):
    """A system among the others; `strength` is in log-odds, 0 the average."""

    name: str
    battles: int
    win_rate: Interval
    strength: Interval


def rank(battles: list[Battle], *, resamples: int = 1000, seed: int = 0) -> list[Ranked]:
    """The strongest first (Bradley and Terry 1952); `seed` decides the bootstrap over items."""
    strengths = bradley_terry(battles, resamples=resamples, seed=seed)
    found = []
    for name, strength in strengths.items():
        outcomes = [b.outcome for b in battles if b.first == name]
        outcomes += [1 - b.outcome for b in battles if b.second == name]
        found.append(Ranked(name, len(outcomes), win_rate(outcomes), strength))
    return sorted(found, key=lambda ranked: -ranked.strength.estimate)


def read_battles(file: Path) -> list[Battle]:
    """JSON lines with `first`, `second`, `winner` (first, second or tie) and perhaps `item`; `-` is stdin.

    Raises InputError naming line and field.
    """
    battles = []
    for where, row in read_lines(file):
        for name in ("first", "second"):
            if not isinstance(row.get(name), str) or not row[name]:
                raise InputError(f"{where}: {name}: expected a system's name")
        if row["first"] == row["second"]:
            raise InputError(f"{where}: second: a system cannot meet itself ({row['first']!r})")
        if row.get("winner") not in WINNERS:
            raise InputError(f"{where}: winner: expected first, second or tie, got {row.get('winner')!r}")
        battles.append(
            Battle(row["first"], row["second"], WINNERS[row["winner"]], str(row.get("item") or where))
        )
    if not battles:
        raise InputError(f"{file}: no comparisons: expected JSON lines with first, second and winner")
    return battles
