"""The Qwen3 shape: RMSNorm, RoPE, QK-norm, SwiGLU, grouped-query attention, tied or untied head.

Weights are named as in transformers' Qwen3ForCausalLM, so an export renames nothing. Left out: biases, dropout, sliding windows.
Output projections start at zero (each block begins as the identity) and so does an untied head (the first loss is ln V).
Attention is written as matrix products on CPU, where the fused kernel is slow backward in bf16, and is the fused kernel elsewhere.

B rows, T tokens, S tokens that can be attended to, D model width, H query heads, K key/value heads, G = H/K, E head size, V vocabulary
"""
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn


class ModelConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    vocab_size: PositiveInt = 2048
    d_model: PositiveInt = 256
    n_layers: PositiveInt = 4
    n_heads: PositiveInt = 2
    n_kv_heads: PositiveInt = 2
    head_dim: PositiveInt = 128
    d_ff: PositiveInt = 704
    rope_theta: PositiveFloat = 10_000.0
    rms_norm_eps: PositiveFloat = 1e-6
    max_positions: PositiveInt = 2048
    tied_embeddings: bool = False

    @model_validator(mode="after")
    def _shapes_fit(self) -> "ModelConfig":
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads ({self.n_heads}) must be a multiple of n_kv_heads ({self.n_kv_heads})")
        if self.head_dim % 2:
            raise ValueError(f"head_dim ({self.head_dim}) must be even: RoPE turns pairs")
        return self


class Rope(NamedTuple):
    cos: Tensor  # (B, T, 1, E)
    sin: Tensor  # (B, T, 1, E)


class LayerCache:
    """Keys and values of one layer, written in place at `[start, start + T)`. A prompt attends to itself; what comes after it is given all
    slots, used or not, because bf16 products on a CPU copy a part of a tensor before they read it (a step of 64 rows: 6.5 → 5.5 ms)."""

    def __init__(self, keys: Tensor, values: Tensor):
        self.keys, self.values = keys, values  # (B, K, S, E) each
        self.start = 0

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        end = self.start + k.shape[2]
        self.keys[:, :, self.start:end] = k
        self.values[:, :, self.start:end] = v
        return (self.keys, self.values) if self.start else (self.keys[:, :, :end], self.values[:, :, :end])


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        h = x.float()
        h = h * torch.rsqrt(h.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * h.to(x.dtype)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = config.n_heads, config.n_kv_heads, config.head_dim
        self.q_proj = nn.Linear(config.d_model, config.n_heads * config.head_dim, bias=False)
        self.k_proj = nn.Linear(config.d_model, config.n_kv_heads * config.head_dim, bias=False)
        self.v_proj = nn.Linear(config.d_model, config.n_kv_heads * config.head_dim, bias=False)
        self.o_proj = nn.Linear(config.n_heads * config.head_dim, config.d_model, bias=False)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps)

    def forward(self, x: Tensor, rope: Rope, bias: Tensor, cache: LayerCache | None = None) -> Tensor:
        B, T, _ = x.shape
        # Turned BEFORE heads move in front of tokens: the other way round, torch 2.13's compiled bf16 backward gives NaN for k on CPU.
        q = rotate(self.q_norm(self.q_proj(x).view(B, T, self.n_heads, self.head_dim)), rope)  # (B, T, H, E)
        k = rotate(self.k_norm(self.k_proj(x).view(B, T, self.n_kv_heads, self.head_dim)), rope)  # (B, T, K, E)
        v = self.v_proj(x).view(B, T, self.n_kv_heads, self.head_dim).transpose(1, 2)  # (B, K, T, E)
        q, k = q.to(v.dtype).transpose(1, 2), k.to(v.dtype).transpose(1, 2)  # (B, H, T, E), (B, K, T, E)
        if cache is not None:
            k, v = cache.extend(k, v)
        y = attend(q, k, v, bias)  # (B, H, T, E)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, -1))


