"""PPO: raise the judge's score of the policy's own answers, and stay near the SFT model. One file, in the paper's order.

`ppo(config, tokenizer, prompts, documents, policy_dir=…, reward_dir=…, dev_questions=…, monitor=…, out=…, log=…, device=…, seed=…)`. Each
iteration samples answers, scores them, prices every token's departure from the reference (Ziegler et al. 2019), estimates advantages, and
takes a few epochs of clipped steps (Schulman et al. 2017), each beside pretraining text (PPO-ptx, Ouyang et al. 2022, eq. 2): prompts are
about some drugs only, and without it the others are forgotten. What is delivered, and checked on development questions, is the mean of
the policies after each iteration.

The critic has its own weights, is warmed up while the policy stands still, and reads what the judge reads: the handbook excerpt that the
policy does not see (an asymmetric critic: Pinto et al. 2017, arXiv:1710.06542). One that saw the question alone could not tell which
pairs interact, and paid every "does not interact", which is short and easily full, at the cost of every warning.

What old probabilities, reference probabilities and new ones have in common: one function, one shape, one compiled graph. So before the
first update the ratio is exactly 1 and the KL exactly 0; the decoder's own probabilities (bf16, cached) would give neither.
`monitor` sees the answers and is logged (gold, unsafe share …). It NEVER enters the reward: the judge is the only teacher.
Ranks hold the whole models each: they divide questions and rows, and have the same experience and the same weights; only what checks
and logs is done by each again.
Left out: an entropy bonus (the KL price keeps entropy up), learning-rate decay, several answers to one prompt.

R rows, T tokens a row, N answers, P places that count, V vocabulary; entry t of a row is the state in which targets[t] was chosen
"""
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor
from torch.optim import AdamW, Optimizer

from pharmgpt.model.checkpoint import load_model
from pharmgpt.model.device import Device, autocast
from pharmgpt.model.scalar_head import ValueModel
from pharmgpt.model.transformer import Transformer
from pharmgpt.text.chat import render_prompt
from pharmgpt.run.metrics import Log
from pharmgpt.text.records import Document, Question
from pharmgpt.text.tokenizer import Tokenizer
from pharmgpt.train import state as states
from pharmgpt.train.advantages import explained_variance, gae, whiten
from pharmgpt.train.batches import HEAD_ROWS, Batch, BatchError, Ledger, batches, document_segments, on_device
from pharmgpt.train.judge import Judge, inputs, load_judge, score, token_scores
from pharmgpt.train.losses import clipped_surrogate_loss, clipped_value_loss, kl_estimates
from pharmgpt.train.optimizer import Guard, OptimizerConfig, Replay, make_optimizers, take_step
from pharmgpt.train.parallel import ALONE, Ranks
from pharmgpt.train.pretrain import batch_loss
from pharmgpt.train.rollout import Rollout, excerpt_of, items_of, pack_judged, pack_rollout, roll_out
from pharmgpt.train.spikes import SpikeWatch
from pharmgpt.train.state import TrainState

Monitor = Callable[[list[str], list[str], list[bool]], dict[str, float]]  # question ids, answers, ended → {"gold": …, …}


class KLConfig(BaseModel):
    """`target` None keeps the coefficient; else Ziegler's controller moves it. coefficient 0: no leash, watch the gold fall."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coefficient: NonNegativeFloat = 0.05  # score units a nat
    target_nats: PositiveFloat | None = None  # nats an answer
    gain: PositiveFloat = 0.1


class StepConfig(BaseModel):
    """How one iteration's answers are turned into updates. A minibatch is `rows` rows of the policy, `critic_rows` of the critic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt = 2
    rows: PositiveInt = 8
    row_tokens: PositiveInt = 160
    critic_rows: PositiveInt = 16  # the critic reads the excerpt too: with the reward stage's shape it finds that stage's compiled graph
    critic_row_tokens: PositiveInt = 256
    policy_muon_lr: PositiveFloat = 3e-4  # Muon's, for the hidden matrices; its steps have one size in every direction
    policy_lr: PositiveFloat = 6e-5  # AdamW's, for embeddings, head and norms
    critic_lr: PositiveFloat = 1e-3
    clip: PositiveFloat = 0.2
    value_clip: PositiveFloat = 0.5
    clip_norm: PositiveFloat = 1.0
    ptx_coefficient: NonNegativeFloat = 1.0  # γ: what a nat per token of pretraining text counts beside the clipped loss
    gamma: float = Field(1.0, gt=0, le=1)
    lam: float = Field(0.95, ge=0, le=1)


class PPOConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kl: KLConfig = KLConfig()
    update: StepConfig = StepConfig()
    iterations: PositiveInt = 60
    prompts: PositiveInt = 64  # an iteration; one answer each
    max_new_tokens: PositiveInt = 88
    temperature: PositiveFloat = 1.0
    missing_end_penalty: NonNegativeFloat = 2.0  # score units, for an answer that ran out of room
    critic_from: Literal["policy", "reward"] = "reward"
    critic_warmup: NonNegativeInt = 4  # iterations in which only the critic learns
    dev_every: PositiveInt = 10
    checkpoint_every: PositiveInt = 10
    stop_after: PositiveInt | None = None  # dev checks without a higher gold; the result is then the highest. None: the last iteration

    @model_validator(mode="after")
    def _answers_fit(self) -> "PPOConfig":
        for name in ("row_tokens", "critic_row_tokens"):
            if self.max_new_tokens >= (room := getattr(self.update, name)):
                raise ValueError(f"max_new_tokens ({self.max_new_tokens}) leaves no room for a prompt in {name} ({room})")
        return self


class Measured(NamedTuple):
    """The policy before an update, at every state of the rollout: (R, T) fp32 each."""

    logprobs: Tensor
    reference_logprobs: Tensor
    kl: Tensor  # exact: Σ_v p (log p − log q)
    entropy: Tensor

    def where(self, is_action: Tensor) -> dict[str, Tensor]:
        """All of it by name, 0 where nothing was chosen."""
        return {name: torch.where(is_action, tensor, 0.0) for name, tensor in self._asdict().items()}


class Experience(NamedTuple):
    """What a model's updates learn from, laid out as that model reads: its batch, on the host, and two (R, T) tensors."""

    batch: Batch
    before: Tensor  # log-probabilities or values before the update
    aim: Tensor  # advantages or returns

    @property
    def is_action(self) -> Tensor:
        return on_device(self.batch.is_target, self.aim.device.type).bool()

    def rows(self, chosen: Tensor | slice) -> "Experience":
        there = on_device(chosen, self.aim.device.type) if isinstance(chosen, Tensor) else chosen
        return Experience(self.batch.take(chosen), self.before[there], self.aim[there])

    def own(self, ranks: Ranks) -> "Experience":
        return self if ranks.size == 1 else self.rows(ranks.share)

    def tensors(self) -> dict[str, Tensor]:
        """What a replay bundle holds of it."""
        return self.batch._asdict() | {"before": self.before, "aim": self.aim}


