"""Pretraining: L = −(1/N) Σ log P(w_t | w_<t) over documents.

`pretrain(config, tokenizer, documents, dev_documents, out=…, log=…, device=…, seed=…)` trains, resumes from what `out` holds, and
returns the folder of the last step. Left out of the textbook: gradient accumulation and dropout; the texts are met a few times only.
"""
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, PositiveInt

from pharmgpt.model.device import Device
from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.run.metrics import Log
from pharmgpt.text.records import Document
from pharmgpt.text.tokenizer import Tokenizer
from pharmgpt.train import state as states
from pharmgpt.train.batches import Batch, Segment, all_batches, batches, document_segments
from pharmgpt.train.losses import language_model_loss
from pharmgpt.train.optimizer import Guard, OptimizerConfig, Replay, lr_scale, make_optimizers, set_lr, take_step
from pharmgpt.train.parallel import ALONE, Ranks, sharded
from pharmgpt.train.spikes import SpikeWatch
from pharmgpt.train.state import TrainState


class PretrainConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelConfig = ModelConfig()  # its vocab_size is the tokenizer's
    optimizer: OptimizerConfig = OptimizerConfig()
    steps: PositiveInt = 440
    rows: PositiveInt = 32
    row_tokens: PositiveInt = 128
    log_every: PositiveInt = 10
    dev_every: PositiveInt = 100
    checkpoint_every: PositiveInt = 100
    extra: tuple[str, ...] = ()  # people's own texts beside the documents: JSONL, plain text or folders of it, native openFDA labels


def pretrain(config: PretrainConfig, tokenizer: Tokenizer, documents: Iterable[Document], dev_documents: Iterable[Document], *,
             out: Path, log: Log, device: Device, seed: int, ranks: Ranks = ALONE) -> Path:
    ranks.require_equal_shares(config.rows, "pretrain.rows")
    segments, ledger = document_segments((document.text for document in documents), tokenizer, config.row_tokens)
    dev_segments, _ = document_segments((document.text for document in dev_documents), tokenizer, config.row_tokens)
    if ranks.leads:
        ledger.write(out, tokens_trained=config.steps * config.rows * config.row_tokens)
    bytes_of = torch.tensor(tokenizer.token_bytes(), dtype=torch.float32)  # (V,)

    shape = config.model.model_copy(update={"vocab_size": tokenizer.vocab_size})
    model = sharded(Transformer.initialise(shape, seed).to(device.type), ranks, device.type)
    optimizers = make_optimizers(model, config.optimizer, device, ranks)
    state = TrainState(model, optimizers, ranks=ranks)
    log.truncate(states.resume(out, state))
    data = batches(segments, config.rows, config.row_tokens, seed, start_step=state.step)
    if state.step == 0:
        log.write({"step": 0, "ln_vocab": math.log(shape.vocab_size), "unigram_entropy": unigram_entropy(segments, shape.vocab_size)})
    loss_of = batch_loss(device, ranks)
    pace, guard = Pace(config.rows * config.row_tokens), Guard(device.type, SpikeWatch(log).see, ranks)

    while state.step < config.steps:
        batch = next(data)
        scale = lr_scale(state.step, config.steps, config.optimizer)
        set_lr(optimizers, config.optimizer, scale)
        loss = loss_of(model, batch)
        grad_norm = take_step(loss, model, optimizers, config.optimizer.clip_norm, Replay(out, state.step, model, batch._asdict()), guard)
        state.step += 1
        pace.steps += 1

        last = state.step == config.steps
        if state.step % config.log_every == 0 or last:
            log.write({"step": state.step, "loss": loss.item(), "bits_per_byte": loss.item() * bits_per_nat_byte(batch, bytes_of),
                       "lr": config.optimizer.adamw_lr * scale, "grad_norm": grad_norm.item()} | pace.read())
        if dev_segments and (state.step % config.dev_every == 0 or last):
            log.write({"step": state.step} | held_back_loss(loss_of, model, dev_segments, bytes_of, config))
            pace.restart()
        states.save_when(state.step % config.checkpoint_every == 0 or last, out, state, log, guard)
    return states.newest_step(out)


class Pace:
    """Seconds a step and tokens a second since it was last read; evaluation is not counted."""

    def __init__(self, tokens_a_step: int):
        self.tokens_a_step = tokens_a_step
        self.restart()

    def restart(self) -> None:
        self.started, self.steps = time.perf_counter(), 0

    def read(self) -> dict[str, float]:
        seconds = (time.perf_counter() - self.started) / max(self.steps, 1)
        self.restart()
        return {"seconds": seconds, "tokens_per_second": self.tokens_a_step / seconds}


def batch_loss(device: Device, ranks: Ranks) -> Callable[[Transformer, Batch], torch.Tensor]:
    """What computes a batch's loss, the mean over its counted tokens: compiled where it can be, each rank doing its own rows."""
    compiled = device.compiled(language_model_loss)

    def loss_of(model: Transformer, batch: Batch) -> torch.Tensor:
        own = ranks.own_rows(batch)
        loss = compiled(model, *own.language_model_inputs(device.type), device.autocast_dtype)
        return ranks.mean(loss, own.is_target.sum(), batch.is_target.sum())
    return loss_of


def held_back_loss(loss_of: Callable[[Transformer, Batch], torch.Tensor], model: Transformer, segments: Sequence[Segment],
                   bytes_of: torch.Tensor, shape) -> dict[str, float]:
    """{"dev_loss": nats per token, "dev_bits_per_byte"}: means over all counted tokens of `segments`; `shape` has rows and row_tokens.

    Gradients stay on, though nobody asks for them: without them the compiler would build a second graph, for more time than they cost.
    """
    nats = tokens = size = 0.0
    for batch in all_batches(segments, shape.rows, shape.row_tokens):
        counted = float(batch.is_target.sum())
        nats += loss_of(model, batch).detach().double() * counted
        tokens += counted
        size += float((bytes_of[batch.targets] * batch.is_target).sum())
    nats = float(nats)
    return {"dev_loss": nats / max(tokens, 1), "dev_bits_per_byte": nats / math.log(2) / max(size, 1)}


def bits_per_nat_byte(batch: Batch, bytes_of: torch.Tensor) -> float:
    """What turns a batch's nats per token into bits per byte of its counted text."""
    return float(batch.is_target.sum() / (bytes_of[batch.targets] * batch.is_target).sum().clamp(min=1)) / math.log(2)


def unigram_entropy(segments: Sequence[Segment], vocab_size: int) -> float:
    """Nats per token of a model that knows only how often each token occurs: the first milestone below ln V."""
    counts = np.bincount(np.concatenate([segment.ids[1:] for segment in segments]), minlength=vocab_size)
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())
