"""Batched generation with a static key/value cache in the compute dtype.

Prompts of unequal length are padded on the left, so all rows write the same slot at each step; finished rows are compacted away; prompts
shared by several samples are computed once. A row's randomness is one uniform number a token, drawn up front in prompt order, so what it
says does not depend on batch size or on its neighbours' lengths. Left out: top-k and top-p, for which PPO's probabilities would be wrong.

B rows, P prompt slots, N new tokens, S = P + N, V vocabulary
"""
import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pharmgpt.model.transformer import LayerCache, Transformer, packed_mask

COMPACT_BELOW = 0.8  # the share of rows alive at which copying the cache is cheaper than carrying the dead


class Completion(NamedTuple):
    ids: list[int]  # new tokens; the end token is the last one where finished
    finished: bool


class Decoder:
    """A batch of sequences being continued: logits of the next token, one slot at a time."""

    def __init__(self, model: Transformer, prompts: Sequence[Sequence[int]], copies: int, max_new_tokens: int):
        self.model, self.copies = model, copies
        self.device = model.model.embed_tokens.weight.device
        width = max(len(prompt) for prompt in prompts)
        self.start = torch.tensor([width - len(prompt) for prompt in prompts], device=self.device)  # (B,) first real slot
        self.slots, self.used = width + max_new_tokens, 0
        self.caches: list[LayerCache] = []
        self.prompt_ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=self.device)  # (B, P)

    def prefill(self) -> Tensor:
        """Logits after each prompt, each prompt's row repeated `copies` times: (B, V) fp32."""
        ids = self.prompt_ids
        slots = torch.arange(ids.shape[1], device=self.device)
        is_real = slots >= self.start[:, None]  # (B, P)
        self.caches = [self._empty_cache(len(ids)) for _ in self.model.model.layers]
        positions = (slots - self.start[:, None]).clamp(min=0)
        hidden = self.model.model(ids, positions, packed_mask(ids, is_real.long()), self.caches)  # (B, P, D)
        self._advance(ids.shape[1])
        if self.copies > 1:
            self.select(torch.arange(len(ids), device=self.device).repeat_interleave(self.copies))
        return self.model.logits(hidden[:, -1]).repeat_interleave(self.copies, 0)

    def step(self, ids: Tensor) -> Tensor:
        """Append one token a row, (B,) → logits of the next, (B, V) fp32."""
        slots = torch.arange(self.used + 1, device=self.device)
        may_attend = (slots >= self.start[:, None])[:, None, None]  # (B, 1, 1, S)
        hidden = self.model.model(ids[:, None], (self.used - self.start)[:, None], may_attend, self.caches)
        self._advance(1)
        return self.model.logits(hidden[:, 0])

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order."""
        self.start = self.start[rows]
        for cache in self.caches:
            cache.keys, cache.values = cache.keys[rows], cache.values[rows]

    def _advance(self, tokens: int) -> None:
        self.used += tokens
        for cache in self.caches:
            cache.start = self.used

    def _empty_cache(self, rows: int) -> LayerCache:
        config, weight = self.model.config, self.model.model.embed_tokens.weight
        shape = (rows, config.n_kv_heads, self.slots, config.head_dim)
        return LayerCache(weight.new_empty(shape), weight.new_empty(shape))


def generate(model: Transformer, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, end_id: int, temperature: float = 0.0,
             generator: torch.Generator | None = None, batch_size: int = 64, samples_per_prompt: int = 1,
             dtype: torch.dtype | None = None) -> list[Completion]:
    """Continue every prompt `samples_per_prompt` times; the samples of a prompt stand together, in prompt order.

    temperature 0 is greedy; above it `generator` is needed. `dtype` is the compute dtype (device.autocast_dtype); None keeps the weights'.
    """
    check_prompts(model, prompts, max_new_tokens)
    uniforms = _uniforms(len(prompts) * samples_per_prompt, max_new_tokens, temperature, generator)  # (sequences, N)
    completions: list[Completion | None] = [None] * (len(prompts) * samples_per_prompt)
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))  # little padding
    chunk = max(1, batch_size // samples_per_prompt)
    with torch.inference_mode():
        working = compute_copy(model, dtype)
        for begin in range(0, len(order), chunk):
            chosen = order[begin:begin + chunk]
            decoder = Decoder(working, [prompts[index] for index in chosen], samples_per_prompt, max_new_tokens)
            sequences = [index * samples_per_prompt + copy_ for index in chosen for copy_ in range(samples_per_prompt)]
            noise = None if uniforms is None else uniforms[sequences].to(decoder.device)
            for sequence, completion in zip(sequences, _complete(decoder, noise, max_new_tokens, end_id, temperature), strict=True):
                completions[sequence] = completion
    return completions


def stream(model: Transformer, prompt: Sequence[int], *, max_new_tokens: int, end_id: int, temperature: float = 0.0,
           generator: torch.Generator | None = None, dtype: torch.dtype | None = None) -> Iterator[int]:
    """The tokens of one completion as they come, without the end token: the same ones that `generate` gives."""
    check_prompts(model, [prompt], max_new_tokens)
    uniforms = _uniforms(1, max_new_tokens, temperature, generator)
    working = compute_copy(model, dtype)
    decoder = Decoder(working, [prompt], 1, max_new_tokens)
    for step in range(max_new_tokens):
        with torch.inference_mode():
            logits = decoder.prefill() if step == 0 else decoder.step(ids)
            ids = choose(logits, temperature, None if uniforms is None else uniforms[:, step].to(logits.device))
        if ids.item() == end_id:
            return
        yield ids.item()


def choose(logits: Tensor, temperature: float, uniforms: Tensor | None) -> Tensor:
    """(B, V) fp32 → (B,): the likeliest token at temperature 0, else the one whose cumulative probability spans `uniforms` (B,)."""
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = (logits / temperature).softmax(-1).cumsum(-1)  # (B, V)
    return torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:], right=True).squeeze(1).clamp(max=logits.shape[1] - 1)


def compute_copy(model: Transformer, dtype: torch.dtype | None) -> Transformer:
    """The model itself, or a copy with weights in `dtype`. RoPE's tables stay fp32: bf16 cannot tell late positions apart."""
    if dtype is None or model.model.embed_tokens.weight.dtype == dtype:
        return model
    copied = copy.deepcopy(model)
    for parameter in copied.parameters():
        parameter.data = parameter.data.to(dtype)
    return copied


