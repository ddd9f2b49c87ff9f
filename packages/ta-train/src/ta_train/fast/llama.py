"""The Llama forward pass over a packed batch, with the weights and adapters of a PEFT model."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ta_train.fast.functions import CrossEntropy, LoraLinear, RmsNorm, SwiGlu
from ta_train.fast.pack import Packed, pack


class Projection:
    """Linear layers over the same input as one product: their frozen weights and adapters side by side."""

    def __init__(self, modules: Sequence[Any], dtype: torch.dtype) -> None:
        self.adapters = [_adapter(module) for module in modules]
        bases = [getattr(module, "base_layer", module) for module in modules]
        self.weight = torch.cat([base.weight.detach().to(dtype) for base in bases])
        self.dtype = dtype
        # The modules look into the fused weight from now on: nothing is held twice.
        for base, part in zip(bases, self.weight.split([b.out_features for b in bases]), strict=True):
            base.weight.data = part

    def __call__(self, x: Tensor) -> Tensor:
        """[N, in] to [N, sum of out]."""
        a = torch.cat([a for a, _, _ in self.adapters])
        b = torch.block_diag(*[b * scale for _, b, scale in self.adapters])
        return LoraLinear.apply(x, self.weight, a.to(self.dtype), b.to(self.dtype))


class TokenLosses(NamedTuple):
    """What a batch's P trained tokens cost."""

    losses: Tensor
    """[P], in nats."""
    rows: Tensor
    """[P], the row of the batch each belongs to."""


class FastLlama:
    """Computes the losses of a batch; their gradients land in the adapters of the PEFT model it was given.

    The residual stream and the norms are float32, the products are in `dtype`.
    """

    def __init__(
        self, causal: Any, *, dtype: torch.dtype, checkpointing: bool = False, share: bool = True
    ) -> None:
        model = causal.model
        self.causal = causal
        self.dtype = dtype
        self.checkpointing = checkpointing
        self.share = share
        self.layers = [_Layer(layer, causal.config, dtype) for layer in model.layers]
        self.embedding = model.embed_tokens.weight
        self.head = causal.lm_head.weight.detach().to(dtype)
        self.norm = model.norm
        self.rotary = model.rotary_emb

    def take_over(self) -> None:
        """Make `losses` the model's forward; all around it stays TRL's: clipping, processes, checkpoints."""

        def forward(input_ids: Tensor, attention_mask: Tensor, labels: Tensor, **_: Any) -> TokenLosses:
            return self.losses(input_ids, attention_mask, labels)

        self.causal.forward = forward

    def losses(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> TokenLosses:
        """Cross entropy in nats of each trained token of a right-padded batch of [B, L]."""
        batch = pack(input_ids, attention_mask, labels, share=self.share)
        hidden = self.hidden(batch)
        last = self._normed(hidden.index_select(0, batch.trained), self.norm)
        return TokenLosses(CrossEntropy.apply(last, self.head, batch.targets), batch.rows)

    def hidden(self, batch: Packed) -> Tensor:
        """The residual stream after the last layer, [N, hidden] float32."""
        x = torch.nn.functional.embedding(batch.token_ids, self.embedding).float()
        cos, sin = self.rotary(x, batch.positions[None])
        for layer in self.layers:
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer, x, batch, cos[0], sin[0], use_reentrant=False)
            else:
                x = layer(x, batch, cos[0], sin[0])
        return x

    def _normed(self, x: Tensor, norm: Any) -> Tensor:
        return RmsNorm.apply(x, norm.weight, norm.variance_epsilon, self.dtype)


class _Layer:
    def __init__(self, layer: Any, config: Any, dtype: torch.dtype) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.dtype = dtype
        self.norms = layer.input_layernorm, layer.post_attention_layernorm
        self.qkv = Projection([attention.q_proj, attention.k_proj, attention.v_proj], dtype)
        self.out = Projection([attention.o_proj], dtype)
        self.gate_up = Projection([mlp.gate_proj, mlp.up_proj], dtype)
        self.down = Projection([mlp.down_proj], dtype)
        self.heads = config.num_attention_heads
        self.groups = config.num_key_value_heads
        self.width = attention.head_dim

    def __call__(self, x: Tensor, batch: Packed, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.out(self._attention(self.qkv(self._norm(x, 0)), batch, cos, sin))
        return x + self.down(SwiGlu.apply(self.gate_up(self._norm(x, 1))))

    def _norm(self, x: Tensor, which: int) -> Tensor:
        norm = self.norms[which]
        return RmsNorm.apply(x, norm.weight, norm.variance_epsilon, self.dtype)

    def _attention(self, qkv: Tensor, batch: Packed, cos: Tensor, sin: Tensor) -> Tensor:
        """Attention over rows, [N, heads * width], by batched products: a CPU's flash kernel is slower here."""
        rows, _, length, _ = batch.visible.shape
        qk, v = qkv.split([(self.heads + self.groups) * self.width, self.groups * self.width], dim=1)
        qk = _rotate(qk.view(len(qk), -1, self.width), cos[:, None].to(qk), sin[:, None].to(qk))
        q, k = qk.split([self.heads, self.groups], dim=1)
        shared = self.heads // self.groups
        q = _rows(q, batch, rows).view(rows, length, self.groups, shared, self.width)
        q = q.permute(0, 2, 3, 1, 4).reshape(rows, self.groups, shared * length, self.width)
        k = _rows(k, batch, rows).permute(0, 2, 3, 1)
        v = _rows(v.reshape(len(v), self.groups, self.width), batch, rows).transpose(1, 2)
        scores = (q @ k).float() * self.width**-0.5
        scores = scores.view(rows, self.groups * shared, length, length) + batch.visible
        weights = scores.softmax(dim=-1).to(v.dtype).view(rows, self.groups, shared * length, length)
        out = (weights @ v).view(rows, self.groups, shared, length, self.width).permute(0, 3, 1, 2, 4)
        return out.reshape(rows * length, self.heads * self.width).index_select(0, batch.owners)


def _rows(x: Tensor, batch: Packed, rows: int) -> Tensor:
    """[N, heads, width] by node to [B, L, heads, width] by row."""
    gathered = x.flatten(1).index_select(0, batch.nodes)
    return gathered.view(rows, -1, *x.shape[1:])


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, halves turned against each other (Su et al. 2021, laid out as in transformers)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def _adapter(module: Any) -> tuple[Tensor, Tensor, float]:
    """A [rank, in], B [out, rank] and the scale of a layer's adapter; rank 0 where it has none."""
    if not hasattr(module, "lora_A"):
        weight = module.weight
        return weight.new_empty(0, weight.shape[1]), weight.new_empty(weight.shape[0], 0), 1.0
    return module.lora_A["default"].weight, module.lora_B["default"].weight, module.scaling["default"]
