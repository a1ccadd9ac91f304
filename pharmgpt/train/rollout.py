"""Sampling answers from a policy: for the annotators on disk, for PPO as packed rows.

N answers, R rows, T tokens a row
"""
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pharmgpt.model.device import Device
from pharmgpt.model.generate import Completion, generate
from pharmgpt.model.transformer import Transformer
from pharmgpt.text.chat import render_prompt, render_reference
from pharmgpt.text.records import Question
from pharmgpt.text.tokenizer import Tokenizer
from pharmgpt.train.batches import Batch, Segment, assemble, on_device, pack
from pharmgpt.train.judge import Item, Judge
from pharmgpt.train.parallel import ALONE, Ranks


@dataclass(frozen=True)
class Rollout:
    """Questions and one answer each. `answer_ids` hold the end token where the answer ended; `answers` are their text."""

    questions: tuple[Question, ...]
    prompt_ids: tuple[list[int], ...]
    answer_ids: tuple[list[int], ...]
    answers: tuple[str, ...]
    ended: tuple[bool, ...]

    @property
    def question_ids(self) -> list[str]:
        return [question.id for question in self.questions]

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.answer_ids]


class Sampled(NamedTuple):
    """A line of samples.jsonl."""

    question_id: str
    answers: list[str]
    ended: list[bool]


class Packed(NamedTuple):
    """A rollout as rows. In `batch`, is_target is 1 at the state in which each answer token was chosen: entry t chose targets[t]."""

    batch: Batch
    choices: Tensor  # (C,) int64: where each choice lies in the flattened (R, T), answer after answer
    last_action: tuple[Tensor, Tensor]  # (N,) rows and (N,) columns of each answer's last choice

    def gathered(self, x: Tensor) -> Tensor:
        """What stands at the choices: (R, T) → (C,)."""
        return x.flatten()[on_device(self.choices, x.device.type)]

    def spread(self, x: Tensor) -> Tensor:
        """The choices' numbers where these lie in the rows, 0 elsewhere: (C,) → (R, T)."""
        R, T = self.batch.ids.shape
        return x.new_zeros(R * T).index_copy(0, on_device(self.choices, x.device.type), x).view(R, T)


def roll_out(policy: Transformer, tokenizer: Tokenizer, questions: Sequence[Question], *, max_new_tokens: int, temperature: float,
             generator: torch.Generator | None, device: Device, samples_per_question: int = 1, ranks: Ranks = ALONE) -> Rollout:
    """Answer every question `samples_per_question` times; a question's answers stand together. temperature 0 is greedy. Ranks divide the
    questions, and each gets all answers."""
    prompts = [render_prompt(question.messages, tokenizer) for question in questions]
    completions = generate(policy, prompts, max_new_tokens=max_new_tokens, end_id=tokenizer.end_id, temperature=temperature,
                           generator=generator, samples_per_prompt=samples_per_question, dtype=device.autocast_dtype, only=ranks.share)
    completions = of_all_ranks(completions, (len(prompts), samples_per_question, max_new_tokens), device, ranks)
    repeated = [index for index in range(len(questions)) for _ in range(samples_per_question)]
    return Rollout(questions=tuple(questions[index] for index in repeated), prompt_ids=tuple(prompts[index] for index in repeated),
                   answer_ids=tuple(completion.ids for completion in completions),
                   answers=tuple(tokenizer.decode(completion.ids).strip() for completion in completions),
                   ended=tuple(completion.finished for completion in completions))


def of_all_ranks(own: list[Completion], shape: tuple[int, int, int], device: Device, ranks: Ranks) -> list[Completion]:
    """Every rank's completions, in prompt order. `shape` is (prompts, samples of each, most new tokens)."""
    if ranks.size == 1:
        return own
    prompts, samples, longest = shape
    told = [[finished, len(ids), *ids, *[0] * (longest - len(ids))] for ids, finished in own]
    table = torch.tensor(told, dtype=torch.int64, device=device.type).view(-1, samples, longest + 2)
    rows = ranks.joined(table, prompts).flatten(0, 1).tolist()
    return [Completion(ids[:length], bool(finished)) for finished, length, *ids in rows]


def sample_answers(policy: Transformer, tokenizer: Tokenizer, questions: Sequence[Question], answers: int, *, max_new_tokens: int = 72,
                   temperature: float = 1.0, seed: int, device: Device) -> list[Sampled]:
    """What the annotators judge: several answers to each question."""
    rollout = roll_out(policy, tokenizer, questions, max_new_tokens=max_new_tokens, temperature=temperature,
                       generator=torch.Generator().manual_seed(seed), device=device, samples_per_question=answers)
    starts = range(0, len(rollout.answers), answers)
    return [Sampled(rollout.questions[start].id, list(rollout.answers[start:start + answers]), list(rollout.ended[start:start + answers]))
            for start in starts]


def write_samples(path: Path, samples: Iterable[Sampled]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for sample in samples:
            file.write(json.dumps(sample._asdict(), ensure_ascii=False) + "\n")


def items_of(rollout: Rollout) -> list[Item]:
    """The rollout as a judge reads it."""
    pairs = zip(rollout.questions, rollout.answers, strict=True)
    return [Item(question.reference, question.messages, answer) for question, answer in pairs]


def pack_rollout(rollout: Rollout, rows: int, row_tokens: int) -> Packed:
    """As the policy reads it."""
    return pack_answers(rollout.prompt_ids, rollout.answer_ids, rows, row_tokens)


def pack_judged(rollout: Rollout, judge: Judge, rows: int, row_tokens: int) -> Packed:
    """As the judge reads it: each prompt behind its handbook excerpt."""
    heads = [excerpt_of(question, judge) for question in rollout.questions]
    prompts = [head + prompt for head, prompt in zip(heads, rollout.prompt_ids, strict=True)]
    return pack_answers(prompts, rollout.answer_ids, rows, row_tokens)


def excerpt_of(question: Question, judge: Judge) -> list[int]:
    return render_reference(question.reference if judge.reads_reference else None, judge.tokenizer)


def pack_answers(prompts: Sequence[list[int]], answers: Sequence[list[int]], rows: int, row_tokens: int) -> Packed:
    """Rows of whole episodes, filled up with empty rows to a multiple of `rows`, so that minibatches have one shape."""
    segments = [Segment(np.array(prompt + answer), np.array([False] * len(prompt) + [True] * len(answer)))
                for prompt, answer in zip(prompts, answers, strict=True)]
    lengths = [len(segment.ids) - 1 for segment in segments]
    longest_first = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    packed = [[longest_first[place] for place in row] for row in pack([lengths[index] for index in longest_first], row_tokens)]
    packed += [[] for _ in range(-len(packed) % rows)]
    ends = [np.cumsum([lengths[index] for index in row]) for row in packed]
    end_of = {index: r * row_tokens + end for r, row in enumerate(packed) for index, end in zip(row, ends[r], strict=True)}
    choices = np.concatenate([np.arange(end_of[index] - len(answer), end_of[index]) for index, answer in enumerate(answers)])
    last = torch.tensor([end_of[index] - 1 for index in range(len(segments))])  # (N,)
    return Packed(assemble(segments, packed, row_tokens), torch.from_numpy(choices), (last // row_tokens, last % row_tokens))
