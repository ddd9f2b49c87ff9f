"""Entries side by side: the settings that differ, the numbers of their runs, their scores."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ta_train.registry.entry import Entry
from ta_train.registry.scores import Score


class Comparison(NamedTuple):
    """Each value is a list, an item an entry, in the order asked for."""

    names: list[str]
    settings: dict[str, list[Any]]
    """Configuration keys that are not the same for all; None where an entry has no such key."""
    metrics: dict[str, list[float | None]]
    scores: dict[str, list[Score | None]]
    """By item set, from the report added last."""


def compare(entries: Sequence[Entry]) -> Comparison:
    """Lay entries side by side. No verdict: scores of one model each are not paired (`ta-eval compare` is)."""
    configs = [_flat(entry.manifest.config) for entry in entries]
    metrics = [
        {key: value for key, value in entry.manifest.metrics.items() if type(value) in (int, float)}
        for entry in entries
    ]
    scores = [{score.item_set: score for score in entry.scores} for entry in entries]
    settings = _rows(configs)
    return Comparison(
        [entry.name for entry in entries],
        {key: values for key, values in settings.items() if any(value != values[0] for value in values)},
        _rows(metrics),
        _rows(scores),
    )


def _rows(columns: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    keys = dict.fromkeys(key for column in columns for key in column)
    return {key: [column.get(key) for column in columns] for key in keys}


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """`{"sft": {"lora_rank": 4}}` as `{"lora_rank": 4}`: the same key of two methods stands in one row."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= value if isinstance(value, dict) else {key: value}
    return flat
