"""A condition of the gate and what was found: holds, fails, is missing its evidence, or was waived."""

from typing import Literal

from pydantic import BaseModel

from ta_schemas.reports import Interval

State = Literal["holds", "fails", "missing", "waived"]


class Condition(BaseModel):
    """One line of the gate's table."""

    name: str
    state: State
    found: str
    """In words, with its interval; where it is missing, the command that makes it."""
    wanted: str
    points_to_spare: float | None = None
    """Hundredths between what was found and the bound; negative: it fails by so much."""

    @property
    def passes(self) -> bool:
        """Missing evidence never passes."""
        return self.state in ("holds", "waived")

    def short(self) -> str:
        """`better fails by 3.0 points`, for a line that names several."""
        by = f" by {-self.points_to_spare:.1f} points" if self.state == "fails" and self.points_to_spare else ""
        return f"{self.name} is missing" if self.state == "missing" else f"{self.name} {self.state}{by}"

    def told(self) -> str:
        """`better: +2.0 points (-3.0 to 7.0), wanted above 0 points: fails by 3.0 points`."""
        by = f" by {-self.points_to_spare:.1f} points" if self.state == "fails" and self.points_to_spare else ""
        return f"{self.name}: {self.found}; wanted {self.wanted}: {self.state}{by}"


class Verdict(BaseModel):
    """All conditions."""

    conditions: list[Condition]

    @property
    def passes(self) -> bool:
        """Whether every one of them does."""
        return all(condition.passes for condition in self.conditions)

    @property
    def failed(self) -> list[Condition]:
        """Those that do not."""
        return [condition for condition in self.conditions if not condition.passes]


def at_least(name: str, interval: Interval, bound: float, what: str) -> Condition:
    """The whole interval lies above `bound`."""
    return Condition(
        name=name,
        state="holds" if interval.low > bound else "fails",
        found=f"{points(interval)} {what}",
        wanted=f"all of the interval above {100 * bound:+.0f} points"
        if bound
        else "all of the interval above 0",
        points_to_spare=round(100 * (interval.low - bound), 2),
    )


def at_most(name: str, interval: Interval, bound: float, what: str) -> Condition:
    """The whole interval, of a rate, lies at or below `bound`."""
    return Condition(
        name=name,
        state="holds" if interval.high <= bound else "fails",
        found=f"{percent(interval)} {what}",
        wanted=f"at most {100 * bound:.0f} % at the upper end",
        points_to_spare=round(100 * (bound - interval.high), 2),
    )


def missing(name: str, found: str, wanted: str) -> Condition:
    """There is no evidence: it does not pass."""
    return Condition(name=name, state="missing", found=found, wanted=wanted)


def points(interval: Interval) -> str:
    """`+22.0 points (4.0 to 40.0)`."""
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.estimate:+.1f} points ({low:.1f} to {high:.1f})"


def percent(interval: Interval) -> str:
    """`2.0 % (0.6 to 7.0)`."""
    return f"{100 * interval.estimate:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
