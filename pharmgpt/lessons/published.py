"""The classroom text's own mistakes, run as it ran them, and for each the wrong line, the right one, and how its numbers gave it away.

Three are in its printed code: a context of fresh noise, with a table that is updated but never read; the Bradley-Terry step with the
wrong sign; places from Python's salted hash. A fourth follows from its figures: both printed scores fall by .1 an epoch, which is what a
bias does that takes the same wrong step once a pair (20 pairs × lr .01 × ½). Features of .02 bring loss and margin near its figures too.
Fine-tuning and PPO are printed without code, so here they start from what the earlier faults left: a model that pretraining never
changed, a judge that learnt to like the worse answer.

The salt of Python's hash differs at each start of Python. Here it is an argument, so that two starts can be seen on one screen.
"""
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pharmgpt.lessons.language_model import Model, new_model
from pharmgpt.lessons.material import SEQUENCES, VOCABULARY
from pharmgpt.lessons.pairs import PAIRS, Pair
from pharmgpt.lessons.ppo import PPOConfig, PPORun, ppo
from pharmgpt.lessons.pretraining import PretrainingConfig
from pharmgpt.lessons.reward import Judge, Measured, measure, pair_features, sigmoid, word_places
from pharmgpt.lessons.sft import SFTConfig, SFTRun, sft

PLACES = 100
NOISE, FEATURE = 0.1, 0.02  # the size of the noise and of a word's feature
LR = 0.01  # of the text's reward model


class Fault(NamedTuple):
    name: str
    wrong: str  # a line of this file
    right: str  # a line of the file named first
    how_to_know: str


NOISE_FAULT = Fault(
    "the context is noise", "logits = rng.normal(0, NOISE, len(VOCABULARY))", "language_model.py: logits = h @ model.U + model.b",
    "A loss that begins at ln 100 = 4.605 and is still there after training says that the model guesses; real learning leaves it in the "
    "first epoch.")
TABLE_FAULT = Fault(
    "the table is updated and never read", "table[salted_place(beginning, salt)] -= config.lr * slope",
    "language_model.py: model = descend(model, slope, lr)",
    "The loss wanders by about .1/√10 = .03, the spread of ten draws of the noise, instead of falling.")
HASH_FAULT = Fault(
    "places come from a salted hash", "place = salted_place(target, salt)",
    "language_model.py: return tuple(TOKENS[word] for word in words_of(text))",
    "Run it twice: the same seed prints other numbers, as processes A and B do here.")
WORD_FAULT = Fault(
    "words get their places from a salted hash", "words = {word: salted_place(word, salt) for word in word_places(pairs)}",
    "reward.py: return {word: place for place, word in enumerate(sorted(words))}",
    "Processes A and B print different losses from the same pairs; and words that share a place cannot be told apart.")
SIGN_FAULT = Fault(
    "the step goes up the loss", "w + LR * slope", "reward.py: w = w - config.lr * slope",
    "The loss rises above ln 2 = .693, the loss of no opinion: a model that learnt nothing would do better.")
BIAS_FAULT = Fault(
    "a bias is trained that cancels in the margin (inferred from the printed scores)", "bias + LR * pull",
    "reward.py: return float(features(self.words, answer, len(self.w)) @ self.w)",
    "Both scores fall by the same .1 an epoch while their difference hardly moves: what is common to both cannot tell them apart.")
START_FAULT = Fault(
    "fine-tuning starts from weights that pretraining never changed (no code printed: it follows)",
    "untouched = new_model(np.random.default_rng(config.seed))",
    "sheets.py: run = sft(config, pretraining(PretrainingConfig(seed=config.seed)).model)",
    "The first loss is exactly ln 100: before the first step the model prefers no word to any other.")
JUDGE_FAULT = Fault(
    "PPO obeys a judge that prefers the worse answer (no code printed: it follows)", "judge = published_reward(salt)[0]",
    "sheets.py: return reward(RewardConfig(seed=seed)).judge",
    "The judge ranked fewer than half of its own training pairs right, so a higher reward had to mean worse answers.")


def salted_place(word: str, salt: int, places: int = PLACES) -> int:
    """What `hash(word) % places` is in a process with this salt: even, stable within the process, another in the next."""
    return int.from_bytes(hashlib.blake2b(f"{salt}:{word}".encode(), digest_size=8).digest(), "big") % places


def published_pretraining(config: PretrainingConfig, salt: int) -> list[float]:
    """Mean loss of each epoch: the last word of each sequence, "predicted" from noise."""
    rng = np.random.default_rng(config.seed)
    table = np.zeros((PLACES, len(VOCABULARY)))
    return [float(np.mean([published_step(table, sequence, config, salt, rng) for sequence in SEQUENCES])) for _ in range(config.epochs)]


def published_step(table: np.ndarray, sequence: str, config: PretrainingConfig, salt: int, rng: np.random.Generator) -> float:
    beginning, target = sequence.removesuffix(" .").rsplit(" ", 1)
    logits = rng.normal(0, NOISE, len(VOCABULARY))  # the context has no part in it
    logprobs = logits - np.log(np.exp(logits).sum())
    place = salted_place(target, salt)
    slope = np.exp(logprobs)
    slope[place] -= 1
    table[salted_place(beginning, salt)] -= config.lr * slope  # and nothing ever reads the table
    return float(-logprobs[place])


def published_reward(salt: int, epochs: int = 100, sign_repaired: bool = False,
                     pairs: Sequence[Pair] = PAIRS) -> tuple[Judge, list[Measured]]:
    """All pairs trained on and none held out, as in the text; its own step size, so that its own figures appear. Epoch 0 first."""
    words = {word: salted_place(word, salt) for word in word_places(pairs)}
    f = pair_features(words, pairs, PLACES) * FEATURE  # (2, N, PLACES)
    w, bias, measured = np.zeros(PLACES), 0.0, [measure(np.zeros(PLACES), f)]
    for _ in range(epochs):
        for chosen, rejected in zip(*f, strict=True):
            pull = sigmoid((chosen - rejected) @ w) - 1
            slope = pull * (chosen - rejected)
            w = w - LR * slope if sign_repaired else w + LR * slope
            bias = bias - LR * pull if sign_repaired else bias + LR * pull
        measured.append(with_bias(measure(w, f), bias))
    return Judge(words, w), measured


def with_bias(measured: Measured, bias: float) -> Measured:
    """The bias moves both scores and nothing else: that is what is wrong with it."""
    return measured._replace(r_chosen=float(measured.r_chosen + bias), r_rejected=float(measured.r_rejected + bias))


def published_sft(config: SFTConfig) -> SFTRun:
    untouched = new_model(np.random.default_rng(config.seed))
    return sft(config, untouched)


def published_ppo(config: PPOConfig, policy: Model, salt: int) -> PPORun:
    judge = published_reward(salt)[0]
    return ppo(config, policy, judge)
