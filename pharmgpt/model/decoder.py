"""The next token's logits for a batch of sequences, with a static key/value cache in the compute dtype.

`Decoder` takes its steps one at a time, anywhere. `GraphDecoder` lets a GPU say a whole batch: a step of a small model is a hundred small
kernels, which a captured graph launches at once.

B rows, P prompt slots, N new tokens, S slots, V vocabulary
"""
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pharmgpt.model.transformer import LayerCache, Transformer, packed_mask

LOOK_EVERY = 16  # steps after which it is asked whether anybody still speaks: the question waits for the device
MORE_SLOTS = 32  # that a cache grows by: every step reads all it has
ALIGNED = 8  # slots come in multiples, or the fused attention kernels refuse the mask


class Decoder:
    """A batch of sequences being continued: logits of the next token, one slot at a time."""

    def __init__(self, model: Transformer, prompts: Sequence[Sequence[int]], copies: int, max_new_tokens: int,
                 width: int | None = None):
        self.model, self.copies = model, copies
        self.device = model.model.embed_tokens.weight.device
        width = width or max(len(prompt) for prompt in prompts)
        self.start = torch.tensor([width - len(prompt) for prompt in prompts], device=self.device)  # (B,) first real slot
        self.slots, self.used = width + min(max_new_tokens, MORE_SLOTS), 0
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
        if self.used == self.slots:
            self._grow()
        slots = torch.arange(self.slots, device=self.device)
        may_attend = ((slots >= self.start[:, None]) & (slots <= self.used))[:, None, None]  # (B, 1, 1, S)
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

    def _grow(self) -> None:
        self.slots += MORE_SLOTS
        for cache in self.caches:
            cache.keys, cache.values = (F.pad(each, (0, 0, 0, MORE_SLOTS)) for each in (cache.keys, cache.values))

    def _empty_cache(self, rows: int) -> LayerCache:
        config, weight = self.model.config, self.model.model.embed_tokens.weight
        shape = (rows, config.n_kv_heads, self.slots, config.head_dim)
        return LayerCache(weight.new_zeros(shape), weight.new_zeros(shape))


class StaticCache(LayerCache):
    """The whole cache at every step, so that a step has one shape; where to write stands on the device."""

    def __init__(self, keys: Tensor, values: Tensor, slot: Tensor):
        super().__init__(keys, values)
        self.slot = slot  # (1,) int64

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return self.keys.index_copy_(2, self.slot, k), self.values.index_copy_(2, self.slot, v)


class GraphDecoder:
    """Batches of up to `prompts` prompts of up to `width` tokens, each continued `copies` times. Smaller ones are filled up to that shape.

    Nothing is compacted: rows that have ended cost a GPU less than another graph. On a CPU it takes the same steps, uncaptured.
    """

    def __init__(self, model: Transformer, prompts: int, copies: int, width: int, max_new_tokens: int, temperature: float):
        weight, rows = model.model.embed_tokens.weight, prompts * copies
        self.model, self.prompts, self.copies, self.temperature = model, prompts, copies, temperature
        self.width, slots = _aligned(width), _aligned(_aligned(width) + max_new_tokens)
        self.ids, self.start = torch.zeros(2, rows, dtype=torch.int64, device=weight.device)  # (B,) the last token; the first real slot
        self.slot = torch.zeros(1, dtype=torch.int64, device=weight.device)  # where the last token stands
        self.slots = torch.arange(slots, device=weight.device)
        self.said = torch.zeros(rows, max_new_tokens, dtype=torch.int64, device=weight.device)  # (B, N)
        self.uniforms = torch.zeros(rows, max_new_tokens, device=weight.device) if temperature else None  # (B, N)
        shape = (rows, model.config.n_kv_heads, slots, model.config.head_dim)
        self.caches = [StaticCache(weight.new_zeros(shape), weight.new_zeros(shape), self.slot) for _ in model.model.layers]
        self.replay = self._captured() if weight.is_cuda else self._step

    def complete(self, prompts: Sequence[Sequence[int]], uniforms: Tensor | None, end_id: int) -> list[list[int]]:
        """N token ids for each sequence, whatever follows an end token included."""
        count = len(prompts) * self.copies
        if uniforms is not None:
            self.uniforms[:count] = uniforms.to(self.uniforms.device)
        self.said.fill_(end_id)
        self._say(self._prefill([*prompts, *[[0]] * (self.prompts - len(prompts))]))
        for step in range(1, self.said.shape[1]):
            if step % LOOK_EVERY == 0 and (self.said[:count, :step] == end_id).any(1).all():
                break
            self.replay()
        return self.said[:count].tolist()

    def _prefill(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        decoder = Decoder(self.model, prompts, 1, 0, self.width)
        logits = decoder.prefill()
        for mine, theirs in zip(self.caches, decoder.caches, strict=True):
            mine.keys[:, :, :self.width] = theirs.keys.repeat_interleave(self.copies, 0)
            mine.values[:, :, :self.width] = theirs.values.repeat_interleave(self.copies, 0)
        self.start.copy_(decoder.start.repeat_interleave(self.copies))
        self.slot.fill_(self.width - 1)
        return logits.repeat_interleave(self.copies, 0)

    def _step(self) -> None:
        positions = (self.slot - self.start)[:, None]
        may_attend = (self.slots >= self.start[:, None]) & (self.slots <= self.slot)  # (B, S)
        hidden = self.model.model(self.ids[:, None], positions, may_attend[:, None, None], self.caches)
        self._say(self.model.logits(hidden[:, 0]))

    def _say(self, logits: Tensor) -> None:
        """Choose every row's next token, which then is the last."""
        said = self.slot - (self.width - 1)  # (1,) how many were said before
        self.ids.copy_(choose(logits, self.temperature, None if self.uniforms is None else self.uniforms[:, said].squeeze(1)))
        self.said.index_copy_(1, said, self.ids[:, None])
        self.slot += 1

    def _captured(self) -> Callable[[], None]:
        """Take a step on a stream of its own, which loads what kernels need, then record one: torch.cuda.graphs' own recipe."""
        self.slot.fill_(self.width - 1)
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            self._step()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph.replay


def _aligned(slots: int) -> int:
    return -(-slots // ALIGNED) * ALIGNED


def choose(logits: Tensor, temperature: float, uniforms: Tensor | None) -> Tensor:
    """(B, V) fp32 → (B,): the likeliest token at temperature 0, else the one whose cumulative probability spans `uniforms` (B,)."""
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = (logits / temperature).softmax(-1).cumsum(-1)  # (B, V)
    return torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:], right=True).squeeze(1).clamp(max=logits.shape[1] - 1)
