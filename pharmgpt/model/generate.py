"""Batched generation with a static key/value cache in the compute dtype.

Prompts of unequal length are padded on the left, so all rows write the same slot at each step; finished rows are compacted away (a GPU
carries them along in a captured graph); prompts shared by several samples are computed once. On a CPU each core says
batches of its own. A row's randomness is one uniform number a token, drawn up front in prompt order, so what it says does not depend on
batch size or on its neighbours' lengths. Left out: top-k and top-p, for which PPO's probabilities would be wrong.

B rows, P prompt slots, N new tokens, S = P + N, V vocabulary
"""
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pharmgpt.model.cores import side_by_side
from pharmgpt.model.decoder import Decoder, GraphDecoder, choose
from pharmgpt.model.device import inference
from pharmgpt.model.transformer import Transformer

MOST = {"cpu": 128, "cuda": 512}  # sequences a batch: 192 gain a core little and 256 cost; a graph of 512 takes 1.3 to 1.6 times one of 64
FEWEST = 8  # with fewer, two cores were no faster than one
COMPACT_BELOW = 0.8  # the share of rows alive at which copying the cache is cheaper than carrying the dead


class Completion(NamedTuple):
    ids: list[int]  # new tokens; the end token is the last one where finished
    finished: bool


def generate(model: Transformer, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, end_id: int, temperature: float = 0.0,
             generator: torch.Generator | None = None, batch_size: int | None = None, samples_per_prompt: int = 1,
             dtype: torch.dtype | None = None, only: slice = slice(None)) -> list[Completion]:
    """Continue every prompt `samples_per_prompt` times; the samples of a prompt stand together, in prompt order.

    temperature 0 is greedy; above it `generator` is needed. `dtype` is the compute dtype (device.autocast_dtype); None keeps the weights'.
    What a sequence says does not depend on `batch_size`; None is what suits the device. `only` those prompts are completed, and say what
    they would among all.
    """
    check_prompts(model, prompts, max_new_tokens)
    uniforms = _uniforms(len(prompts) * samples_per_prompt, max_new_tokens, temperature, generator)  # (sequences, N)
    if uniforms is not None:
        uniforms = uniforms.view(len(prompts), samples_per_prompt, max_new_tokens)[only].flatten(0, 1)
    prompts = prompts[only]
    completions: list[Completion | None] = [None] * (len(prompts) * samples_per_prompt)
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))  # little padding
    on_cpu = model.model.embed_tokens.weight.device.type == "cpu"
    cores = torch.get_num_threads() if on_cpu else 1
    batch_size = batch_size or _batch_size(len(completions), cores, on_cpu)
    chunk = max(1, batch_size // samples_per_prompt)
    with inference():
        working = compute_copy(model, dtype)
        longest = max(map(len, prompts), default=1)
        complete = _completer(working, min(chunk, len(prompts)), samples_per_prompt, longest, max_new_tokens, end_id, temperature)

        def say(chosen: Sequence[int]) -> Iterator[tuple[int, Completion]]:
            sequences = [index * samples_per_prompt + copy_ for index in chosen for copy_ in range(samples_per_prompt)]
            with torch.inference_mode():  # a thread has its own
                found = complete([prompts[index] for index in chosen], None if uniforms is None else uniforms[sequences])
            return zip(sequences, found, strict=True)

        for said in side_by_side(say, [order[begin:begin + chunk] for begin in range(0, len(order), chunk)], cores):
            for sequence, completion in said:
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
        with inference():
            logits = decoder.prefill() if step == 0 else decoder.step(ids)
            ids = choose(logits, temperature, None if uniforms is None else uniforms[:, step].to(logits.device))
        if ids.item() == end_id:
            return
        yield ids.item()


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


def _completer(model: Transformer, chunk: int, copies: int, longest: int, max_new_tokens: int, end_id: int,
               temperature: float) -> Callable[[Sequence[Sequence[int]], Tensor | None], list[Completion]]:
    """What completes a chunk of prompts: a graph captured once on a GPU, elsewhere one step at a time."""
    if model.model.embed_tokens.weight.is_cuda and chunk:
        graph = GraphDecoder(model, chunk, copies, longest, max_new_tokens, temperature)
        return lambda prompts, uniforms: [_until_end(ids, end_id) for ids in graph.complete(prompts, uniforms, end_id)]
    return lambda prompts, uniforms: _complete(Decoder(model, prompts, copies, max_new_tokens), uniforms, max_new_tokens, end_id,
                                               temperature)


def _batch_size(sequences: int, cores: int, on_cpu: bool) -> int:
    return min(MOST["cpu"], max(FEWEST, math.ceil(sequences / cores))) if on_cpu else MOST["cuda"]


def _until_end(ids: list[int], end_id: int) -> Completion:
    finished = end_id in ids
    return Completion(ids[:ids.index(end_id) + 1] if finished else ids, finished)


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
