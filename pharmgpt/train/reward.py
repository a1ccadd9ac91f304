"""The reward stage: a judge of answers, learned from pairs. L = −log σ(r_chosen − r_rejected).

`train_reward(config, tokenizer, start, pairs, dev_pairs, out=…, log=…, device=…, seed=…)` starts from a language model's trunk and a zero
head, so its first loss is ln 2. Two things depart from the textbook and can be switched back: the judge reads the handbook excerpt that
the policy does not see (`reads_reference`), and it scores every sentence instead of the end token only (`reader`; see judge.py).
Scores leave here with mean 0 and standard deviation 1 over answers like the policy's; offset and scale go into model.json.

Pair i is segments 2i (chosen) and 2i + 1 (rejected). N pairs a step
"""
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor

from pharmgpt.model.checkpoint import load_model
from pharmgpt.model.device import Device
from pharmgpt.model.scalar_head import RewardModel
from pharmgpt.model.transformer import Transformer
from pharmgpt.run.metrics import Log
from pharmgpt.text.records import PreferencePair
from pharmgpt.text.tokenizer import Tokenizer
from pharmgpt.train import state as states
from pharmgpt.train.batches import BatchError, Ledger, Segment, assemble, on_device, pack
from pharmgpt.train.judge import Judge, Reader, answer_scores, inputs, judge_facts, judged_segment, log_odds, pair_items, token_scores
from pharmgpt.train.losses import bradley_terry_loss
from pharmgpt.train.optimizer import Guard, OptimizerConfig, Replay, lr_scale, make_optimizers, set_lr, take_step
from pharmgpt.train.parallel import ALONE, Ranks, sharded
from pharmgpt.train.pretrain import Pace
from pharmgpt.train.spikes import SpikeWatch
from pharmgpt.train.state import TrainState

CENTRED_ON = 1000  # pairs whose answers set offset and scale: their mean is then known to about .02 standard deviations


class RewardConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    optimizer: OptimizerConfig = OptimizerConfig(muon_lr=0.01, adamw_lr=1e-3, warmup_steps=10)
    reader: Reader = "sentences"
    reads_reference: bool = True
    extra: tuple[str, ...] = ()  # people's own preference pairs beside ours: files or folders
    steps: PositiveInt = 300
    rows: PositiveInt = 16
    row_tokens: PositiveInt = 256
    log_every: PositiveInt = 10
    dev_every: PositiveInt = 100
    checkpoint_every: PositiveInt = 100


