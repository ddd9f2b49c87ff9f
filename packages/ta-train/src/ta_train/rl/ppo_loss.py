"""The arithmetic of PPO on answers: per-token rewards, advantages, clipped losses.

Proximal policy optimization: Schulman et al. 2017 (https://arxiv.org/abs/1707.06347); generalized advantage
estimation: Schulman et al. 2016 (https://arxiv.org/abs/1506.02438); a KL penalty a token and the score at the
last one: Ouyang et al. 2022 (https://arxiv.org/abs/2203.02155); the details that decide whether it works:
Huang et al. 2024 (https://arxiv.org/abs/2403.17031).

Every tensor is (answers, tokens) unless said otherwise; `mask` is 1 where an answer has a token, its stop token
included, and 0 where it is padded.
"""

from typing import NamedTuple

import torch
from torch import Tensor


def mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the real tokens: a scalar."""
    return (values * mask).sum() / mask.sum()


def token_rewards(
    scores: Tensor, logprobs: Tensor, reference: Tensor, mask: Tensor, *, kl_coefficient: float
) -> Tensor:
    """What each token earns: minus the KL penalty, plus the answer's score (answers,) at its last token."""
    rewards = -kl_coefficient * (logprobs - reference) * mask
    last = mask.sum(dim=1).long() - 1
    rewards[torch.arange(len(scores)), last] += scores
    return rewards


def advantages(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, gae_lambda: float) -> Tensor:
    """Generalized advantage estimates (equation 16 of Schulman et al. 2016); nothing follows the last token."""
    values = values * mask
    following_value = rewards.new_zeros(len(rewards))
    following = rewards.new_zeros(len(rewards))
    result = torch.zeros_like(rewards)
    for t in reversed(range(rewards.shape[1])):
        surprise = rewards[:, t] + gamma * following_value - values[:, t]
        following = (surprise + gamma * gae_lambda * following) * mask[:, t]
        following_value = values[:, t]
        result[:, t] = following
    return result


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Shifted and scaled to mean 0 and variance 1 over the real tokens."""
    centred = (values - mean(values, mask)) * mask
    return centred * torch.rsqrt(mean(centred**2, mask) + 1e-8)


class Clipped(NamedTuple):
    """A clipped loss and the share of tokens at which the clipped branch was taken: two scalars."""

    loss: Tensor
    share: Tensor


def policy_loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, *, clip: float) -> Clipped:
    """The clipped surrogate (equation 7 of Schulman et al. 2017), negated, of log-probabilities."""
    ratio = torch.exp(new - old)
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip, 1 + clip)
    return Clipped(mean(torch.max(plain, clipped), mask), mean((clipped > plain).float(), mask))


def value_loss(new: Tensor, old: Tensor, returns: Tensor, mask: Tensor, *, clip: float) -> Clipped:
    """Half the squared error: the larger of the new value's and that of the value moved at most `clip`."""
    plain = (new - returns) ** 2
    clipped = (old + (new - old).clamp(-clip, clip) - returns) ** 2
    return Clipped(0.5 * mean(torch.max(plain, clipped), mask), mean((clipped > plain).float(), mask))