class MLP(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.d_model, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rope: Rope, bias: Tensor, cache: LayerCache | None = None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rope, bias, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


def run_block(block: Block, x: Tensor, rope: Rope, bias: Tensor, cache: LayerCache | None = None) -> Tensor:
    return block(x, rope, bias, cache)


def run_trunk(trunk: "Trunk", ids: Tensor, positions: Tensor, may_attend: Tensor, caches: list[LayerCache] | None = None) -> Tensor:
    x = trunk.embed_tokens(ids)  # (B, T, D)
    rope = Rope(trunk.rope_cos[positions].unsqueeze(2), trunk.rope_sin[positions].unsqueeze(2))
    bias = torch.zeros(may_attend.shape, device=ids.device).masked_fill(~may_attend, float("-inf"))
    for index, layer in enumerate(trunk.layers):
        x = trunk.run_block(layer, x, rope, bias, None if caches is None else caches[index])
    return trunk.norm(x)  # (B, T, D)


class Trunk(nn.Module):
    """Embedding, blocks, last norm: `model.` of the weight names. `run_block` or `run_trunk` is what a device compiles."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.rms_norm_eps)
        cos, sin = rope_tables(config.max_positions, config.head_dim, config.rope_theta)
        self.run_block, self.run_trunk = run_block, run_trunk
        self.register_buffer("rope_cos", cos, persistent=False)  # (positions, E)
        self.register_buffer("rope_sin", sin, persistent=False)

    def forward(self, ids: Tensor, positions: Tensor, may_attend: Tensor, caches: list[LayerCache] | None = None) -> Tensor:
        return self.run_trunk(self, ids, positions, may_attend, caches)


class Transformer(nn.Module):
    """A causal language model. `Transformer.initialise(config, seed)` starts one; load_model reads one."""

    kind = "transformer"

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.lm_head = None if config.tied_embeddings else nn.Linear(config.d_model, config.vocab_size, bias=False)

    @classmethod
    def initialise(cls, config: ModelConfig, seed: int) -> "Transformer":
        model = cls(config)
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in model.named_parameters():
            _initialise(name, parameter.data, generator)
        return model

    def hidden(self, ids: Tensor, segment_ids: Tensor | None = None, positions: Tensor | None = None) -> Tensor:
        """What the head reads. ids, segment_ids, positions (B, T) int64; returns (B, T, D).

        A token attends to itself and to earlier tokens of its own segment. Without `segment_ids` a row is one segment; without
        `positions` they count from 0. Padding is a segment of its own (0): its outputs mean nothing and reach nobody.
        """
        T = ids.shape[1]
        if T > self.config.max_positions:
            raise ValueError(f"{T} tokens in a row, but the model has {self.config.max_positions} positions; shorten the text.")
        if positions is None:
            positions = torch.arange(T, device=ids.device).expand_as(ids)
        return self.model(ids, positions, packed_mask(ids, segment_ids))

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, D) → (…, V) fp32. The product runs in the compute dtype, all that follows in fp32."""
        weight = self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight
        return F.linear(hidden, weight).float()

    def forward(self, ids: Tensor, segment_ids: Tensor | None = None, positions: Tensor | None = None) -> Tensor:
        return self.logits(self.hidden(ids, segment_ids, positions))  # (B, T, V) fp32


def packed_mask(ids: Tensor, segment_ids: Tensor | None) -> Tensor:
    """True where query t may attend key s: s ≤ t and the same segment. (B or 1, 1, T, T)"""
    T = ids.shape[1]
    order = torch.arange(T, device=ids.device)
    causal = order[:, None] >= order[None, :]  # (T, T)
    if segment_ids is None:
        return causal[None, None]
    return (causal & (segment_ids[:, :, None] == segment_ids[:, None, :])).unsqueeze(1)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """softmax(q kᵀ / √E + bias) v. q (B, H, T, E), k and v (B, K, S, E), bias (B or 1, 1, T, S) fp32, 0 or −∞ → (B, H, T, E)."""
    B, H, T, E = q.shape
    K, G = k.shape[1], H // k.shape[1]
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), enable_gqa=G > 1)
    scores = Scores.apply(q.reshape(B, K, G * T, E), k).float() * (1 / math.sqrt(E))  # (B, K, GT, S)
    scores = scores + (bias.repeat(1, 1, G, 1) if G > 1 else bias)
    return (scores.softmax(-1).to(v.dtype) @ v).view(B, H, T, E)


class Scores(torch.autograd.Function):
    """q kᵀ, with k's gradient made in k's own layout. Autograd's comes transposed, and what torch 2.13 compiles from that for bf16 on CPU
    gives NaN for k from rows of 256 tokens on, whatever the values."""

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor) -> Tensor:
        ctx.save_for_backward(q, k)
        return q @ k.transpose(-1, -2)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        q, k = ctx.saved_tensors
        return grad @ k, grad.transpose(-1, -2) @ q


def rope_tables(positions: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and sin of position × frequency, halves repeated: Su et al. 2021 in the rotate-half order of transformers. (positions, E)"""
    frequencies = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)  # (E/2,)
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rope: Rope) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return x * rope.cos + torch.cat((-right, left), dim=-1) * rope.sin


def _initialise(name: str, weight: Tensor, generator: torch.Generator) -> None:
    if weight.ndim == 1:
        weight.fill_(1.0)
    elif name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):
        weight.zero_()
    elif name.endswith("embed_tokens.weight"):
        weight.normal_(0.0, 0.02, generator=generator)
    else:
        weight.normal_(0.0, 1 / math.sqrt(weight.shape[1]), generator=generator)