def ppo(config: PPOConfig, tokenizer: Tokenizer, prompts: Sequence[Question], documents: Iterable[Document], *,
        policy_dir: Path, reward_dir: Path, dev_questions: Sequence[Question], monitor: Monitor, out: Path, log: Log, device: Device,
        seed: int, ranks: Ranks = ALONE) -> Path:
    """`policy_dir` holds the SFT weights, `reward_dir` the judge (each a step folder). Returns the folder of the last step."""
    for rows in ("rows", "critic_rows"):
        ranks.require_equal_shares(getattr(config.update, rows), f"ppo.update.{rows}")
    policy, average, reference = (load_model(policy_dir, [Transformer]).to(device.type) for _ in range(3))
    judge = load_judge(reward_dir, tokenizer)
    judge.model.to(device.type)
    critic = make_critic(config.critic_from, policy, judge).to(device.type)
    prompts, ledger = prompts_that_fit(prompts, judge, config)
    if ranks.leads:
        ledger.write(out)
    update = config.update
    rates = OptimizerConfig(muon_lr=update.policy_muon_lr, muon_momentum=0.9, adamw_lr=update.policy_lr)
    policy_optimizers = make_optimizers(policy, rates, device)
    critic_optimizer = {"critic": AdamW(critic.parameters(), lr=update.critic_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)}
    best = {"best": load_model(policy_dir, [Transformer]).to(device.type)} if config.stop_after is not None else {}
    state = TrainState(average, policy_optimizers | critic_optimizer, modules={"critic": critic, "policy": policy} | best,
                       extra={"kl_coefficient": config.kl.coefficient, "best_gold": None, "checks_since_best": 0, "stopped": False,
                              "policy_steps": 0}, ranks=ranks)
    log.truncate(states.resume(out, state))
    replay_text = pretraining_text(update, tokenizer, documents, seed, state.extra["policy_steps"])
    logprobs_of, values_of, nats_of = device.compiled(policy_logprobs), device.compiled(token_scores), batch_loss(device, ranks)
    guard, watch = Guard(device.type, ranks=ranks), SpikeWatch(log)
    if state.step == 0:
        log.write({"step": 0} | check(config, state, tokenizer, judge, dev_questions, monitor, device))

    while state.step < config.iterations and not state.extra["stopped"]:
        clock = time.perf_counter()
        iteration, coefficient = state.step, state.extra["kl_coefficient"]

        # Sample answers and have them judged.
        rollout = roll_out(policy, tokenizer, draw(prompts, config.prompts, iteration, seed), max_new_tokens=config.max_new_tokens,
                           temperature=config.temperature, generator=generator_of(seed, iteration), device=device,
                           ranks=ranks)
        scores = judged(judge, rollout, device, ranks)  # (N,)
        ended = torch.tensor(rollout.ended, device=device.type)  # (N,)

        # Rewards: what each choice cost in KL, and at the last choice the score.
        packed = pack_rollout(rollout, update.rows, update.row_tokens)
        batch, is_action = packed.batch, on_device(packed.batch.is_target, device.type).bool()  # (R, T)
        before = measure(logprobs_of, policy, reference, batch, config, device, ranks)
        paid = scores - config.missing_end_penalty * (~ended)  # (N,)
        rewards = token_rewards(before, is_action, paid, packed.last_action, coefficient)  # (R, T)

        # Advantages, with the values of a critic that reads in rows of its own.
        read = pack_judged(rollout, judge, update.critic_rows, update.critic_row_tokens)
        values_read = estimate(critic, read.batch, config, device, ranks)
        values = packed.spread(read.gathered(values_read))  # (R, T)
        guard.check({"score": scores, "reward": rewards, "values": values} | before.where(is_action),
                    Replay(out, iteration, policy, batch._asdict()))
        advantages, returns = gae(rewards, values, is_action, update.gamma, update.lam)

        # Several epochs of minibatches over the same answers.
        learns, steps = iteration >= config.critic_warmup, []
        of_critic = Experience(read.batch, values_read, read.spread(packed.gathered(returns)))
        for mini, own in turns(of_critic, update.critic_rows, update.epochs, seed, iteration, ranks):
            found = values_of(critic, *inputs(own.batch.to(device.type)), device.autocast_dtype)  # (rows, T)
            value_loss = ranks.mean(clipped_value_loss(found, own.before, own.aim, own.is_action, update.value_clip), *counted(own, mini))
            take_step(value_loss, critic, critic_optimizer, update.clip_norm, Replay(out, iteration, critic, mini.tensors()), guard)
            steps.append({"value_loss": value_loss.detach()})
        of_policy = Experience(batch, before.logprobs, whiten(advantages, is_action))
        for mini, own in turns(of_policy, update.rows, update.epochs, seed, iteration, ranks) if learns else ():
            text = next(replay_text, None)
            read_beside = text_gradient(policy, policy_optimizers, text, nats_of, update.ptx_coefficient) if text else {}
            logprobs, _ = logprobs_of(policy, *policy_inputs(own.batch, device), config.temperature, device.autocast_dtype)
            surrogate = clipped_surrogate_loss(logprobs, own.before, own.aim, own.is_action, update.clip)
            policy_loss = ranks.mean(surrogate.loss, *counted(own, mini))
            replay = Replay(out, iteration, policy, mini.tensors() | named("text", text))
            grad_norm = take_step(policy_loss, policy, policy_optimizers, update.clip_norm, replay, guard, read_beside, bool(text))
            state.extra["policy_steps"] += 1
            clip_fraction = ranks.mean(surrogate.clip_fraction, *counted(own, mini))
            steps.append({"policy_loss": policy_loss.detach(), "clip_fraction": clip_fraction.detach(), "grad_norm": grad_norm.detach(),
                          "ratio_deviation": ranks.largest(surrogate.ratio_deviation).detach()} | read_beside)

        # The leash: shorter when the policy strays beyond the target.
        kl = per_answer(before.kl, is_action, rollout)
        if learns and config.kl.target_nats is not None:
            state.extra["kl_coefficient"] = next_coefficient(coefficient, kl, config.kl.target_nats, config.kl.gain)
        state.step += 1
        if learns:
            take_in(average, policy, state.step - config.critic_warmup)

        updates = update_metrics(steps)
        log.write({"step": state.step, "kl_coefficient": coefficient, "seconds": time.perf_counter() - clock}
                  | answer_metrics(rollout, scores, monitor) | policy_metrics(before, values, returns, is_action, rollout) | updates)
        watch.see(state.step, updates["value_loss"])
        last = state.step == config.iterations
        if state.step % config.dev_every == 0 or last:
            found = check(config, state, tokenizer, judge, dev_questions, monitor, device)
            state.extra["stopped"] = config.stop_after is not None and (last or state.extra["checks_since_best"] >= config.stop_after)
            if state.extra["stopped"]:
                average.load_state_dict(best["best"].state_dict())
            if last or state.extra["stopped"]:
                asked, generator = draw(prompts, config.prompts, state.step, seed), generator_of(seed, state.step)
                found["delivered_kl"] = departure(average, reference, asked, generator, logprobs_of, tokenizer, config, device, ranks)
            log.write({"step": state.step} | found)
        states.save_when(state.step % config.checkpoint_every == 0 or last or state.extra["stopped"], out, state, log, guard)
    return states.newest_step(out)