def check_prompts(model: Transformer, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
    for index, prompt in enumerate(prompts):
        if not prompt:
            raise ValueError(f"prompt {index} is empty; give at least one token.")
        if len(prompt) + max_new_tokens > model.config.max_positions:
            raise ValueError(f"prompt {index} has {len(prompt)} tokens and may get {max_new_tokens} more, but the model has "
                             f"{model.config.max_positions} positions; shorten the prompt or max_new_tokens.")


def _complete(decoder: Decoder, uniforms: Tensor | None, max_new_tokens: int, end_id: int, temperature: float) -> list[Completion]:
    logits = decoder.prefill()
    said: list[list[int]] = [[] for _ in range(len(logits))]
    alive = torch.arange(len(logits), device=logits.device)  # the decoder's rows → sequences; ended ones stay until compaction
    for step in range(max_new_tokens):
        ids = choose(logits, temperature, None if uniforms is None else uniforms[alive, step])
        for sequence, token in zip(alive.tolist(), ids.tolist(), strict=True):
            if not said[sequence] or said[sequence][-1] != end_id:
                said[sequence].append(token)
        running = torch.tensor([said[sequence][-1] != end_id for sequence in alive.tolist()], device=logits.device)
        count = int(running.sum())
        if count == 0 or step + 1 == max_new_tokens:
            break
        if count <= COMPACT_BELOW * len(alive):
            rows = running.nonzero().squeeze(1)
            alive, ids = alive[rows], ids[rows]
            decoder.select(rows)
        logits = decoder.step(ids)
    return [Completion(ids, ids[-1] == end_id) for ids in said]


def _uniforms(sequences: int, steps: int, temperature: float, generator: torch.Generator | None) -> Tensor | None:
    if temperature == 0:
        return None
    if generator is None:
        raise ValueError("sampling needs a generator: pass torch.Generator().manual_seed(…), or temperature 0 for greedy.")
    return torch.rand(sequences, steps, generator=generator, device=generator.device)
