"""PPO: let the SFT policy answer, have the trained judge score it, and step towards what scored better than expected. One file.

Each epoch: draw answers; price each word's departure from the SFT policy (Ziegler et al. 2019, eq. 2) and add the judge's score at the
last word; compare with what the critic expected (GAE, Schulman et al. 2015, eq. 11 and 16); take a few clipped steps (Schulman et al. 2017,
eq. 7). The true score is watched and NEVER enters the reward, so it can tell whether the judge was right.
Left out of the textbook version: minibatches, value clipping, an entropy bonus, an adaptive KL coefficient: five questions need none.

Shapes: B answers, T words an answer at most, N words chosen in all, F features of a state, V words
"""
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from pharmgpt.lessons.language_model import Model, descend, finite, gradient, run, sample, text_of, tokens_of, walk
from pharmgpt.lessons.material import END, QUESTIONS, TOKENS
from pharmgpt.lessons.reward import Judge
from pharmgpt.lessons.true_score import Marks, marks, true_score


class PPOConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: NonNegativeInt = 0
    epochs: PositiveInt = 40
    lr: PositiveFloat = 1.5
    critic_lr: PositiveFloat = 0.1
    kl: NonNegativeFloat = 0.4  # score units a nat; 0: no leash
    clip: PositiveFloat = 0.2
    lam: float = Field(0.95, ge=0, le=1)
    passes: PositiveInt = 2  # steps over one epoch's answers
    answers: PositiveInt = 8  # a question and epoch
    unfinished_penalty: NonNegativeFloat = 1.0  # score units


class Scale(NamedTuple):
    """The judge's scores in units that mean something: 0 is the SFT policy's mean, 1 its standard deviation."""

    mean: float
    deviation: float


class Rollout(NamedTuple):
    x: Array  # (B, T, F)
    tokens: Array  # (B, T)
    logprobs: Array  # (B, T) of the policy that drew them
    is_action: Array  # (B, T) bool: True where a word was chosen

    def answers(self) -> list[list[int]]:
        return [list(row[keep]) for row, keep in zip(self.tokens, self.is_action, strict=True)]


class Experience(NamedTuple):
    """What an update learns from: one row a chosen word."""

    x: Array  # (N, F)
    tokens: Array  # (N,)
    old_logprobs: Array  # (N,)
    advantages: Array  # (N,) mean 0, deviation 1
    returns: Array  # (N,)


class Surrogate(NamedTuple):
    loss: float
    slope: Model
    clip_fraction: float  # share of words whose ratio left [1 − clip, 1 + clip]


class PPOEpoch(NamedTuple):
    """Of the answers drawn in this epoch, before its update."""

    epoch: int
    reward: float  # the judge's, scaled, less the penalty of answers without an end; the price of departing is not in it
    kl: float  # nats an answer: Σ over its words of KL(policy ‖ SFT), exact at each word
    clip_fraction: float
    true_score: float
    explained_variance: float  # of the returns, by the critic: 1 perfect, 0 no better than a constant
    words: float  # an answer


class PPORun(NamedTuple):
    model: Model
    epochs: list[PPOEpoch]
    before: Marks
    after: Marks


def ppo(config: PPOConfig, policy: Model, judge: Judge) -> PPORun:
    """Improve `policy` against `judge`; the policy given is the reference, and the critic starts at 0."""
    rng, reference = np.random.default_rng(config.seed), policy
    scale = scale_of(judge, reference, np.random.default_rng([config.seed, 1]))
    questions = QUESTIONS * config.answers
    critic, epochs = np.zeros(policy.E.shape[0]), []
    for epoch in range(1, config.epochs + 1):
        rollout = roll_out(policy, [tokens_of(question.wording) for question in questions], rng)
        texts = [text_of(answer) for answer in rollout.answers()]
        scores = (np.array([judge.score(text) for text in texts]) - scale.mean) / scale.deviation  # (B,)
        scores -= config.unfinished_penalty * ~ended(rollout)
        values = rollout.x @ critic  # (B, T)
        rewards = priced_rewards(rollout, scores, reference, config.kl)
        advantages = gae(rewards, values, rollout.is_action, config.lam)
        experience = gather(rollout, advantages, advantages + values)
        kl, explained = kl_of(policy, reference, rollout), explained_variance(values[rollout.is_action], experience.returns)
        clipped = []
        for _ in range(config.passes):
            surrogate = surrogate_and_gradient(policy, experience, config.clip)
            policy = descend(policy, surrogate.slope, config.lr)
            _, slope = value_loss_and_gradient(critic, experience.x, experience.returns)
            critic = critic - config.critic_lr * slope
            clipped.append(surrogate.clip_fraction)
        true = [true_score(question, text) for question, text in zip(questions, texts, strict=True)]
        epochs.append(PPOEpoch(epoch, finite(float(scores.mean()), config.lr), finite(kl, config.lr), float(np.mean(clipped)),
                               float(np.mean(true)), explained, float(rollout.is_action.sum(axis=1).mean())))
    seeds = [config.seed, 2]
    return PPORun(policy, epochs, marks(reference, np.random.default_rng(seeds)), marks(policy, np.random.default_rng(seeds)))