def pretraining_text(config: StepConfig, tokenizer: Tokenizer, documents: Iterable[Document], seed: int,
                     start_step: int) -> Iterator[Batch]:
    """Without end, in the shape of the policy's minibatches, whose compiled graph it shares; nothing where nothing is to be replayed."""
    if not config.ptx_coefficient:
        return iter(())
    segments, _ = document_segments((document.text for document in documents), tokenizer, config.row_tokens)
    return batches(segments, config.rows, config.row_tokens, seed + 2, start_step) if segments else iter(())


def text_gradient(policy: Transformer, optimizers: Mapping[str, Optimizer], text: Batch, nats_of: Callable[[Transformer, Batch], Tensor],
                  coefficient: float) -> dict[str, Tensor]:
    """Leave γ ∇ nats on the weights, for take_step to add to: a captured trunk holds one forward pass at a time. Returns the nats, for
    the log."""
    for optimizer in optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    nats = nats_of(policy, text)
    (coefficient * nats).backward()
    return {"pretraining_loss": nats.detach()}


def named(prefix: str, batch: Batch | None) -> dict[str, Tensor]:
    """A second batch's tensors beside a first one's, for a replay bundle."""
    return {} if batch is None else {f"{prefix}_{name}": tensor for name, tensor in batch._asdict().items()}