def train_reward(config: RewardConfig, tokenizer: Tokenizer, start: Path, pairs: Sequence[PreferencePair],
                 dev_pairs: Sequence[PreferencePair], *, out: Path, log: Log, device: Device, seed: int, ranks: Ranks = ALONE) -> Path:
    """`start` is a folder of weights (a step of SFT). Returns the folder of the last step."""
    ranks.require_equal_shares(config.rows, "reward.rows")
    model = sharded(RewardModel.from_transformer(load_model(start, [Transformer])).to(device.type), ranks, device.type)
    judge = Judge(model, tokenizer, config.reader, config.reads_reference)
    segments, ledger = pair_segments(judge, pairs, config.row_tokens)
    if ranks.leads:
        ledger.write(out)
    optimizers = make_optimizers(model, config.optimizer, device, ranks)
    state = TrainState(model, optimizers, ranks=ranks)
    log.truncate(states.resume(out, state))
    data = itertools.islice(pair_batches(segments, config.rows, config.row_tokens, seed), state.step, None)
    scores_of = device.compiled(token_scores)
    pace, guard = Pace(config.rows * config.row_tokens), Guard(device.type, SpikeWatch(log).see, ranks)

    while state.step < config.steps:
        rows = next(data)
        batch = assemble(segments, rows, config.row_tokens).to(device.type)
        scale = lr_scale(state.step, config.steps, config.optimizer)
        set_lr(optimizers, config.optimizer, scale)
        own, own_rows = ranks.own_rows(batch), ranks.own(rows)
        r = answer_scores(scores_of(model, *inputs(own), device.autocast_dtype), own, own_rows)
        r = exchanged(r, rows, ranks)  # (2N,)
        loss = bradley_terry_loss(r[0::2], r[1::2])
        grad_norm = take_step(loss, model, optimizers, config.optimizer.clip_norm, Replay(out, state.step, model, batch._asdict()),
                              guard, also={"score": r})
        state.step += 1
        pace.steps += 1

        last = state.step == config.steps
        if state.step % config.log_every == 0 or last:
            log.write({"step": state.step} | pair_metrics(r[0::2].detach(), r[1::2].detach())
                      | {"pairs": len(r) // 2, "lr": config.optimizer.adamw_lr * scale, "grad_norm": grad_norm.item()} | pace.read())
        if dev_pairs and (state.step % config.dev_every == 0 or last):
            log.write({"step": state.step} | dev_metrics(judge, dev_pairs, device))
            pace.restart()
        if last:
            state.facts = {"judge": judge_facts(centred(judge, pairs, device))}
        states.save_when(state.step % config.checkpoint_every == 0 or last, out, state, log, guard)
    return states.newest_step(out)


def exchanged(own: Tensor, rows: Sequence[Sequence[int]], ranks: Ranks) -> Tensor:
    """(2N,) scores of the whole batch from those of each rank's rows: a pair's answers may lie on two ranks, so each rank gets all scores
    and has the whole loss, whose gradient it takes by its own scores only."""
    if ranks.size == 1:
        return own
    order, mine = ({index for row in part for index in row} for part in (rows, ranks.own(rows)))
    places = torch.tensor([place for place, index in enumerate(sorted(order)) if index in mine], dtype=torch.int64)
    return ranks.summed(own.new_zeros(len(order)).index_put((on_device(places, own.device.type),), own))


def pair_segments(judge: Judge, pairs: Sequence[PreferencePair], row_tokens: int) -> tuple[list[Segment], Ledger]:
    """Two segments a pair, chosen first. A pair of which one answer is too long is dropped whole."""
    ledger, segments = Ledger(), []
    for pair in pairs:
        both = [judged_segment(judge, item) for item in pair_items(pair)]
        ledger.rows_in += 1
        if max(len(segment.ids) for segment in both) > row_tokens + 1:
            ledger.dropped_too_long += 1
            continue
        ledger.kept += 1
        ledger.tokens += sum(len(segment.ids) - 1 for segment in both)
        ledger.loss_tokens += sum(int(segment.counts.sum()) for segment in both)
        segments += both
    return segments, ledger


def pair_batches(segments: Sequence[Segment], rows: int, row_tokens: int, seed: int) -> Iterator[list[list[int]]]:
    """Without end: rows of segment indices, as many whole pairs as fit, in a new order each epoch. A pure function of its arguments."""
    if not segments:
        raise BatchError("no pair to train on: there were none, or one answer of each is longer than row_tokens; see ledger.json.")
    lengths = np.array([len(segment.ids) - 1 for segment in segments])
    for epoch in itertools.count():
        waiting = np.random.default_rng([seed, epoch]).permutation(len(segments) // 2)
        taken, packed = _fitting(waiting, lengths, rows, row_tokens)
        yield packed
        while taken < len(waiting := waiting[taken:]):
            taken, packed = _fitting(waiting, lengths, rows, row_tokens)
            if taken < len(waiting):  # an epoch's last few pairs make no full batch; the next epoch leaves out others
                yield packed


def _fitting(waiting: np.ndarray, lengths: np.ndarray, rows: int, row_tokens: int) -> tuple[int, list[list[int]]]:
    """(how many of the first pairs fit, the rows that hold them): both answers of a pair in one batch."""
    room_needed = np.cumsum(lengths[2 * waiting] + lengths[2 * waiting + 1])
    for taken in range(int(np.searchsorted(room_needed, rows * row_tokens, side="right")), 0, -1):
        indices = np.stack((2 * waiting[:taken], 2 * waiting[:taken] + 1), axis=1).flatten()
        packed = pack(lengths[indices].tolist(), row_tokens)
        if len(packed) <= rows:
            return taken, [[int(indices[place]) for place in row] for row in packed] + [[]] * (rows - len(packed))
    raise BatchError(f"reward.rows = {rows} rows of {row_tokens} tokens do not hold one pair; use 2 or more.")


def pair_metrics(chosen: Tensor, rejected: Tensor) -> dict[str, float]:
    """loss, margin, accuracy (a tie is half right) and mean scores over pairs."""
    margin = chosen - rejected
    right = (margin > 0).float() + 0.5 * (margin == 0).float()
    return {"loss": bradley_terry_loss(chosen, rejected).item(), "margin": margin.mean().item(), "accuracy": right.mean().item(),
            "r_chosen": chosen.mean().item(), "r_rejected": rejected.mean().item()}


def dev_metrics(judge: Judge, pairs: Sequence[PreferencePair], device: Device) -> dict:
    """pair_metrics over held-back pairs, and the accuracy for each named flaw."""
    scores = torch.from_numpy(log_odds(judge, [item for pair in pairs for item in pair_items(pair)], device=device))
    chosen, rejected = scores[0::2], scores[1::2]
    flaws = np.array([pair.flaw for pair in pairs])
    by_flaw = {str(flaw): pair_metrics(chosen[flaws == flaw], rejected[flaws == flaw])["accuracy"] for flaw in np.unique(flaws)}
    return {f"dev_{name}": value for name, value in pair_metrics(chosen, rejected).items()} | {"dev_accuracy_by_flaw": by_flaw}


def centred(judge: Judge, pairs: Sequence[PreferencePair], device: Device) -> Judge:
    """The judge with offset and scale from answers like the policy's: those of on-policy pairs where there are any, else of all pairs."""
    sampled = [pair for pair in pairs if pair.flaw == "onpolicy"] or list(pairs)
    scores = log_odds(judge, [item for pair in sampled[:CENTRED_ON] for item in pair_items(pair)], device=device)
    return replace(judge, offset=float(scores.mean()), scale=float(scores.std()) or 1.0)
