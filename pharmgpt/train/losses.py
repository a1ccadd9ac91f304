"""The losses, as pure functions of tensors. B rows, T tokens, V vocabulary, N pairs"""
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pharmgpt.model.device import autocast


def next_token_loss(logits: Tensor, targets: Tensor, is_target: Tensor, count: Tensor | None = None) -> Tensor:
    """L = −(1/N) Σ log P(w_t | w_<t) over counted tokens: nats per token.

    logits (…, V) fp32, targets (…) int64, is_target (…) float: 1 counts. `count` is N where the mean runs over more than this
    batch (accumulation, ranks); without it N is this batch's. No counted token gives 0.
    """
    assert logits.shape[:-1] == targets.shape == is_target.shape, f"{tuple(logits.shape)}, {tuple(targets.shape)}, {tuple(is_target.shape)}"
    nats = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")  # (BT,)
    count = is_target.sum() if count is None else count
    return (nats * is_target.flatten()).sum() / count.clamp(min=1)


def language_model_loss(model: nn.Module, ids: Tensor, targets: Tensor, segment_ids: Tensor, positions: Tensor, places: Tensor,
                        counts: Tensor, autocast_dtype: torch.dtype | None) -> Tensor:
    """The loss of one packed batch. Pretraining and SFT call this one function with one shape, so they share compiled blocks.

    Only counted tokens reach the head (`places` and `counts` are those of batches.counted_places): in SFT most are the user's, and the
    head costs a sixth of a step.
    """
    with autocast(ids.device.type, autocast_dtype):
        logits = model.logits(model.hidden(ids, segment_ids, positions).flatten(0, 1)[places])  # (N, V)
    return next_token_loss(logits, targets.flatten()[places], counts)


def bradley_terry_loss(r_chosen: Tensor, r_rejected: Tensor) -> Tensor:
    """−log σ(r_chosen − r_rejected), mean over pairs: Ouyang et al. 2022 (arXiv:2203.02155), eq. 1 for K = 2.

    Two (N,) floating tensors → scalar fp32. Its gradient is (σ(m) − 1)(∇r_chosen − ∇r_rejected): σ(m) − 1 is negative, so DESCENT
    (w −= lr · gradient) pushes the margin m up. `w += lr * (p − 1) * …` climbs the loss.
    """
    if r_chosen.shape != r_rejected.shape or r_chosen.dim() != 1:
        raise ValueError(f"bradley_terry_loss needs two (N,) tensors, got {tuple(r_chosen.shape)} and {tuple(r_rejected.shape)}")
    return -F.logsigmoid(r_chosen.float() - r_rejected.float()).mean()


class SurrogateLoss(NamedTuple):
    loss: Tensor  # scalar, mean over action tokens
    clip_fraction: Tensor  # scalar: share of action tokens whose ratio left [1 − ε, 1 + ε]
    ratio_deviation: Tensor  # scalar: max |ratio − 1| over action tokens


def clipped_surrogate_loss(logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, is_action: Tensor, clip: float) -> SurrogateLoss:
    """−L^CLIP, mean over action tokens: Schulman et al. 2017 (arXiv:1707.06347), eq. 7, negated to be descended.

    logprobs, old_logprobs, advantages: (B, T) fp32; is_action: (B, T) bool. The ratio elsewhere is taken as 1.
    """
    _same_shape("clipped_surrogate_loss", logprobs, old_logprobs, advantages, is_action)
    ratio = torch.where(is_action, logprobs - old_logprobs, 0.0).exp()  # (B, T)
    clipped = ratio.clamp(1 - clip, 1 + clip)
    gain = torch.minimum(ratio * advantages, clipped * advantages)
    away = (ratio - 1).abs().detach()
    return SurrogateLoss(-mean_over(gain, is_action), mean_over((away > clip).float(), is_action), away.max())


def clipped_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, is_action: Tensor, clip: float) -> Tensor:
    """½ max((V − R)², (clip(V, V_old ± ε) − R)²), mean over action tokens: as in OpenAI's PPO (baselines ppo2) and Ziegler et al. 2019.

    Four (B, T) tensors, is_action bool → scalar. The ½ is the convention of both; the 2017 paper's eq. 9 has none.
    """
    _same_shape("clipped_value_loss", values, old_values, returns, is_action)
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * mean_over(torch.maximum((values - returns).square(), (near - returns).square()), is_action)


class KLEstimates(NamedTuple):
    k1: Tensor
    k2: Tensor
    k3: Tensor


def kl_estimates(logprobs: Tensor, reference_logprobs: Tensor) -> KLEstimates:
    """Per-token estimates of KL(policy ‖ reference) from the sampled tokens alone: Schulman 2020, joschu.net/blog/kl-approx.html.

    With log r = log reference − log policy: k1 = −log r (unbiased, may be negative), k2 = ½ log² r (biased, ≥ 0),
    k3 = r − 1 − log r (unbiased and ≥ 0). Shapes as given; nats.
    """
    log_r = reference_logprobs - logprobs
    return KLEstimates(-log_r, 0.5 * log_r.square(), torch.expm1(log_r) - log_r)


def mean_over(x: Tensor, keep: Tensor) -> Tensor:
    """Mean of x over the entries where keep is True; 0 where there are none."""
    return torch.where(keep, x, 0.0).sum() / keep.sum().clamp(min=1)


def _same_shape(name: str, *tensors: Tensor) -> None:
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        raise ValueError(f"{name} needs tensors of one (B, T) shape, got {sorted(shapes)}")
