"""Muon in stacks of matrices: the same optimiser as torch's."""
import copy

import pytest
import torch
from torch import nn

from pharmgpt.model.device import Device
from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.train.optimizer import OptimizerConfig, StackedMuon, make_optimizers, orthogonalised

SHAPES = ((8, 8), (16, 8), (8, 8), (8, 16), (16, 8))


def matrices(seed: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


@pytest.mark.parametrize("settings", ({}, {"weight_decay": 0.1}, {"momentum": 0.8}))
def test_stacked_muon_steps_as_torchs_muon_does(settings):
    ours, theirs = matrices(0), matrices(0)
    settings = {"lr": 0.05} | settings
    optimizers = StackedMuon(ours, device=Device("cpu", torch.bfloat16), **settings), torch.optim.Muon(theirs, **settings)
    for step in range(4):
        for each, gradient in zip((*ours, *theirs), matrices(step + 1) * 2, strict=True):
            each.grad = gradient.detach().clone()
        for optimizer in optimizers:
            optimizer.step()
    for a, b, start in zip(ours, theirs, matrices(0), strict=True):
        assert (a - b).norm() < 0.02 * (b - start).norm()  # both round to bf16, whose last place is .008, five times over


def test_stacked_muon_keeps_torchs_momentum_to_the_bit():
    ours, theirs = matrices(0), matrices(0)
    optimizers = StackedMuon(ours, lr=0.1), torch.optim.Muon(theirs, lr=0.1)
    for step in range(3):
        for each, gradient in zip((*ours, *theirs), matrices(step + 1) * 2, strict=True):
            each.grad = gradient.detach().clone()
        for optimizer in optimizers:
            optimizer.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(optimizers[0].state[a]["momentum_buffer"], optimizers[1].state[b]["momentum_buffer"])


def test_a_resumed_optimizer_goes_on_as_if_never_stopped():
    straight, resumed = matrices(0), matrices(0)
    first = StackedMuon(straight, lr=0.1)
    for each in straight:
        each.grad = torch.ones_like(each)
    first.step()
    for target, source in zip(resumed, straight, strict=True):
        target.data.copy_(source.data)
    second = StackedMuon(resumed, lr=0.1)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for each, gradient in zip((*straight, *resumed), matrices(1) * 2, strict=True):
        each.grad = gradient.detach().clone()
    first.step()
    second.step()
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))


def test_orthogonalised_matrices_have_singular_values_near_one():
    x = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(x, (3.4445, -4.7750, 2.0315), 5))
    assert values.min() > 0.5 and values.max() < 1.3


def test_the_recipes_momentum_is_muons():
    model = Transformer.initialise(ModelConfig(d_model=32, n_layers=1, d_ff=32), 0)
    optimizers = make_optimizers(model, OptimizerConfig(muon_momentum=0.8))
    assert [group["momentum"] for group in optimizers["muon"].param_groups] == [0.8]


def test_a_matrix_without_a_gradient_stays():
    kept, moved = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))
    moved.grad = torch.eye(4)
    StackedMuon([kept, moved], lr=0.1).step()
    assert torch.equal(kept, torch.ones(4, 4)) and not torch.equal(moved, torch.ones(4, 4))
