"""Reward model: learn from twenty preferences which of two answers is better, and be asked about pairs that were held out.

    r(answer) = w · f(answer)        P(chosen ≻ rejected) = σ(r_chosen − r_rejected)        L = −log σ(r_chosen − r_rejected)

Bradley & Terry 1952 (the probability); Christiano et al. 2017, section 2.2.3 (as a loss for rewards). f says which words an answer
holds, so every weight can be read. There is no bias: it would cancel in the difference, and could only drift. The judge reads the answer
alone, never the question: it cannot tell a good answer to another question from a good answer to this one, and PPO without a leash
finds that.

Shapes: N pairs, F words
"""
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from pharmgpt.lessons.language_model import finite
from pharmgpt.lessons.pairs import HELD_OUT, PAIRS, Pair


class RewardConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: NonNegativeInt = 0
    epochs: PositiveInt = 100
    lr: PositiveFloat = 0.02


class Judge(NamedTuple):
    words: Mapping[str, int]  # word → its place in w
    w: Array  # (F,)

    def score(self, answer: str) -> float:
        return float(features(self.words, answer, len(self.w)) @ self.w)


class Measured(NamedTuple):
    """Over some pairs, at one moment; means except accuracy."""

    loss: float
    margin: float
    accuracy: float  # share ranked right; a tie is half right
    r_chosen: float
    r_rejected: float


class RewardEpoch(NamedTuple):
    epoch: int
    train: Measured
    held_out: Measured


class RewardRun(NamedTuple):
    judge: Judge
    epochs: list[RewardEpoch]


def reward(config: RewardConfig, pairs: Sequence[Pair] = PAIRS, held_out: int = HELD_OUT) -> RewardRun:
    """Train on all but the last `held_out` pairs, a step a pair, and measure both parts after every epoch (0: before the first)."""
    rng = np.random.default_rng(config.seed)
    training, unseen = pairs[:-held_out], pairs[-held_out:]
    words = word_places(training)
    f_train, f_unseen = pair_features(words, training, len(words)), pair_features(words, unseen, len(words))
    w = np.zeros(len(words))
    epochs = [RewardEpoch(0, measure(w, f_train), measure(w, f_unseen))]
    for epoch in range(1, config.epochs + 1):
        for pair in rng.permutation(len(training)):
            _, slope = loss_and_gradient(w, f_train[:, [pair]])
            w = w - config.lr * slope  # DOWN the slope: with + the loss climbs
        epochs.append(RewardEpoch(epoch, measure(w, f_train), measure(w, f_unseen)))
        finite(epochs[-1].train.loss, config.lr)
    return RewardRun(Judge(words, w), epochs)


def loss_and_gradient(w: Array, f: Array) -> tuple[float, Array]:
    """Mean −log σ(m) over pairs and ∂/∂w = mean (σ(m) − 1)(f_chosen − f_rejected); f is (2, N, F), chosen first."""
    margin = (f[0] - f[1]) @ w  # (N,)
    loss = np.logaddexp(0, -margin).mean()  # −log σ(m), without overflow
    return float(loss), ((sigmoid(margin) - 1)[:, None] * (f[0] - f[1])).mean(axis=0)


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(x / 2))


def measure(w: Array, f: Array) -> Measured:
    chosen, rejected = f @ w
    margin = chosen - rejected
    accuracy = np.where(margin == 0, 0.5, margin > 0).mean()
    return Measured(*(float(x) for x in (np.logaddexp(0, -margin).mean(), margin.mean(), accuracy, chosen.mean(), rejected.mean())))


def words_in(text: str) -> list[str]:
    """Lower-case words; every number is the one word "#", so that 30 teaches something about 45."""
    return re.sub(r"\d+", "#", text.lower()).replace(".", " ").replace(",", " ").replace("?", " ").split()


def word_places(pairs: Sequence[Pair]) -> dict[str, int]:
    """A place for each word of the training answers, in alphabetical order: the same in every process, and no two words share one."""
    words = {word for pair in pairs for answer in (pair.chosen, pair.rejected) for word in words_in(answer)}
    return {word: place for place, word in enumerate(sorted(words))}


def features(words: Mapping[str, int], answer: str, width: int) -> Array:
    """(F,): 1 where the answer holds the word. A word that training never met counts for nothing."""
    f = np.zeros(width)
    f[[words[word] for word in words_in(answer) if word in words]] = 1
    return f


def pair_features(words: Mapping[str, int], pairs: Sequence[Pair], width: int) -> Array:
    """(2, N, F): chosen, rejected."""
    return np.array([[features(words, answer, width) for answer in answers] for answers in
                     ([pair.chosen for pair in pairs], [pair.rejected for pair in pairs])])


def length_accuracy(pairs: Sequence[Pair]) -> float:
    """What the rule "the longer answer is better" would reach."""
    longer = [len(words_in(pair.chosen)) - len(words_in(pair.rejected)) for pair in pairs]
    return float(np.where(np.array(longer) == 0, 0.5, np.array(longer) > 0).mean())
