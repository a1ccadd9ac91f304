"""Supervised fine-tuning: go on from the pretrained model with what experts answered, and count the answer's words only.

    L_SFT = −(1/N) Σ log π(w_t | question, w_<t)        over the words of the answer and its <end>

It is pretraining's loss on other texts: Ouyang et al. 2022, section 3.5. Each question has four acceptable answers, so the loss
cannot reach 0: nobody can know which expert comes next. `sft(config, model)` returns the tuned model and what was measured.
"""
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from pharmgpt.lessons.entropy import floor_of
from pharmgpt.lessons.language_model import Model, Text, finite, loss_of, states_of, tokens_of, train_epoch
from pharmgpt.lessons.material import EXPERTS, QUESTIONS
from pharmgpt.lessons.true_score import Marks, marks

DIALOGUES = tuple(Text(tokens_of(question.wording), tokens_of(question.answer_of(expert))) for question in QUESTIONS for expert in EXPERTS)


class SFTConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: NonNegativeInt = 0
    epochs: PositiveInt = 100
    lr: PositiveFloat = 0.5
    every: PositiveInt = 10  # epochs between two measurements


class SFTEpoch(NamedTuple):
    epoch: int
    loss: float  # nats a word of the answers
    marks: Marks


class SFTRun(NamedTuple):
    model: Model
    epochs: list[SFTEpoch]
    floor: float  # nats a word


def sft(config: SFTConfig, model: Model) -> SFTRun:
    """A step a dialogue, all dialogues an epoch; epoch 0 is measured before the first step."""
    rng = np.random.default_rng(config.seed)
    texts = [states_of(text) for text in DIALOGUES]
    epochs = [measure(model, texts, 0, config)]
    for epoch in range(1, config.epochs + 1):
        model = train_epoch(model, texts, config.lr, rng)
        if epoch % config.every == 0 or epoch == config.epochs:
            epochs.append(measure(model, texts, epoch, config))
    return SFTRun(model, epochs, floor_of(DIALOGUES))


def measure(model: Model, texts: list, epoch: int, config: SFTConfig) -> SFTEpoch:
    return SFTEpoch(epoch, finite(loss_of(model, texts), config.lr), marks(model, np.random.default_rng([config.seed, 1]), answers=20))
