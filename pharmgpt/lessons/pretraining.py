"""Pretraining: ten medical sequences, next word by next word, until the loss is near what the texts leave open.

    L = −(1/N) Σ log P(w_t | w_<t)

`pretraining(config)` returns the model and what each epoch measured. Patterns only: nothing in this loss knows what harm is.
"""
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from pharmgpt.lessons.entropy import floor_of, unigram_entropy
from pharmgpt.lessons.language_model import Model, Text, finite, loss_of, new_model, run, states_of, tokens_of, train_epoch
from pharmgpt.lessons.material import REORDERED, SEQUENCES, TOKENS

TEXTS = tuple(Text((), tokens_of(sequence)) for sequence in SEQUENCES)
BEGINNING, NEXT = "metformin with egfr 28 carries risk of", "lactic"
OTHER_BEGINNING = "ibuprofen with warfarin carries risk of"  # its last three words are the same: only the drugs tell them apart


class PretrainingConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: NonNegativeInt = 0
    epochs: PositiveInt = 20
    lr: PositiveFloat = 1.0


class PretrainingEpoch(NamedTuple):
    """`p_next` and `p_elsewhere`: P("lactic") after the metformin beginning, and after the warfarin one."""

    epoch: int
    loss: float  # nats a word
    reordered_loss: float  # the same facts in orders of words never trained on
    p_next: float
    p_elsewhere: float


class PretrainingRun(NamedTuple):
    model: Model
    epochs: list[PretrainingEpoch]
    floor: float  # nats a word: no model can do better on these texts
    unigram: float  # nats a word: no model without context can do better


def pretraining(config: PretrainingConfig) -> PretrainingRun:
    """A step a sequence, all sequences an epoch; epoch 0 is measured before the first step."""
    rng = np.random.default_rng(config.seed)
    texts = [states_of(text) for text in TEXTS]
    model = new_model(rng)
    epochs = [measure(model, 0)]
    for epoch in range(1, config.epochs + 1):
        model = train_epoch(model, texts, config.lr, rng)
        epochs.append(measure(model, epoch))
        finite(epochs[-1].loss, config.lr)
    return PretrainingRun(model, epochs, floor_of(TEXTS), unigram_entropy(TEXTS))


def measure(model: Model, epoch: int) -> PretrainingEpoch:
    reordered = [states_of(Text((), tokens_of(sequence))) for sequence in REORDERED]
    return PretrainingEpoch(epoch, loss_of(model, [states_of(text) for text in TEXTS]), loss_of(model, reordered),
                            probability(model, BEGINNING, NEXT), probability(model, OTHER_BEGINNING, NEXT))


def probability(model: Model, beginning: str, word: str) -> float:
    """P(word | beginning)."""
    state = states_of(Text(tokens_of(beginning), ())).x
    return float(np.exp(run(model, state).logprobs[0, TOKENS[word]]))