def scale_of(judge: Judge, reference: Model, rng: np.random.Generator, answers: int = 40) -> Scale:
    drawn = sample(reference, [tokens_of(question.wording) for question in QUESTIONS] * answers, rng)
    scores = np.array([judge.score(text_of(answer)) for answer in drawn])
    return Scale(float(scores.mean()), float(scores.std()))


def roll_out(policy: Model, prompts: list[tuple[int, ...]], rng: np.random.Generator) -> Rollout:
    steps = list(walk(policy, prompts, rng))
    shape = len(prompts), len(steps)
    x, tokens = np.zeros((*shape, policy.E.shape[0])), np.zeros(shape, int)
    logprobs, is_action = np.zeros(shape), np.zeros(shape, bool)
    for t, step in enumerate(steps):
        x[step.rows, t], tokens[step.rows, t], logprobs[step.rows, t], is_action[step.rows, t] = step.x, step.tokens, step.logprobs, True
    return Rollout(x, tokens, logprobs, is_action)


def last_places(rollout: Rollout) -> tuple[Array, Array]:
    """Where each answer's last word is."""
    return np.arange(len(rollout.tokens)), rollout.is_action.sum(axis=1) - 1


def ended(rollout: Rollout) -> Array:
    """(B,) bool: True where the answer reached its <end>."""
    return rollout.tokens[last_places(rollout)] == TOKENS[END]


def priced_rewards(rollout: Rollout, scores: Array, reference: Model, kl: float) -> Array:
    """R(x, y) = r(x, y) − β log(π(y|x) / ρ(y|x)), Ziegler et al. 2019, eq. 2, word by word: the score comes with the last word. (B, T)"""
    rewards = np.zeros(rollout.tokens.shape)
    states, tokens = rollout.x[rollout.is_action], rollout.tokens[rollout.is_action]
    reference_logprobs = run(reference, states).logprobs[np.arange(len(tokens)), tokens]
    rewards[rollout.is_action] = -kl * (rollout.logprobs[rollout.is_action] - reference_logprobs)
    rewards[last_places(rollout)] += scores
    return rewards


def gae(rewards: Array, values: Array, is_action: Array, lam: float) -> Array:
    """A_t = δ_t + λ A_{t+1}, δ_t = r_t + V_{t+1} − V_t: Schulman et al. 2015, eq. 11 and 16 with γ = 1. All (B, T); 0 after the end."""
    advantages = np.zeros_like(rewards)
    later = later_value = np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + later_value - values[:, t]
        later = (delta + lam * later) * is_action[:, t]
        later_value = values[:, t] * is_action[:, t]
        advantages[:, t] = later
    return advantages


def gather(rollout: Rollout, advantages: Array, returns: Array) -> Experience:
    """The chosen words out of (B, T), with advantages of mean 0 and deviation 1 over them."""
    keep = rollout.is_action
    kept = advantages[keep]
    whitened = (kept - kept.mean()) / (kept.std() + 1e-8)
    return Experience(rollout.x[keep], rollout.tokens[keep], rollout.logprobs[keep], whitened, returns[keep])


def surrogate_and_gradient(policy: Model, experience: Experience, clip: float) -> Surrogate:
    """−L^CLIP = −mean min(ratio A, clip(ratio, 1 ± ε) A), Schulman et al. 2017, eq. 7, and its gradient: mean over chosen words.

    ∂(ratio)/∂logits = ratio (onehot(word) − P); a word whose clipped term is the smaller one has no gradient.
    """
    forward, rows = run(policy, experience.x), np.arange(len(experience.tokens))
    ratio = np.exp(forward.logprobs[rows, experience.tokens] - experience.old_logprobs)  # (N,)
    gain, clipped_gain = ratio * experience.advantages, ratio.clip(1 - clip, 1 + clip) * experience.advantages
    weight = np.where(gain <= clipped_gain, gain, 0) / len(rows)  # (N,)
    d_logits = np.exp(forward.logprobs) * weight[:, None]  # −weight (onehot − P)
    d_logits[rows, experience.tokens] -= weight
    return Surrogate(float(-np.minimum(gain, clipped_gain).mean()), gradient(policy, experience.x, forward, d_logits),
                     float((np.abs(ratio - 1) > clip).mean()))


def value_loss_and_gradient(critic: Array, x: Array, returns: Array) -> tuple[float, Array]:
    """½ mean (V − R)², V = x · critic: eq. 9's value loss with the usual ½."""
    error = x @ critic - returns
    return float(0.5 * (error**2).mean()), x.T @ error / len(returns)


def kl_of(policy: Model, reference: Model, rollout: Rollout) -> float:
    """Nats an answer: Σ over its states of Σ_v π(v) log(π(v) / ρ(v)), mean over answers."""
    states = rollout.x[rollout.is_action]
    log_pi, log_rho = run(policy, states).logprobs, run(reference, states).logprobs
    return float((np.exp(log_pi) * (log_pi - log_rho)).sum() / len(rollout.tokens))


def explained_variance(values: Array, returns: Array) -> float:
    return float(1 - (returns - values).var() / returns.var()) if returns.var() > 0 else 0.0