def turns(experience: Experience, rows: int, epochs: int, seed: int, iteration: int,
          ranks: Ranks) -> Iterator[tuple[Experience, Experience]]:
    """Minibatches, each whole and this rank's part of it."""
    for chosen in minibatches(len(experience.batch.ids), rows, epochs, seed, iteration):
        mini = experience.rows(chosen)
        yield mini, mini.own(ranks)


def counted(own: Experience, mini: Experience) -> tuple[Tensor, Tensor]:
    """How many choices a rank's part of a minibatch holds, and all of it."""
    return own.is_action.sum(), mini.is_action.sum()


def policy_inputs(batch: Batch, device: Device) -> tuple[Tensor, ...]:
    """What policy_logprobs takes of a batch on the host, on the device."""
    there = batch.to(device.type)
    return (*inputs(there), there.targets, *batch.counted_places(device.type))


def departure(average: Transformer, reference: Transformer, prompts: Sequence[Question], generator: torch.Generator,
              logprobs_of: Callable, tokenizer: Tokenizer, config: PPOConfig, device: Device, ranks: Ranks) -> float:
    """KL of what the stage delivers from the reference, exact at each choice, nats per answer, over answers that it samples itself."""
    rollout = roll_out(average, tokenizer, prompts, max_new_tokens=config.max_new_tokens, temperature=config.temperature,
                       generator=generator, device=device, ranks=ranks)
    batch = pack_rollout(rollout, config.update.rows, config.update.row_tokens).batch
    measured = measure(logprobs_of, average, reference, batch, config, device, ranks)
    return per_answer(measured.kl, on_device(batch.is_target, device.type).bool(), rollout)


@torch.no_grad()
def take_in(average: Transformer, policy: Transformer, count: int) -> None:
    """`average` becomes the mean of the `count` policies so far: Polyak and Juditsky 1992; Ramé et al. 2024 (arXiv:2406.16768) for RLHF.

    A few hundred noisy updates leave the last policy off the path that they share; the mean of the path is what the stage delivers.
    """
    torch._foreach_lerp_(list(average.parameters()), list(policy.parameters()), 1 / count)


def policy_logprobs(model: Transformer, ids: Tensor, segment_ids: Tensor, positions: Tensor, targets: Tensor, places: Tensor,
                    counts: Tensor, temperature: float, autocast_dtype: torch.dtype | None) -> tuple[Tensor, Tensor]:
    """log P(targets) at the sampling temperature where something was chosen, 0 elsewhere: (R, T) fp32. And log P of every token at those
    places without gradient: (P, V) fp32.

    Only choices reach the head (`places` and `counts` (P,) are those of batches.counted_places), HEAD_ROWS at a time: products of one
    shape, so that a state gives the same bits whatever else is in its batch.
    """
    with autocast(ids.device.type, autocast_dtype):
        hidden = model.hidden(ids, segment_ids, positions).flatten(0, 1)[places]
        logits = torch.cat([model.logits(block) for block in hidden.split(HEAD_ROWS)])  # (P, V)
    everything = (logits / temperature).log_softmax(-1)
    chosen = everything.gather(-1, targets.flatten()[places].unsqueeze(-1)).squeeze(-1)
    return spread(chosen, places, counts, ids.shape), everything.detach()


def spread(x: Tensor, places: Tensor, counts: Tensor, shape: torch.Size) -> Tensor:
    """Numbers of counted places, (P,), where they belong in (R, T); 0 elsewhere."""
    return torch.zeros(shape.numel(), device=x.device).index_add(0, places, x * counts).view(shape)


@torch.no_grad()
def estimate(critic: ValueModel, batch: Batch, config: PPOConfig, device: Device, ranks: Ranks = ALONE) -> Tensor:
    """The critic's values of a batch on the host, (R, T) fp32. Eager, as the judge's scores are; ranks divide the rows."""
    own, rows = ranks.own_rows(batch), config.update.critic_rows // ranks.size
    parts = [own.take(slice(start, start + rows)).to(device.type) for start in range(0, len(own.ids), rows)]
    values = torch.cat([token_scores(critic, *inputs(part), device.autocast_dtype) for part in parts])
    return ranks.joined(values, len(batch.ids))


