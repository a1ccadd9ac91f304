"""A reward model and how it reads an answer. PPO, `ask` and the exam score answers through `score`.

The judge reads <|reference|>excerpt<|user|>question<|assistant|>answer<|end|>. Reader "last" is the textbook: the score at the end token.
Reader "sentences" adds up a score at the end of every sentence, because what makes an answer good or bad is said in sentences.

R rows, T tokens a row, N answers, V vocabulary
"""
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pharmgpt.model.checkpoint import DESCRIPTION, CheckpointError, load_model, read_description
from pharmgpt.model.device import EAGER, Device, autocast
from pharmgpt.model.scalar_head import RewardModel, ScalarModel
from pharmgpt.text.chat import render_judged, spoken
from pharmgpt.text.records import Message, PreferencePair
from pharmgpt.text.tokenizer import Tokenizer
from pharmgpt.train.batches import Batch, Segment, assemble, on_device, pack

Reader = Literal["last", "sentences"]


class ScoreError(ValueError):
    """An answer that cannot be scored: the message says what was found and the fix."""


class Item(NamedTuple):
    """One answer, with what the judge may read."""

    reference: str | None
    messages: Sequence[Message]
    answer: str


class SentenceMarks(NamedTuple):
    """Which tokens can end a sentence, and which can open the next: 2.5 holds no end, because 5 opens nothing."""

    stops: np.ndarray  # (V,) bool
    opens: np.ndarray  # (V,) bool

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "SentenceMarks":
        texts = [tokenizer.decode([index]) for index in range(tokenizer.vocab_size)]
        stops = [text.rstrip().endswith((".", "!", "?")) for text in texts]
        return cls(np.array(stops), np.array([text[:1].isspace() for text in texts]))


@dataclass(frozen=True)
class Judge:
    """A reward model, and how it reads."""

    model: RewardModel
    tokenizer: Tokenizer
    reader: Reader = "sentences"
    reads_reference: bool = True
    offset: float = 0.0
    scale: float = 1.0  # log-odds of preference per unit of score

    @cached_property
    def marks(self) -> SentenceMarks:
        return SentenceMarks.of(self.tokenizer)


def score(judge: Judge, items: Sequence[Item], *, device: Device = EAGER, rows: int = 16, row_tokens: int = 256) -> list[float]:
    """One score an answer: 0 is the average answer like the policy's at the start of PPO, 1 is one standard deviation better."""
    return ((log_odds(judge, items, device=device, rows=rows, row_tokens=row_tokens) - judge.offset) / judge.scale).tolist()


def pair_scores(judge: Judge, pairs: Sequence[PreferencePair], *, device: Device = EAGER) -> tuple[np.ndarray, np.ndarray]:
    """(chosen, rejected) in log-odds, centred: σ(chosen − rejected) is the judge's probability that `chosen` is preferred."""
    found = log_odds(judge, [item for pair in pairs for item in pair_items(pair)], device=device) - judge.offset
    return found[0::2], found[1::2]


@torch.no_grad()
def log_odds(judge: Judge, items: Sequence[Item], *, device: Device = EAGER, rows: int = 16, row_tokens: int = 256) -> np.ndarray:
    """(N,) scores as training left them. Eager: a pass without gradients gained nothing from a compiled graph."""
    segments = [judged_segment(judge, item) for item in items]
    longest = max((len(segment.ids) - 1 for segment in segments), default=0)
    if longest > judge.model.config.max_positions:
        raise ScoreError(f"an answer with its question and handbook excerpt needs {longest} tokens, but the reward model has "
                         f"{judge.model.config.max_positions} positions; shorten it.")
    row_tokens = max(row_tokens, longest)
    packed = pack([len(segment.ids) - 1 for segment in segments], row_tokens)
    found, order = [], []
    for start in range(0, len(packed), rows):
        chunk = packed[start:start + rows]
        batch = assemble(segments, chunk, row_tokens).to(device.type)
        found.append(answer_scores(token_scores(judge.model, *inputs(batch), device.autocast_dtype), batch, chunk))
        order += sorted(index for row in chunk for index in row)
    scores = np.zeros(len(segments))
    scores[order] = torch.cat(found).cpu().numpy() if found else 0.0
    return scores


def token_scores(model: ScalarModel, ids: Tensor, segment_ids: Tensor, positions: Tensor, autocast_dtype: torch.dtype | None) -> Tensor:
    """(R, T) fp32. Rewards and PPO's values both come from this one function."""
    with autocast(ids.device.type, autocast_dtype):
        return model(ids, segment_ids, positions)


def inputs(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    return batch.ids, batch.segment_ids, batch.positions


def answer_scores(scores: Tensor, batch: Batch, rows: Sequence[Sequence[int]]) -> Tensor:
    """Sum the token scores where the answer is read (`is_target`): (R, T) → (N,), in the order of the segments' indices in `rows`."""
    R, T = scores.shape
    slot = torch.arange(R, device=scores.device)[:, None] * (T + 1) + batch.segment_ids  # (R, T): a slot for each segment, one for padding
    sums = torch.zeros(R * (T + 1), device=scores.device).index_add(0, slot.flatten(), (scores * batch.is_target).flatten())
    slots = {index: r * (T + 1) + number for r, row in enumerate(rows) for number, index in enumerate(row, start=1)}
    return sums[on_device(torch.tensor([slots[index] for index in sorted(slots)], dtype=torch.int64), scores.device.type)]


def judged_segment(judge: Judge, item: Item) -> Segment:
    """An answer as packing wants it. `counts` runs one ahead and a pad id follows <|end|>, because assemble() drops a segment's last id
    and puts each mark on the token before: so <|end|> itself is read."""
    reference = item.reference if judge.reads_reference else None
    ids = render_judged(reference, item.messages, item.answer, judge.tokenizer)
    length = len(spoken(item.answer, judge.tokenizer)) + 1
    counts = np.zeros(len(ids) + 1, dtype=bool)
    counts[-length:] = read_positions(ids[-length:], judge.reader, judge.marks)
    return Segment(np.array([*ids, judge.tokenizer.pad_id], dtype=np.int64), counts)


def read_positions(answer_ids: Sequence[int], reader: Reader, marks: SentenceMarks) -> np.ndarray:
    """True where a score is read. The last id, <|end|>, always is; the full stop right before it is not read a second time."""
    ids = np.asarray(answer_ids)
    reads = np.zeros(len(ids), dtype=bool)
    if reader == "sentences":
        reads[:-1] = marks.stops[ids[:-1]] & marks.opens[ids[1:]]
    reads[-1] = True
    return reads


def pair_items(pair: PreferencePair) -> tuple[Item, Item]:
    return Item(pair.reference, pair.messages, pair.chosen), Item(pair.reference, pair.messages, pair.rejected)


def judge_facts(judge: Judge) -> dict[str, object]:
    """What model.json says under `judge`: how its reward model reads."""
    return {"reader": judge.reader, "reads_reference": judge.reads_reference, "offset": judge.offset, "scale": judge.scale}


def load_judge(folder: Path, tokenizer: Tokenizer) -> Judge:
    """The judge that `folder` (the last step of the reward stage) holds."""
    facts = read_description(folder).get("judge")
    if facts is None:
        raise CheckpointError(f"{folder / DESCRIPTION}: lacks `judge`, so the reward stage did not finish; run it again.")
    return Judge(load_model(folder, [RewardModel]), tokenizer, **facts)
