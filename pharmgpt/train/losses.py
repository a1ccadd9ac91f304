"""The losses, as pure functions of tensors. B rows, T tokens, V vocabulary"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pharmgpt.model.device import autocast


def next_token_loss(logits: Tensor, targets: Tensor, is_target: Tensor, count: Tensor | None = None) -> Tensor:
    """L = −(1/N) Σ log P(w_t | w_<t) over counted tokens: nats per token.

    logits (B, T, V) fp32, targets (B, T) int64, is_target (B, T) float: 1 counts. `count` is N where the mean runs over more than this
    batch (accumulation, ranks); without it N is this batch's. No counted token gives 0.
    """
    assert logits.shape[:-1] == targets.shape == is_target.shape, f"{tuple(logits.shape)}, {tuple(targets.shape)}, {tuple(is_target.shape)}"
    nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")  # (BT,)
    count = is_target.sum() if count is None else count
    return (nats * is_target.flatten()).sum() / count.clamp(min=1)


def language_model_loss(model: nn.Module, ids: Tensor, targets: Tensor, segment_ids: Tensor, positions: Tensor, is_target: Tensor,
                        autocast_dtype: torch.dtype | None) -> Tensor:
    """The loss of one packed batch. Pretraining and SFT call this one function with one shape, so they share one compiled graph."""
    with autocast(ids.device.type, autocast_dtype):
        logits = model(ids, segment_ids, positions)  # (B, T, V)
    return next_token_loss(logits, targets, is_target)