def measure(logprobs_of: Callable, policy: Transformer, reference: Transformer, batch: Batch, config: PPOConfig, device: Device,
            ranks: Ranks = ALONE) -> Measured:
    """What stood before the update, of a batch on the host. Ranks divide the rows, as many at a time as they will of a minibatch, and each
    gets all that was measured.

    Gradients stay on, and nobody asks for them: without them the compiler would build other graphs, which round differently, and the
    first ratio would not be 1. For the same reason the reference's weights are not marked as frozen: no optimiser holds them.
    """
    chunks, own, rows = [], ranks.own_rows(batch), config.update.rows // ranks.size
    for start in range(0, len(own.ids), rows):
        part = policy_inputs(own.take(slice(start, start + rows)), device)
        chosen, p = logprobs_of(policy, *part, config.temperature, device.autocast_dtype)
        reference_chosen, q = logprobs_of(reference, *part, config.temperature, device.autocast_dtype)
        kl, entropy = (spread(x, *part[-2:], part[0].shape) for x in ((p.exp() * (p - q)).sum(-1), -(p.exp() * p).sum(-1)))
        chunks.append((chosen.detach(), reference_chosen.detach(), kl, entropy))
    return Measured(*(ranks.joined(torch.cat(tensors), len(batch.ids)) for tensors in zip(*chunks, strict=True)))


def judged(judge: Judge, rollout: Rollout, device: Device, ranks: Ranks) -> Tensor:
    """The judge's score of every answer, (N,) fp32; ranks divide the answers."""
    own = torch.tensor(score(judge, ranks.own(items_of(rollout)), device=device), device=device.type)
    return ranks.joined(own, len(rollout.answers))


def token_rewards(before: Measured, is_action: Tensor, paid: Tensor, last_action: tuple[Tensor, Tensor], coefficient: float) -> Tensor:
    """−β (log π − log ρ) at every choice, plus the answer's score at its last: Ziegler et al. 2019 (arXiv:1909.08593), eq. 2. (R, T)"""
    rewards = torch.where(is_action, -coefficient * (before.logprobs - before.reference_logprobs), 0.0)
    rewards[last_action] += paid
    return rewards


def next_coefficient(coefficient: float, kl: float, target_nats: float, gain: float) -> float:
    """β ← β (1 + K_β clip((KL − target) / target, −.2, .2)): Ziegler et al. 2019, section 2.2."""
    return coefficient * (1 + gain * min(max((kl - target_nats) / target_nats, -0.2), 0.2))


def make_critic(origin: str, policy: Transformer, judge: Judge) -> ValueModel:
    """A value model with its own weights, its trunk copied from the policy or from the judge; its first values are 0."""
    critic = ValueModel(policy.config)
    trunk = policy.model if origin == "policy" else judge.model.model
    critic.model.load_state_dict(trunk.state_dict())
    return critic


def prompts_that_fit(prompts: Sequence[Question], judge: Judge, config: PPOConfig) -> tuple[list[Question], Ledger]:
    """Those that leave room for an answer in the policy's rows and, behind their excerpt, in the critic's."""
    room, critic_room = (tokens + 1 - config.max_new_tokens for tokens in (config.update.row_tokens, config.update.critic_row_tokens))
    lengths = [len(render_prompt(question.messages, judge.tokenizer)) for question in prompts]
    kept = [question for question, length in zip(prompts, lengths, strict=True)
            if length <= room and length + len(excerpt_of(question, judge)) <= critic_room]
    if not kept:
        raise BatchError(f"none of {len(prompts)} prompts fits {room} tokens, or {critic_room} with its excerpt; raise "
                         "ppo.update.row_tokens and critic_row_tokens, or lower ppo.max_new_tokens.")
    return kept, Ledger(rows_in=len(prompts), kept=len(kept), dropped_too_long=len(prompts) - len(kept), tokens=sum(lengths))


