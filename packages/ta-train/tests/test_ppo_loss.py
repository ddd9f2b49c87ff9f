"""The arithmetic of PPO against hand-made references."""

import numpy as np
import pytest


def random_answers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 7, size=5)
    mask = (np.arange(6) < lengths[:, None]).astype(float)
    return rng.normal(size=(5, 6)) * mask, rng.normal(size=(5, 6)), mask


@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 0.95), (0.9, 0.5), (1.0, 0.0), (0.99, 1.0)])
def test_advantages_are_the_discounted_sum_of_surprises(gamma: float, gae_lambda: float) -> None:
    import torch

    from ta_train.rl.ppo_loss import advantages

    rewards, values, mask = random_answers()
    found = advantages(
        torch.tensor(rewards), torch.tensor(values), torch.tensor(mask), gamma=gamma, gae_lambda=gae_lambda
    )
    expected = np.zeros_like(rewards)
    for row in range(len(rewards)):
        length = int(mask[row].sum())
        following = [*values[row, 1:length], 0.0]
        surprises = [rewards[row, t] + gamma * following[t] - values[row, t] for t in range(length)]
        for t in range(length):
            expected[row, t] = sum(
                (gamma * gae_lambda) ** (later - t) * surprises[later] for later in range(t, length)
            )
    assert found.numpy() == pytest.approx(expected)


def test_the_score_is_earned_by_the_last_token_and_the_divergence_is_paid_by_each() -> None:
    import torch

    from ta_train.rl.ppo_loss import token_rewards

    found = token_rewards(
        torch.tensor([5.0, -1.0]),
        torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -9.0, -9.0]]),
        torch.tensor([[-2.0, -2.0, -1.0], [-1.5, 0.0, 0.0]]),
        torch.tensor([[1, 1, 1], [1, 0, 0]]),
        kl_coefficient=0.1,
    )
    assert found.tolist() == [pytest.approx([-0.1, 0.0, 0.2 + 5]), pytest.approx([-0.05 - 1, 0.0, 0.0])]


def test_whitened_advantages_have_mean_0_and_variance_1_over_the_real_tokens() -> None:
    import torch

    from ta_train.rl.ppo_loss import whiten

    _, values, mask = random_answers()
    found = whiten(torch.tensor(values), torch.tensor(mask)).numpy()
    real = found[mask == 1]
    assert (real.mean(), real.var()) == (pytest.approx(0, abs=1e-7), pytest.approx(1, rel=1e-4))
    assert not found[mask == 0].any()


def test_the_policy_loss_stops_rewarding_a_move_beyond_the_clip() -> None:
    import torch

    from ta_train.rl.ppo_loss import policy_loss

    new = torch.log(torch.tensor([[1.5, 1.1, 0.5, 1.5, 7.0]])).requires_grad_()
    gains = torch.tensor([[1.0, 1.0, -1.0, -1.0, 9.0]])
    mask = torch.tensor([[1, 1, 1, 1, 0]])
    found = policy_loss(new, torch.zeros(1, 5), gains, mask, clip=0.2)
    # Ratios 1.5, 1.1, 0.5, 1.5: the first and the third have moved far enough in their own direction.
    assert found.loss.item() == pytest.approx((-1.2 - 1.1 + 0.8 + 1.5) / 4, abs=1e-6)
    assert found.share.item() == pytest.approx(2 / 4)
    found.loss.backward()
    assert new.grad is not None
    assert [value != 0 for value in new.grad[0].tolist()] == [False, True, False, True, False]


def test_the_value_loss_counts_the_worse_of_the_free_and_the_clipped_value() -> None:
    import torch

    from ta_train.rl.ppo_loss import value_loss

    found = value_loss(
        torch.tensor([[2.0, 0.1, 9.0]]),
        torch.tensor([[0.0, 0.0, 0.0]]),
        torch.tensor([[2.0, 1.0, 0.0]]),
        torch.tensor([[1, 1, 0]]),
        clip=0.2,
    )
    assert found.loss.item() == pytest.approx(0.5 * (1.8**2 + 0.9**2) / 2)
    assert found.share.item() == pytest.approx(1 / 2)
