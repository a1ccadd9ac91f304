"""What each token's choice was worth: generalised advantage estimation, whitening, and how well the critic explains the returns.

Everything here is aligned at *state* positions: entry t of a row belongs to the token chosen after reading ids[..t], so values[t] was
estimated before the choice. Episodes may be packed several to a row; `is_action` is False between any two of them (an episode's last
token is read by nobody), which is all that keeps them apart.

Shapes: B rows, T positions.
"""
from typing import NamedTuple

import torch
from torch import Tensor


class Advantages(NamedTuple):
    advantages: Tensor  # (B, T) fp32, 0 where nothing was chosen
    returns: Tensor  # (B, T) fp32: advantages + values, the critic's targets


def gae(rewards: Tensor, values: Tensor, is_action: Tensor, gamma: float, lam: float) -> Advantages:
    """Generalised advantage estimation, Schulman et al. 2015 (arXiv:1506.02438), eq. 11 and 16.

    rewards, values: (B, T) floating; is_action: (B, T) bool, True where a token was chosen. The value after an episode's last
    choice is 0: answers that ran out of room are ended, and penalised, not continued.
    """
    if not rewards.shape == values.shape == is_action.shape or rewards.dim() != 2:
        raise ValueError(f"gae needs three (B, T) tensors, got {tuple(rewards.shape)}, {tuple(values.shape)}, {tuple(is_action.shape)}")
    keep = is_action.to(values.dtype)
    values, rewards = values * keep, rewards * keep
    advantages = torch.zeros_like(values)
    later = later_value = torch.zeros_like(values[:, 0])  # (B,)
    for t in range(values.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + gamma * later_value - values[:, t]
        later = (delta + gamma * lam * later) * keep[:, t]
        later_value = values[:, t]
        advantages[:, t] = later
    return Advantages(advantages, advantages + values)


def whiten(x: Tensor, keep: Tensor) -> Tensor:
    """x with mean 0 and standard deviation 1 over the entries where keep is True (population variance); 0 elsewhere."""
    if x.shape != keep.shape:
        raise ValueError(f"whiten needs x and keep of one shape, got {tuple(x.shape)} and {tuple(keep.shape)}")
    kept = x[keep]
    centred = (x - kept.mean()) / (kept.var(unbiased=False) + 1e-8).sqrt()
    return torch.where(keep, centred, torch.zeros_like(x))


def explained_variance(values: Tensor, returns: Tensor, keep: Tensor) -> float:
    """1 − Var(returns − values) / Var(returns) over kept entries: 1 perfect, 0 no better than a constant, below 0 worse.

    0 where the returns do not vary: there is nothing to explain.
    """
    variance = returns[keep].var(unbiased=False)
    if variance <= 1e-12:
        return 0.0
    return (1 - (returns - values)[keep].var(unbiased=False) / variance).item()