def draw(prompts: Sequence[Question], count: int, iteration: int, seed: int) -> list[Question]:
    """The iteration's prompts: epoch after epoch, each in its own order; a pure function of (seed, iteration)."""
    places = range(iteration * count, (iteration + 1) * count)
    epochs = {place // len(prompts) for place in places}
    orders = {epoch: np.random.default_rng([seed, epoch]).permutation(len(prompts)) for epoch in epochs}
    return [prompts[orders[place // len(prompts)][place % len(prompts)]] for place in places]


def generator_of(seed: int, iteration: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, iteration]).generate_state(1)[0]))


def minibatches(rows: int, size: int, epochs: int, seed: int, iteration: int) -> Iterator[Tensor]:
    """Indices of rows: all of them once an epoch, `size` at a time. (size,)"""
    random = np.random.default_rng([seed, iteration])
    for _ in range(epochs):
        yield from torch.from_numpy(random.permutation(rows)).split(size)


def check(config: PPOConfig, state: TrainState, tokenizer: Tokenizer, judge: Judge, questions: Sequence[Question], monitor: Monitor,
          device: Device) -> dict[str, float]:
    """Greedy answers to the dev questions, as dev_…; remembers the best gold and, if the stage may stop there, its weights."""
    if not questions:
        return {}
    rollout = roll_out(state.model, tokenizer, questions, max_new_tokens=config.max_new_tokens, temperature=0, generator=None,
                       device=device, ranks=state.ranks)
    found = answer_metrics(rollout, judged(judge, rollout, device, state.ranks), monitor)
    if config.stop_after is not None:
        best, since = state.extra["best_gold"], state.extra["checks_since_best"]
        better = best is None or found["gold"] > best
        state.extra |= {"best_gold": found["gold"], "checks_since_best": 0} if better else {"checks_since_best": since + 1}
        if better:
            state.modules["best"].load_state_dict(state.model.state_dict())
    return {f"dev_{name}": value for name, value in found.items()}


def answer_metrics(rollout: Rollout, scores: Tensor, monitor: Monitor) -> dict[str, float]:
    """reward: the judge's mean score, before any price or penalty; length in tokens; ended: the share; and what the monitor saw."""
    found = {"reward": scores.mean().item(), "reward_sd": scores.std(unbiased=False).item(), "length": float(np.mean(rollout.lengths)),
             "ended": float(np.mean(rollout.ended))}
    return found | monitor(rollout.question_ids, list(rollout.answers), list(rollout.ended))


def policy_metrics(before: Measured, values: Tensor, returns: Tensor, is_action: Tensor, rollout: Rollout) -> dict[str, float]:
    """KL from the reference in nats per answer, exact and estimated; entropy in nats per token; how well the critic knew the returns."""
    estimates = kl_estimates(before.logprobs, before.reference_logprobs)
    return ({"kl": per_answer(before.kl, is_action, rollout)}
            | {f"kl_{name}": per_answer(value, is_action, rollout) for name, value in estimates._asdict().items()}
            | {"entropy": before.entropy[is_action].mean().item(),
               "explained_variance": explained_variance(values, returns, is_action)})


def update_metrics(steps: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """Means over the iteration's updates, and two ends of one: the first ratio is exactly 1, the largest shows how far it went."""
    names = dict.fromkeys(name for step in steps for name in step)
    values = {name: torch.stack([step[name] for step in steps if name in step]).tolist() for name in names}
    deviations = values.pop("ratio_deviation", None)
    means = {name: float(np.mean(each)) for name, each in values.items()}
    return means | ({"first_ratio_deviation": deviations[0], "largest_ratio_deviation": max(deviations)} if deviations else {})


def per_answer(x: Tensor, is_action: Tensor, rollout: Rollout) -> float:
    """The sum over an answer's choices, mean over answers."""
    return x[is_action].sum().item() / len(rollout.answers)
