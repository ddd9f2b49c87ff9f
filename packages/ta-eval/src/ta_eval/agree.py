"""agree(): do raters agree? Ratings in, agreement and kappas with intervals out."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from ta_eval.pipe import as_file, read_lines
from ta_eval.stats import (
    Level,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    pairwise_agreement,
    win_rate,
)
from ta_schemas import InputError
from ta_schemas.reports import Interval

FIELDS = ("item", "rater", "label")


class Pair(NamedTuple):
    """Two raters on the items both have rated."""

    first: str
    second: str
    items: int
    agreement: Interval
    kappa: Interval


class Agreement(NamedTuple):
    """All raters; what needs two ratings counts items that have them."""

    items: int
    rated_twice: int
    ratings: int
    raters: list[str]
    labels: dict[str, int]
    agreement: Interval
    cohen: list[Pair]
    fleiss: Interval
    krippendorff: Interval


def agree(ratings: dict[str, dict[str, str]], *, level: Level = "nominal") -> Agreement:
    """Agreement of {item: {rater: label}}. InputError where `level` needs numbers and a label is none."""
    every = [label for row in ratings.values() for label in row.values()]
    counts = {label: every.count(label) for label in sorted(set(every))}
    if level != "nominal":
        for label in counts:
            if not _is_number(label):
                raise InputError(
                    f"label {label!r}: level {level!r} needs numbers: use nominal or map the labels"
                )
    raters = sorted({rater for row in ratings.values() for rater in row})
    shares = pairwise_agreement(ratings)
    if not shares:
        raise InputError("no item has ratings of two raters: agreement needs at least one")
    return Agreement(
        items=len(ratings),
        rated_twice=len(shares),
        ratings=len(every),
        raters=raters,
        labels=counts,
        agreement=win_rate(shares),
        cohen=[pair for one, other in combinations(raters, 2) if (pair := _pair(ratings, one, other)).items],
        fleiss=fleiss_kappa(ratings),
        krippendorff=krippendorff_alpha(ratings, level=level),
    )


def as_plain(found: Agreement) -> dict[str, object]:
    """For JSON."""
    plain = found._asdict()
    for name in ("agreement", "fleiss", "krippendorff"):
        plain[name] = plain[name].model_dump()
    plain["cohen"] = [
        {**pair._asdict(), "agreement": pair.agreement.model_dump(), "kappa": pair.kappa.model_dump()}
        for pair in found.cohen
    ]
    return plain


def read_ratings(path: Path) -> dict[str, dict[str, str]]:
    """Read CSV with a header or JSON lines, with item, rater and label; `-` is stdin.

    Raises InputError with file, line and field; one rater's second rating of an item is refused.
    """
    ratings: dict[str, dict[str, str]] = {}
    with as_file(path) as file:
        if not file.is_file():
            raise InputError(f"{path}: no such file")
        text = file.read_text(encoding="utf-8-sig", errors="replace").lstrip()
        shown = "stdin" if str(path) == "-" else str(path)
        rows = read_lines(file) if text.startswith("{") else _read_csv(text, shown)
        for where, (item, rater, label) in _fields(rows):
            place = f"{shown}:{where.rpartition(':')[2]}"
            if rater in ratings.setdefault(item, {}):
                raise InputError(f"{place}: rater {rater!r} has rated item {item!r} already")
            ratings[item][rater] = label
    if not ratings:
        raise InputError(f"{shown}: no ratings: expected item, rater and label in every row")
    return ratings


def _read_csv(text: str, shown: str) -> Iterator[tuple[str, dict[str, object]]]:
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in FIELDS if name not in (reader.fieldnames or ())]
    if missing:
        found = ", ".join(reader.fieldnames or ()) or "nothing"
        raise InputError(f"{shown}:1: {missing[0]}: column is missing, the header has {found}")
    for row in reader:
        yield f"{shown}:{reader.line_num}", dict(row)


def _fields(
    rows: Iterable[tuple[str, dict[str, object]]],
) -> Iterator[tuple[str, tuple[str, str, str]]]:
    for where, row in rows:
        values = []
        for name in FIELDS:
            value = row.get(name)
            if not isinstance(value, str | int | float) or str(value).strip() == "":
                raise InputError(f"{where}: {name}: is missing or empty")
            values.append(str(value).strip())
        yield where, (values[0], values[1], values[2])


def _pair(ratings: dict[str, dict[str, str]], one: str, other: str) -> Pair:
    both = [(row[one], row[other]) for row in ratings.values() if one in row and other in row]
    same = [float(a == b) for a, b in both]
    kappa = cohen_kappa([a for a, _ in both], [b for _, b in both])
    return Pair(one, other, len(both), win_rate(same), kappa)


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
