"""The fast engine with one lever taken out: what remains is still exact, only slower."""

from typing import Any

import torch
from torch import Tensor

from ta_train.fast import engine, llama
from ta_train.fast.llama import FastLlama, Projection, TokenLosses, _Layer
from ta_train.fast.pack import Packed, pack


class Unshared(FastLlama):
    """Every row computes its own prefix."""

    def __init__(self, causal: Any, **settings: Any) -> None:
        super().__init__(causal, **settings, share=False)


class HeadEverywhere(FastLlama):
    """The output layer over every position, trained or not."""

    def losses(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> TokenLosses:
        """As FastLlama's."""
        batch = pack(input_ids, attention_mask, labels, share=self.share)
        last = self._normed(self.hidden(batch), self.norm)
        targets = batch.targets.new_zeros(len(last)).index_put((batch.trained,), batch.targets)
        losses = llama.CrossEntropy.apply(last, self.head, targets)
        return TokenLosses(losses.index_select(0, batch.trained), batch.rows)


def flash_attention(self: _Layer, qkv: Tensor, batch: Packed, cos: Tensor, sin: Tensor) -> Tensor:
    """Torch's own attention in place of batched products."""
    rows, _, length, _ = batch.visible.shape
    qk, v = qkv.split([(self.heads + self.groups) * self.width, self.groups * self.width], dim=1)
    qk = llama._rotate(qk.view(len(qk), -1, self.width), cos[:, None].to(qk), sin[:, None].to(qk))
    q, k = qk.split([self.heads, self.groups], dim=1)
    q, k, v = (llama._rows(x, batch, rows).transpose(1, 2) for x in (q, k, v.reshape(len(v), -1, self.width)))
    out = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=batch.visible.to(q.dtype), enable_gqa=True
    )
    return out.transpose(1, 2).reshape(rows * length, -1).index_select(0, batch.owners)


def separate_products(self: Projection, x: Tensor) -> Tensor:
    """A product a layer in place of a fused one."""
    weights = self.weight.split([len(b) for _, b, _ in self.adapters])
    lora = llama.LoraLinear.apply
    parts = [
        lora(x, weight, a.to(self.dtype), (b * scale).to(self.dtype))
        for weight, (a, b, scale) in zip(weights, self.adapters, strict=True)
    ]
    return torch.cat(parts, dim=1)


class Plain:
    """Stands in for a hand-written Function: `apply` leaves the gradient to autograd."""

    def __init__(self, function: Any) -> None:
        self.apply = function


def plain_lora(x: Tensor, weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """As LoraLinear."""
    return x @ weight.T + (x @ a.T) @ b.T


def plain_norm(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """As RmsNorm."""
    return (x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + eps) * weight).to(dtype)


def plain_swiglu(gate_up: Tensor) -> Tensor:
    """As SwiGlu."""
    gate, up = gate_up.chunk(2, dim=1)
    return torch.nn.functional.silu(gate) * up


def take_out(lever: str) -> None:
    """Replace a part of the engine in this process."""
    if lever == "sharing":
        engine.FastLlama = Unshared  # type: ignore[misc]
    elif lever == "head":
        engine.FastLlama = HeadEverywhere  # type: ignore[misc]
    elif lever == "attention":
        _Layer._attention = flash_attention  # type: ignore[method-assign]
    elif lever == "fusing":
        Projection.__call__ = separate_products  # type: ignore[method-assign]
    elif lever == "gradients":
        llama.LoraLinear = Plain(plain_lora)  # type: ignore[assignment,misc]
        llama.RmsNorm = Plain(plain_norm)  # type: ignore[assignment,misc]
        llama.SwiGlu = Plain(plain_swiglu)  # type: ignore[assignment,misc]
    else:
        raise ValueError(lever)
