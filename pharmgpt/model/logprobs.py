"""Log-probabilities of given tokens, in fp32.

Convention: logits or hidden states at [b, t] are those that *predict* ids[b, t]; callers shift.
B rows, T tokens, D model width, V vocabulary
"""
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pharmgpt.model.transformer import Transformer


def token_logprobs(logits: Tensor, ids: Tensor) -> Tensor:
    """log P(ids) under logits: (B, T, V), (B, T) → (B, T) fp32."""
    assert logits.shape[:-1] == ids.shape, f"logits {tuple(logits.shape)} against ids {tuple(ids.shape)}"
    chosen = logits.gather(-1, ids.unsqueeze(-1)).squeeze(-1).float()
    return chosen - logits.float().logsumexp(-1)


def entropy(logits: Tensor) -> Tensor:
    """Nats of the next-token distribution: (B, T, V) → (B, T) fp32."""
    logprobs = logits.float().log_softmax(-1)
    return -(logprobs.exp() * logprobs).sum(-1)


def hidden_logprobs(model: Transformer, hidden: Tensor, ids: Tensor, chunk_tokens: int = 4096, temperature: float = 1.0) -> Tensor:
    """log P(ids) read from hidden states (B, T, D) in chunks, so that (B, T, V) never exists at once, backward included. → (B, T)"""
    flat, wanted = hidden.flatten(0, 1), ids.flatten()  # (BT, D), (BT,)
    chunks = [_chunk_logprobs(model, h, i, temperature) for h, i in zip(flat.split(chunk_tokens), wanted.split(chunk_tokens), strict=True)]
    return torch.cat(chunks).view_as(ids)


def _chunk_logprobs(model: Transformer, hidden: Tensor, ids: Tensor, temperature: float) -> Tensor:
    def compute(hidden: Tensor) -> Tensor:
        return token_logprobs(model.logits(hidden) / temperature, ids)
    needs_gradient = torch.is_grad_enabled() and hidden.requires_grad
    return checkpoint(compute, hidden, use_reentrant=False) if needs_gradient else compute(hidden)
