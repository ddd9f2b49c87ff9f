"""One thing that was looked at."""

from typing import Literal, NamedTuple

State = Literal["ok", "absent", "bad"]
"""absent: something optional is not there; bad: the main job cannot run without it."""


class Finding(NamedTuple):
    """A line of the doctor's report."""

    part: str
    """Section: environment, extras, machine, programs, keys."""
    name: str
    state: State
    found: str
    purpose: str = ""
    """What it is for."""
    fix: str = ""
    """The line that mends it; empty where nothing is to be mended."""
