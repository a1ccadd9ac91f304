"""GAE and whitening against numbers worked by hand and against a slow loop."""
import pytest
import torch

from pharmgpt.train.advantages import explained_variance, gae, whiten


def slow_gae(rewards, values, gamma, lam):
    """One episode, straight from the definition: A_t = Σ_l (γλ)^l δ_{t+l}."""
    ends = values + [0.0]
    deltas = [r + gamma * ends[t + 1] - ends[t] for t, r in enumerate(rewards)]
    return [sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, len(deltas))) for t in range(len(deltas))]


def test_gae_of_two_steps_is_what_the_hand_says():
    # deltas: 0 + .9·2 − 1 = .8 and 3 + 0 − 2 = 1; A_1 = 1, A_0 = .8 + .9·.5·1 = 1.25; returns 2.25 and 3
    found = gae(torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 2.0]]), torch.ones(1, 2, dtype=torch.bool), 0.9, 0.5)
    assert torch.allclose(found.advantages, torch.tensor([[1.25, 1.0]]))
    assert torch.allclose(found.returns, torch.tensor([[2.25, 3.0]]))


def test_with_gamma_and_lambda_one_the_return_is_the_sum_of_rewards_to_come():
    rewards = torch.tensor([[1.0, 2.0, 4.0]])
    found = gae(rewards, torch.tensor([[0.3, -0.7, 5.0]]), torch.ones(1, 3, dtype=torch.bool), 1.0, 1.0)
    assert torch.allclose(found.returns, torch.tensor([[7.0, 6.0, 4.0]]))


def test_gae_equals_the_slow_loop_on_packed_episodes():
    generator = torch.Generator().manual_seed(3)
    rewards, values = torch.randn(4, 23, generator=generator), torch.randn(4, 23, generator=generator)
    is_action = torch.zeros(4, 23, dtype=torch.bool)
    episodes = [(0, 2, 7), (0, 9, 10), (0, 15, 23), (1, 0, 23), (2, 5, 6), (3, 1, 4), (3, 6, 20)]
    for row, start, stop in episodes:
        is_action[row, start:stop] = True
    found = gae(rewards, values, is_action, 0.97, 0.9)
    for row, start, stop in episodes:
        expected = slow_gae(rewards[row, start:stop].tolist(), values[row, start:stop].tolist(), 0.97, 0.9)
        assert torch.allclose(found.advantages[row, start:stop], torch.tensor(expected), atol=1e-5)
    assert (found.advantages[~is_action] == 0).all() and (found.returns[~is_action] == 0).all()


def test_gae_refuses_tensors_of_different_shapes():
    with pytest.raises(ValueError, match="three \\(B, T\\)"):
        gae(torch.zeros(1, 3), torch.zeros(1, 2), torch.ones(1, 3, dtype=torch.bool), 1.0, 1.0)


def test_whitening_counts_only_what_is_kept():
    # kept 1 and 3: mean 2, population sd 1
    keep = torch.tensor([[True, False, True]])
    assert torch.allclose(whiten(torch.tensor([[1.0, 100.0, 3.0]]), keep), torch.tensor([[-1.0, 0.0, 1.0]]), atol=1e-6)


def test_whitening_equal_values_gives_zeros_not_nan():
    assert (whiten(torch.full((2, 2), 5.0), torch.ones(2, 2, dtype=torch.bool)) == 0).all()


def test_explained_variance_of_perfect_constant_and_halved_errors():
    returns, keep = torch.tensor([0.0, 2.0, 4.0, 99.0]), torch.tensor([True, True, True, False])
    assert explained_variance(returns, returns, keep) == pytest.approx(1.0)
    assert explained_variance(torch.full((4,), 2.0), returns, keep) == pytest.approx(0.0)
    # values 1, 2, 3: errors −1, 0, 1 have variance 2/3, returns 8/3: 1 − 1/4
    assert explained_variance(torch.tensor([1.0, 2.0, 3.0, 0.0]), returns, keep) == pytest.approx(0.75)
    assert explained_variance(returns, torch.ones(4), keep) == 0.0
