"""Scorers of your own: `"scorer": "my_module:function"` in a benchmark row.

    def function(row, answer):            # row: ta_eval.item.Item, answer: str
        return 0.0 <= number <= 1.0       # or None, or (value, extracted, reason)

A benchmark is data and may come from others, so it can only *name* code: the module must be one that you have
installed or put on PYTHONPATH. Nothing is imported from the benchmark's folder, and the standard library is
refused, so that no row can call what was never meant to be a scorer.
"""

import functools
import hashlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ta_eval.item import Item
from ta_eval.scorers.text import Score
from ta_schemas import InputError


def score_with_own(row: Item, answer: str) -> Score:
    """Call the row's function. What it raises is its own bug and keeps its traceback."""
    result = load_own(row.scorer)(row, answer)
    value, extracted, reason = result if isinstance(result, tuple) else (result, "", "")
    if value is not None and not 0 <= float(value) <= 1:
        raise InputError(f"scorer {row.scorer}: gave {value!r} for item {row.id!r}: expected 0 to 1, or None")
    value = None if value is None else float(value)
    return Score(value, str(extracted), str(reason or row.scorer))


@functools.cache
def load_own(path: str) -> Callable[[Item, str], Any]:
    """The function `module:function`. InputError where there is none."""
    module_name, _, name = path.partition(":")
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        raise InputError(f"scorer {path!r}: {module_name} is Python's own: name a module with scorers")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InputError(f"scorer {path!r}: {error}: install it, or put its folder on PYTHONPATH") from None
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"scorer {path!r}: {module_name} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def own_digest(path: str) -> str:
    """SHA-256 of the file the function stands in: part of what identifies a result."""
    file = sys.modules[load_own(path).__module__].__file__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
