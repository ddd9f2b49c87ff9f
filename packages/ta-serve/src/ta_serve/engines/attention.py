"""Attention of one new token against the cache, on a CPU, without copying the cache.

transformers repeats keys and values for every group of query heads before it calls torch; for one new token
those copies cost more than the attention. Here the query heads of a group stand in for the query length.
Together with `cache.RoomyLayer`: a step of 48 rows of a 135M model 305 to 253 ms instead of 344 to 396.
"""

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "ta_grouped"


def grouped_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Query (rows, heads, tokens, size), key and value (rows, groups, length, size).

    Gives (rows, tokens, heads, size). More than one new token goes the way of transformers.
    """
    rows, heads, tokens, size = query.shape
    if tokens != 1 or rest.get("position_bias") is not None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **rest)
        return output, None
    groups = key.shape[1]
    scale = size**-0.5 if scaling is None else scaling
    scores = torch.matmul(query.reshape(rows, groups, heads // groups, size) * scale, key.transpose(2, 3))
    if attention_mask is not None:
        if attention_mask.dtype == torch.bool:
            scores = scores.masked_fill_(~attention_mask, float("-inf"))
        else:
            scores = scores + attention_mask
    return torch.matmul(torch.softmax(scores, dim=-1), value).reshape(rows, 1, heads, -1), None


def use_grouped_attention(model: Any) -> None:
    """Switch a model to it, if its attention can be switched."""
    if getattr(model, "_supports_attention_backend", False) and getattr(model, "_supports_sdpa", False):
        AttentionInterface.register(NAME, grouped_attention)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)
