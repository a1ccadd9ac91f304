"""Every loss against numbers worked by hand."""
import math

import pytest
import torch

from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.train.batches import counted_places
from pharmgpt.train.losses import (bradley_terry_loss, clipped_surrogate_loss, clipped_value_loss, kl_estimates, language_model_loss,
                                   mean_over, next_token_loss)

ALL = torch.ones(1, 2, dtype=torch.bool)


def test_bradley_terry_is_ln_2_for_equal_scores_and_softplus_of_minus_the_margin():
    assert bradley_terry_loss(torch.tensor([1.0]), torch.tensor([1.0])).item() == pytest.approx(math.log(2))
    # margins 2 and −1: (ln(1 + e^−2) + ln(1 + e)) / 2 = (.126928 + 1.313262) / 2
    assert bradley_terry_loss(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0])).item() == pytest.approx(0.720095, abs=1e-6)


def test_bradley_terry_gradient_is_sigma_minus_one_and_descent_raises_the_margin():
    chosen, rejected = torch.tensor([0.5], requires_grad=True), torch.tensor([0.2], requires_grad=True)
    bradley_terry_loss(chosen, rejected).backward()
    expected = 1 / (1 + math.exp(-0.3)) - 1
    assert chosen.grad.item() == pytest.approx(expected) and rejected.grad.item() == pytest.approx(-expected)
    assert (chosen - 0.1 * chosen.grad).item() > 0.5


def test_bradley_terry_survives_a_margin_of_minus_a_thousand():
    assert bradley_terry_loss(torch.tensor([0.0]), torch.tensor([1000.0])).item() == pytest.approx(1000.0)


def test_bradley_terry_refuses_unequal_numbers_of_scores():
    with pytest.raises(ValueError, match="two \\(N,\\)"):
        bradley_terry_loss(torch.zeros(2), torch.zeros(3))


def test_before_any_update_the_surrogate_is_minus_the_mean_advantage():
    logprobs = torch.tensor([[-1.0, -2.0]])
    found = clipped_surrogate_loss(logprobs, logprobs, torch.tensor([[3.0, 1.0]]), ALL, 0.2)
    assert found.loss.item() == -2.0 and found.clip_fraction.item() == 0.0 and found.ratio_deviation.item() == 0.0


def test_the_surrogate_clips_gains_but_not_losses():
    old = torch.zeros(1, 2)
    new = torch.tensor([[math.log(1.5), math.log(1.5)]])
    # advantage +1: min(1.5, 1.2) = 1.2; advantage −1: min(−1.5, −1.2) = −1.5; mean of gains −.15
    found = clipped_surrogate_loss(new, old, torch.tensor([[1.0, -1.0]]), ALL, 0.2)
    assert found.loss.item() == pytest.approx(0.15) and found.clip_fraction.item() == 1.0


def test_a_clipped_gain_has_no_gradient():
    new = torch.tensor([[math.log(1.5), 0.0]], requires_grad=True)
    clipped_surrogate_loss(new, torch.zeros(1, 2), torch.tensor([[1.0, 1.0]]), ALL, 0.2).loss.backward()
    assert new.grad.tolist() == [[0.0, -0.5]]


def test_the_surrogate_ignores_what_is_no_action_even_if_infinite():
    new = torch.tensor([[0.0, float("-inf")]], requires_grad=True)
    found = clipped_surrogate_loss(new, torch.zeros(1, 2), torch.tensor([[2.0, 5.0]]), torch.tensor([[True, False]]), 0.2)
    found.loss.backward()
    assert found.loss.item() == -2.0 and new.grad.tolist() == [[-2.0, 0.0]]


def test_the_surrogate_refuses_tensors_of_different_shapes():
    with pytest.raises(ValueError, match="one \\(B, T\\) shape"):
        clipped_surrogate_loss(torch.zeros(1, 3), torch.zeros(1, 2), torch.zeros(1, 2), ALL, 0.2)


def test_the_value_loss_takes_the_worse_of_clipped_and_unclipped():
    # V = 1, V_old = 0, ε = .2, R = 2: max((1 − 2)², (.2 − 2)²) = 3.24; V = 0 = V_old, R = 1: 1; half the mean of both = 1.06
    found = clipped_value_loss(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2), torch.tensor([[2.0, 1.0]]), ALL, 0.2)
    assert found.item() == pytest.approx(1.06)


def test_the_value_loss_refuses_tensors_of_different_shapes():
    with pytest.raises(ValueError, match="one \\(B, T\\) shape"):
        clipped_value_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(2, 1), ALL, 0.2)


def test_kl_estimates_of_one_token():
    # policy .5, reference .25: log r = −ln 2; k1 = ln 2, k2 = ½ ln² 2, k3 = .5 − 1 + ln 2
    found = kl_estimates(torch.tensor([math.log(0.5)]), torch.tensor([math.log(0.25)]))
    assert found.k1.item() == pytest.approx(math.log(2))
    assert found.k2.item() == pytest.approx(0.5 * math.log(2) ** 2)
    assert found.k3.item() == pytest.approx(math.log(2) - 0.5)


def test_the_unbiased_kl_estimates_average_to_the_exact_kl():
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    exact = (p * (p / q).log()).sum().item()
    found = kl_estimates(p.log(), q.log())
    assert (p * found.k1).sum().item() == pytest.approx(exact, rel=1e-5)
    assert (p * found.k3).sum().item() == pytest.approx(exact, rel=1e-5)
    assert (found.k3 >= 0).all() and (found.k2 >= 0).all() and (found.k1 < 0).any()


def test_mean_over_counts_only_kept_entries_and_nothing_is_zero():
    assert mean_over(torch.tensor([1.0, 5.0, 9.0]), torch.tensor([True, False, True])).item() == 5.0
    assert mean_over(torch.tensor([1.0]), torch.tensor([False])).item() == 0.0


def test_the_head_reads_counted_tokens_only_and_loss_and_gradients_are_those_of_all_logits():
    model = Transformer.initialise(ModelConfig(vocab_size=20, d_model=16, n_layers=1, n_heads=2, n_kv_heads=2, head_dim=8, d_ff=16), 0)
    generator = torch.Generator().manual_seed(0)
    model.lm_head.weight.data.normal_(generator=generator)
    ids, targets = (torch.randint(0, 20, (2, 6), generator=generator) for _ in range(2))
    is_target = torch.tensor([[0.0, 1, 1, 0, 0, 1], [0, 0, 0, 0, 1, 1]])
    segments, positions = torch.ones_like(ids), torch.arange(6).expand_as(ids)

    def of(loss):
        model.zero_grad()
        loss.backward()
        return [loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())]

    ours = of(language_model_loss(model, ids, targets, segments, positions, *counted_places(is_target), None))
    whole = of(next_token_loss(model(ids, segments, positions), targets, is_target))
    torch.testing.assert_close(ours, whole)
