"""The passes' building blocks with gradients written by hand: fewer passes over memory, less kept for backward.

N is the number of nodes of a packed batch. Frozen weights get no gradient.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class LoraLinear(Function):  # type: ignore[misc]
    """y = x Wᵀ + (x Aᵀ) Bᵀ with W [out, in] frozen, A [rank, in] and B [out, rank] trained (B scaled already).

    Hu et al. 2021, https://arxiv.org/abs/2106.09685
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """[N, in] to [N, out]."""
        low = x @ a.T
        ctx.save_for_backward(x, weight, a, b, low)
        return torch.mm(x, weight.T).addmm_(low, b.T)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, Tensor, Tensor]:
        """Gradients of x, A and B."""
        (dy,) = grads
        x, weight, a, b, low = ctx.saved_tensors
        dlow = dy @ b
        dx = torch.mm(dy, weight).addmm_(dlow, a) if ctx.needs_input_grad[0] else None
        return dx, None, dlow.T @ x, dy.T @ low


class RmsNorm(Function):  # type: ignore[misc]
    """Root mean square norm in float32, cast to the dtype of the products (Zhang and Sennrich 2019)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        """[N, hidden] float32 to [N, hidden] of `dtype`."""
        scale = torch.rsqrt(x.square().mean(dim=1, keepdim=True).add_(eps))
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight).to(dtype)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """Gradient of x."""
        x, weight, scale = ctx.saved_tensors
        dy = grads[0].float() * weight
        mean = (dy * x).mean(dim=1, keepdim=True).mul_(scale.square())
        return dy.addcmul_(x, mean, value=-1).mul_(scale), None, None, None


class SwiGlu(Function):  # type: ignore[misc]
    """silu(gate) * up of a fused [N, 2 * width] product (Shazeer 2020, https://arxiv.org/abs/2002.05202)."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        """[N, 2 * width] to [N, width]."""
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, dim=1)
        return torch.nn.functional.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Gradient of the fused product."""
        (dy,) = grads
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=1)
        out = torch.empty_like(gate_up)
        dgate, dup = out.chunk(2, dim=1)
        sigmoid = torch.sigmoid(gate)
        silu = gate * sigmoid
        torch.mul(dy, silu, out=dup)
        # d silu = sigmoid * (1 + gate - silu)
        torch.mul(dy, sigmoid.mul_((gate - silu).add_(1)).mul_(up), out=dgate)
        return out


class CrossEntropy(Function):  # type: ignore[misc]
    """Cross entropy of h Wᵀ against the targets, in nats, a token; W [vocabulary, hidden] frozen.

    The gradient of h is made in the forward pass, chunk by chunk, so that no logits are kept.
    """

    CHUNK = 256
    """Rows of logits at a time: 50 MB of float32 at a vocabulary of 49,152."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """[P, hidden] and [P] to [P] float32."""
        losses = torch.empty(len(hidden), dtype=torch.float32)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for start in range(0, len(hidden), CrossEntropy.CHUNK):
            part = slice(start, start + CrossEntropy.CHUNK)
            wanted = targets[part, None]
            logits = (hidden[part] @ weight.T).float()
            normalizer = logits.logsumexp(dim=1, keepdim=True)
            losses[part] = (normalizer - logits.gather(1, wanted)).squeeze(1)
            if gradient is not None:
                probabilities = logits.sub_(normalizer).exp_()
                probabilities.scatter_add_(1, wanted, torch.full(wanted.shape, -1.0))
                torch.mm(probabilities.to(weight.dtype), weight, out=gradient[part])
        ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Gradient of h."""
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0][:, None].to(gradient.dtype), None, None
