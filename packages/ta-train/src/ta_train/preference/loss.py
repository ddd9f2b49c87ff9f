"""The losses of the preference methods, from the log-probabilities of both answers."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ta_train.preference.config import DpoConfig, OrpoConfig, PreferenceConfig


class Sides(NamedTuple):
    """A number for each pair and each side, both of shape (pairs,)."""

    chosen: Tensor
    rejected: Tensor


class Answers(NamedTuple):
    """What a loss is made of."""

    logps: Sides
    """Log-probability of the answer under the model that is trained, in nats, summed over its tokens."""
    lengths: Sides
    """Tokens of the answer."""
    reference: Sides | None = None
    """The same as `logps` under the model the run started from."""
    divergence: Tensor | None = None
    """KTO's estimate of how far the model has moved from the reference, in nats, one number >= 0."""


class Outcome(NamedTuple):
    """A batch's loss, and the rewards the method gives its answers implicitly."""

    loss: Tensor
    rewards: Sides


def preference_loss(config: PreferenceConfig, answers: Answers) -> Outcome:
    """The loss of the configured method, averaged over the pairs."""
    if isinstance(config, DpoConfig):
        return _dpo(config, answers)
    if isinstance(config, OrpoConfig):
        return _orpo(config, answers)
    return _kto(config, answers)


def _dpo(config: DpoConfig, answers: Answers) -> Outcome:
    """DPO eq. 7; IPO: Azar et al. 2023, eq. 17, https://arxiv.org/abs/2310.12036; hinge: Zhao et al. 2023,
    https://arxiv.org/abs/2305.10425; SimPO: Meng et al. 2024, eq. 6, https://arxiv.org/abs/2405.14734.
    """
    lengths = answers.lengths
    if config.loss == "simpo":
        means = _mean(answers.logps, lengths)
        rewards = _scaled(config.beta, means)
        return Outcome(
            -logsigmoid(rewards.chosen - rewards.rejected - config.simpo_margin).mean(), _detached(rewards)
        )
    ratios = _ratios(answers)
    rewards = _scaled(config.beta, ratios)
    margins = rewards.chosen - rewards.rejected
    if config.loss == "ipo":
        # A token's mean, as the authors clarified to TRL: a sum would grow with the answer's length.
        means = _mean(ratios, lengths)
        losses = (means.chosen - means.rejected - 1 / (2 * config.beta)) ** 2
    elif config.loss == "hinge":
        losses = torch.relu(1 - margins)
    else:
        losses = -logsigmoid(margins)
    return Outcome(losses.mean(), _detached(rewards))


def _orpo(config: OrpoConfig, answers: Answers) -> Outcome:
    """ORPO eq. 6 and 7: the chosen answer's cross entropy, and the odds p / (1 - p) of both, p a token's
    geometric mean.
    """
    means = _mean(answers.logps, answers.lengths)
    odds = [logp - torch.log(-torch.expm1(logp)) for logp in means]
    cross_entropy = -answers.logps.chosen.sum() / answers.lengths.chosen.sum()
    loss = cross_entropy - config.beta * logsigmoid(odds[0] - odds[1]).mean()
    return Outcome(loss, _detached(_scaled(config.beta, means)))


def _kto(config: PreferenceConfig, answers: Answers) -> Outcome:
    """KTO eq. 7 and 8: chosen answers are desirable, rejected ones undesirable, in equal number and weight."""
    rewards = _scaled(config.beta, _ratios(answers))
    assert answers.divergence is not None
    zero = config.beta * answers.divergence
    losses = torch.cat([1 - torch.sigmoid(rewards.chosen - zero), 1 - torch.sigmoid(zero - rewards.rejected)])
    return Outcome(losses.mean(), _detached(rewards))


def _ratios(answers: Answers) -> Sides:
    assert answers.reference is not None
    return Sides(*(logp - before for logp, before in zip(answers.logps, answers.reference, strict=True)))


def _mean(sums: Sides, lengths: Sides) -> Sides:
    return Sides(*(total / length for total, length in zip(sums, lengths, strict=True)))


def _scaled(factor: float, sides: Sides) -> Sides:
    return Sides(factor * sides.chosen, factor * sides.rejected)


def _detached(sides: Sides) -> Sides:
    return Sides(sides.chosen.detach(), sides.rejected.detach())
