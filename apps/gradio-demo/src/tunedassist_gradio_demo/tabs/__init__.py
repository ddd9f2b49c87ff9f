"""A file a tab: plain functions that do the work, and `build`, which lays the tab out and wires them.

`build` gives what is to be shown anew whenever the tab is opened, so that a report made meanwhile is seen.
"""

from collections.abc import Callable
from typing import Any

OnOpen = list[tuple[Callable[[], str], Any]]
"""Functions, and the components that show what they give."""
