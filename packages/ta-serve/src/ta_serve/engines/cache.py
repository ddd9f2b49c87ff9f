"""The key-value cache: room to grow, rows that leave, a prefix that all rows share."""

import copy
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Tokens of room added at a time: transformers copies the whole cache for every token instead."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """A cache layer that writes into room it has: `keys` and `values` are views of what is filled."""

    keys: torch.Tensor
    values: torch.Tensor
    key_room: torch.Tensor
    value_room: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append (rows, groups, tokens, size); give all that is filled."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if start == 0 or end > self.key_room.shape[-2]:
            self.key_room = self._moved(self.keys, key_states, start, end + ROOM)
            self.value_room = self._moved(self.values, value_states, start, end + ROOM)
        self.key_room[:, :, start:end] = key_states
        self.value_room[:, :, start:end] = value_states
        self.keys, self.values = self.key_room[:, :, :end], self.value_room[:, :, :end]
        return self.keys, self.values

    @staticmethod
    def _moved(old: torch.Tensor, new: torch.Tensor, filled: int, length: int) -> torch.Tensor:
        rows, groups, _, size = new.shape
        room = new.new_empty(rows, groups, length, size)
        if filled:
            room[:, :, :filled] = old
        return room

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Copy every row `repeats` times."""
        super().batch_repeat_interleave(repeats)
        self.key_room, self.value_room = self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, and the room."""
        filled = self.get_seq_length()
        self.key_room, self.value_room = self.key_room[indices], self.value_room[indices]
        self.keys, self.values = self.key_room[:, :, :filled], self.value_room[:, :, :filled]


def new_cache(model: Any) -> Any:
    """An empty cache for a model; its plain layers get room to grow."""
    cache = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def can_share_prefix(cache: Any) -> bool:
    """Padding between prefix and rest is harmless only where every layer sees the whole cache by its mask."""
    return bool(cache.layers) and all(type(layer) is RoomyLayer for layer in cache.layers)


def repeated(prefix: Any, rows: int) -> Any:
    """A cache of one row, copied for a batch; `prefix` stays as it is."""
    cache = copy.copy(prefix)
    cache.layers = [copy.copy(layer) for layer in prefix.layers]
    cache.batch_repeat_interleave(rows)
    return cache
