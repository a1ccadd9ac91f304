"""Supervised fine-tuning: the pretraining loss over the assistant's tokens only, <|end|> included.

`sft(config, tokenizer, start, conversations, dev_conversations, documents, out=…, …)`. Some rows of every batch are pretraining text:
without that replay a small model forgets what it knew about everything the demonstrations do not mention.
Keep rows and row_tokens as in pretraining: the compiled graph is then the same one.
"""
import math
from collections.abc import Iterable
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from pharmgpt.model.checkpoint import load_model
from pharmgpt.model.device import Device
from pharmgpt.run.metrics import Log
from pharmgpt.text.records import Conversation, Document
from pharmgpt.text.tokenizer import Tokenizer
from pharmgpt.train import state as states
from pharmgpt.train.batches import batches, conversation_segments, document_segments, epoch_rows, joined
from pharmgpt.train.optimizer import Guard, OptimizerConfig, Replay, lr_scale, make_optimizers, set_lr, take_step
from pharmgpt.train.parallel import ALONE, Ranks, sharded
from pharmgpt.train.pretrain import Pace, batch_loss, held_back_loss
from pharmgpt.train.spikes import SpikeWatch
from pharmgpt.train.state import TrainState


class SftConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    optimizer: OptimizerConfig = OptimizerConfig()
    epochs: PositiveFloat = 2.0
    steps: PositiveInt | None = None  # overrules epochs
    rows: PositiveInt = 32
    replay_rows: NonNegativeInt = 12  # of `rows`
    extra: tuple[str, ...] = ()  # people's own conversations beside the experts': files or folders of chats or questions and answers
    row_tokens: PositiveInt = 128
    log_every: PositiveInt = 10
    dev_every: PositiveInt = 50
    checkpoint_every: PositiveInt = 100

    @model_validator(mode="after")
    def _rows_fit(self) -> "SftConfig":
        if self.replay_rows >= self.rows:
            raise ValueError(f"replay_rows ({self.replay_rows}) must leave some of the {self.rows} rows to conversations")
        return self


def sft(config: SftConfig, tokenizer: Tokenizer, start: Path, conversations: Iterable[Conversation],
        dev_conversations: Iterable[Conversation], documents: Iterable[Document], *,
        out: Path, log: Log, device: Device, seed: int, ranks: Ranks = ALONE) -> Path:
    """`start` is a folder of weights (a step of pretraining). Returns the folder of the last step."""
    ranks.require_equal_shares(config.rows, "sft.rows")
    segments, ledger = conversation_segments(conversations, tokenizer, config.row_tokens)
    dev_segments, _ = conversation_segments(dev_conversations, tokenizer, config.row_tokens)
    replayed, replay_ledger = document_segments((document.text for document in documents), tokenizer, config.row_tokens)
    replay_rows = config.replay_rows if replayed else 0
    spoken_rows = config.rows - replay_rows
    if ranks.leads:
        ledger.write(out, replay_documents=replay_ledger.rows_in, replay_tokens=replay_ledger.tokens)
    bytes_of = torch.tensor(tokenizer.token_bytes(), dtype=torch.float32)  # (V,)

    model = sharded(load_model(start).to(device.type), ranks, device.type)
    optimizers = make_optimizers(model, config.optimizer, device, ranks)
    state = TrainState(model, optimizers, ranks=ranks)
    log.truncate(states.resume(out, state))
    spoken = batches(segments, spoken_rows, config.row_tokens, seed, start_step=state.step)
    replay = batches(replayed, replay_rows, config.row_tokens, seed + 1, start_step=state.step) if replay_rows else None
    steps = config.steps or math.ceil(config.epochs * len(epoch_rows(segments, config.row_tokens, seed, 0)) / spoken_rows)
    loss_of = batch_loss(device, ranks)
    pace, guard = Pace(config.rows * config.row_tokens), Guard(device.type, SpikeWatch(log).see, ranks)

    while state.step < steps:
        batch = joined(next(spoken), next(replay)) if replay else next(spoken)
        scale = lr_scale(state.step, steps, config.optimizer)
        set_lr(optimizers, config.optimizer, scale)
        loss = loss_of(model, batch)
        grad_norm = take_step(loss, model, optimizers, config.optimizer.clip_norm, Replay(out, state.step, model, batch._asdict()), guard)
        state.step += 1
        pace.steps += 1

        last = state.step == steps
        if state.step % config.log_every == 0 or last:
            log.write({"step": state.step, "loss": loss.item(), "lr": config.optimizer.adamw_lr * scale, "grad_norm": grad_norm.item()}
                      | pace.read())
        if dev_segments and (state.step % config.dev_every == 0 or last):
            log.write({"step": state.step} | held_back_loss(loss_of, model, dev_segments, bytes_of, config))
            pace.restart()
        states.save_when(state.step % config.checkpoint_every == 0 or last, out, state, log, guard)
    return states.newest_step(out)
