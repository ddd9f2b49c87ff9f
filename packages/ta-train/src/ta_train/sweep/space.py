"""What a sweep goes over: lists of values, or ranges that Optuna draws from."""

import importlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import yaml

from ta_schemas import InputError, SetupError

Settings = dict[str, str]
"""Recipe key: value, as `--set` takes it."""


class Range(NamedTuple):
    """Everything from `low` to `high`; by its logarithm where that is tenfold or more."""

    low: float
    high: float
    whole: bool
    """Whole numbers only."""

    @property
    def by_logarithm(self) -> bool:
        """Tenfold and more: 0.0001 to 0.001 deserves as many trials as 0.001 to 0.01."""
        return self.low > 0 and self.high >= 10 * self.low


Space = dict[str, list[str] | Range]
"""Recipe key: the values to try, or a range."""


def parse_space(over: Sequence[str]) -> Space:
    """`lora_rank=4,8,16` as a list, `learning_rate=1e-4..3e-3` as a range. Raises InputError."""
    space: Space = {}
    for text in over:
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not values:
            raise InputError(f"--over {text}: expected key=value,value,… such as lora_rank=4,8,16")
        if key in space:
            raise InputError(f"--over {text}: {key} is there twice: give all its values at once")
        space[key] = _range(text, values) if ".." in values else _values(text, values)
    if not space:
        raise InputError("sweep: nothing to go over: pass --over key=value,value,…")
    return space


def grid(space: Space) -> list[Settings]:
    """Every combination, the last key changing fastest. Raises InputError for a range."""
    lists: list[list[str]] = []
    for key, values in space.items():
        if isinstance(values, Range):
            raise InputError(f"--over {key}: a range has no grid: pass --trials N (Optuna) or list its values")
        lists.append(values)
    return [dict(zip(space, chosen, strict=True)) for chosen in itertools.product(*lists)]


class Search:
    """Optuna draws settings; what it is told of earlier ones decides where it looks next.

    It keeps no file: with the same seed and the same results it asks for the same settings again, and what
    was trained before is read from its sealed adapter.
    """

    def __init__(self, space: Space, *, seed: int, maximize: bool) -> None:
        try:
            optuna = importlib.import_module("optuna")
        except ModuleNotFoundError:
            raise SetupError("--trials needs Optuna: install ta-train[sweep]") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._failed = optuna.trial.TrialState.FAIL
        self._study = optuna.create_study(
            direction="maximize" if maximize else "minimize", sampler=optuna.samplers.TPESampler(seed=seed)
        )

    def draw(self, count: int) -> Iterator[tuple[Settings, Callable[[float | None], None]]]:
        """`count` settings one after the other, each with the function that takes its result (None: failed)."""
        for _ in range(count):
            trial = self._study.ask()

            def tell(value: float | None, trial: Any = trial) -> None:
                if value is None or not math.isfinite(value):
                    self._study.tell(trial, state=self._failed)
                else:
                    self._study.tell(trial, value)

            yield {key: _drawn(trial, key, values) for key, values in self._space.items()}, tell


def _drawn(trial: Any, key: str, values: list[str] | Range) -> str:
    if not isinstance(values, Range):
        return str(trial.suggest_categorical(key, values))
    if values.whole:
        return str(trial.suggest_int(key, int(values.low), int(values.high), log=values.by_logarithm))
    # Three digits: what a table shows is what was trained, and equal settings are found again.
    return f"{trial.suggest_float(key, values.low, values.high, log=values.by_logarithm):.3g}"


def _values(text: str, values: str) -> list[str]:
    try:
        found = [json.dumps(value) for value in yaml.safe_load(f"[{values}]")]
    except yaml.YAMLError:
        raise InputError(f"--over {text}: its values cannot be read: separate them by commas") from None
    if len(set(found)) < len(found):
        raise InputError(f"--over {text}: a value is there twice")
    return found


def _range(text: str, values: str) -> Range:
    low, _, high = values.partition("..")
    try:
        ends = float(low), float(high)
    except ValueError:
        raise InputError(f"--over {text}: expected a range of numbers such as 1e-4..3e-3") from None
    if not ends[0] < ends[1]:
        raise InputError(f"--over {text}: the range is empty: the smaller number comes first")
    return Range(*ends, whole=all(end.strip().isdigit() for end in (low, high)))
