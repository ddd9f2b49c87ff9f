"""The `numeric` scorer: is the number in an answer the right one, whatever the unit it is told in?"""

import functools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from ta_eval.scorers.text import Score

NUMBER = re.compile(
    r"(?<![\w.])([-+−]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?)"
    r"(?:\s*/\s*(\d+))?[ \t]*([A-Za-zµ°%/]+)?",
    re.ASCII,  # "²" is a digit otherwise
)
ANSWER = re.compile(r"(?i)(?:\banswer\b(?:\s+is)?\s*:?|=|≈)\s*\**\s*(?=[-+−]?[\d.])")

KINDS = """
m metre meter 1; km kilometre kilometer 1000; cm centimetre centimeter 0.01; mm millimetre millimeter 0.001;
    mile 1609.344; ft foot feet 0.3048; inch inches 0.0254; yard 0.9144
g gram 1; kg kilogram 1000; mg milligram 0.001; tonne 1e6; lb pound 453.59237; oz ounce 28.349523125
s sec second 1; ms millisecond 0.001; min minute 60; h hr hour 3600; day 86400; week 604800
B byte 1; kB KB kilobyte 1e3; MB megabyte 1e6; GB gigabyte 1e9; TB terabyte 1e12;
    KiB 1024; MiB 1048576; GiB 1073741824; TiB 1099511627776
l L litre liter 1; ml mL millilitre milliliter 0.001
% percent 1
m/s 1; km/h 0.2777777777777778; mph 0.44704
"""
"""A line for each kind of quantity: the names of a unit, then its factor to the first unit of the line."""


@functools.cache
def units() -> dict[str, tuple[int, float]]:
    """Name of a unit: its kind and factor."""
    table: dict[str, tuple[int, float]] = {}
    for kind, line in enumerate(KINDS.replace(";\n", ";").strip().splitlines()):
        for entry in line.split(";"):
            *names, factor = entry.split()
            table |= {name: (kind, float(factor)) for name in names}
    return table


class Quantity(NamedTuple):
    """A number with the line of KINDS that has its unit (-1: no unit that we know) and the unit's factor."""

    value: float
    kind: int
    factor: float

    @property
    def base(self) -> float:
        """The value in the first unit of its kind."""
        return self.value * self.factor


def score_numeric(
    answer: str, references: Sequence[str], *, tolerance: float = 0.0, relative_tolerance: float = 0.0
) -> Score:
    """1 if the answer's number is a reference's within the larger tolerance.

    Taken is the number after the last "=" or "answer", else the last one. A unit that both name is converted
    (5 km is 5000 m); where only one names a unit it is taken to be meant; kinds that differ score 0.
    """
    found = chosen_number(answer)
    if found is None:
        return Score(0.0, "", "no number in the answer")
    told = f"{found.value:g}"
    for number, reference in enumerate(references, start=1):
        wanted = chosen_number(reference)
        if wanted is not None and _same(found, wanted, tolerance, relative_tolerance):
            return Score(1.0, told, f"equal to reference {number}")
    return Score(0.0, told, f"{told} is none of the references")


def chosen_number(text: str) -> Quantity | None:
    """The number an answer settles on, or None."""
    marks = [match.end() for match in ANSWER.finditer(text)]
    found = list(_numbers(text[marks[-1] :])) if marks else []
    if found:
        return found[0]
    every = list(_numbers(text))
    return every[-1] if every else None


def _numbers(text: str) -> list[Quantity]:
    out = []
    for match in NUMBER.finditer(text):
        digits = match[1].replace(",", "").replace("−", "-")
        value = float(digits) / (float(match[2]) if match[2] and float(match[2]) else 1.0)
        out.append(Quantity(value, *_unit(match[3] or "")))
    return out


def _unit(word: str) -> tuple[int, float]:
    spellings = (word, word.removesuffix("s"), word.lower(), word.lower().removesuffix("s"))
    return next((units()[name] for name in spellings if name in units()), (-1, 1.0))


def _same(found: Quantity, wanted: Quantity, tolerance: float, relative: float) -> bool:
    if -1 in (found.kind, wanted.kind):
        return math.isclose(found.value, wanted.value, rel_tol=max(relative, 1e-9), abs_tol=tolerance)
    if found.kind != wanted.kind:
        return False
    return math.isclose(found.base, wanted.base, rel_tol=max(relative, 1e-9), abs_tol=tolerance * wanted.factor)
