"""Texts → packed batches of one fixed shape, in an order that is a pure function of (seed, step), and a ledger of every token.

A segment is a document or a conversation; a row holds whole segments that do not see each other. Of a segment of n tokens, n − 1 are
inputs and n − 1 are targets, so a row of T inputs takes pieces of up to T + 1 tokens. Longer documents are split with one token of
overlap, so each token but a document's first is predicted exactly once; conversations that are too long are dropped and counted.

R rows, T tokens a row
"""
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pharmgpt.model.checkpoint import write_json
from pharmgpt.text.chat import render
from pharmgpt.text.records import Conversation
from pharmgpt.text.tokenizer import Tokenizer


HEAD_ROWS = 512


class BatchError(ValueError):
    """Data that fill no batch: the message says what was found and the fix."""


class Segment(NamedTuple):
    ids: np.ndarray  # (n,) int64
    counts: np.ndarray  # (n,) bool: True where the loss counts that token as a target


class Batch(NamedTuple):
    """segment_ids count from 1 in each row, 0 is padding; is_target is 1.0 where `targets` count."""

    ids: Tensor  # (R, T) int64
    targets: Tensor  # (R, T) int64: the token that follows within the segment
    segment_ids: Tensor  # (R, T) int64
    positions: Tensor  # (R, T) int64, from 0 in each segment
    is_target: Tensor  # (R, T) float32

    def to(self, device: str) -> "Batch":
        return Batch(*(on_device(tensor, device) for tensor in self))

    def take(self, rows: Tensor | slice) -> "Batch":
        return Batch(*(tensor[rows] for tensor in self))

    def counted_places(self, device: str) -> tuple[Tensor, ...]:
        """`counted_places` of this batch, which is on the host, on `device`: asked of a GPU, everybody would wait for their number."""
        return tuple(on_device(tensor, device) for tensor in counted_places(self.is_target))

    def language_model_inputs(self, device: str) -> tuple[Tensor, ...]:
        """What language_model_loss takes, on `device`; asked of a batch on the host."""
        return (*(on_device(tensor, device) for tensor in self[:4]), *self.counted_places(device))


@dataclass
class Ledger:
    """Where every row of the input went. Tokens are counted once, as if each segment were met once."""

    rows_in: int = 0
    kept: int = 0
    dropped_empty: int = 0
    dropped_too_long: int = 0
    dropped_no_response: int = 0
    split: int = 0  # documents cut into pieces: nothing is lost but context across the cut
    tokens: int = 0
    loss_tokens: int = 0

    def write(self, out: Path, **more: object) -> None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(dataclasses.asdict(self) | more, out / "ledger.json")


def document_segments(texts: Iterable[str], tokenizer: Tokenizer, row_tokens: int) -> tuple[list[Segment], Ledger]:
    ledger, segments = Ledger(), []
    for chunk in _chunks(texts, 1024):
        for ids in tokenizer.encode_batch(chunk):
            _add_document(np.array([*ids, tokenizer.end_of_text_id], dtype=np.int64), row_tokens, segments, ledger)
    return segments, ledger


def conversation_segments(conversations: Iterable[Conversation], tokenizer: Tokenizer, row_tokens: int) -> tuple[list[Segment], Ledger]:
    ledger, segments = Ledger(), []
    for conversation in conversations:
        ids, is_response = render(conversation.messages, tokenizer)
        ledger.rows_in += 1
        if len(ids) > row_tokens + 1:
            ledger.dropped_too_long += 1  # cutting it would lose the question or the end token
        elif not any(is_response):
            ledger.dropped_no_response += 1
        else:
            _keep(Segment(np.array(ids, dtype=np.int64), np.array(is_response)), segments, ledger)
            ledger.kept += 1
    return segments, ledger


def pack(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Best fit: each segment, in the given order, goes to the fullest open row that still has room. Returns rows of indices."""
    rows: list[list[int]] = []
    open_rows: list[list[int]] = [[] for _ in range(row_tokens + 1)]  # room left → rows
    for index, length in enumerate(lengths):
        assert 0 < length <= row_tokens, f"segment {index} needs {length} tokens of a row of {row_tokens}"
        room = next((room for room in range(length, row_tokens + 1) if open_rows[room]), None)
        if room is None:
            rows.append([])
            row, room = len(rows) - 1, row_tokens
        else:
            row = open_rows[room].pop()
        rows[row].append(index)
        open_rows[room - length].append(row)
    return rows


def epoch_rows(segments: Sequence[Segment], row_tokens: int, seed: int, epoch: int) -> list[list[int]]:
    """The rows of one epoch: segments shuffled, packed, rows shuffled."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(segments))
    rows = pack([len(segments[index].ids) - 1 for index in order], row_tokens)
    return [[int(order[place]) for place in rows[row]] for row in random.permutation(len(rows))]


def batches(segments: Sequence[Segment], rows: int, row_tokens: int, seed: int, start_step: int = 0) -> Iterator[Batch]:
    """Batches without end, epoch after epoch, from `start_step` on: the same ones that a run from step 0 would see there."""
    if not segments:
        raise BatchError("no segment to train on: every text was empty, too long or without a response; see ledger.json.")
    return _stream(segments, rows, row_tokens, seed, start_step)


def all_batches(segments: Sequence[Segment], rows: int, row_tokens: int) -> Iterator[Batch]:
    """Every segment once, in order, for evaluation; the last batch is filled with empty rows."""
    packed = pack([len(segment.ids) - 1 for segment in segments], row_tokens)
    for start in range(0, len(packed), rows):
        chunk = packed[start:start + rows]
        yield assemble(segments, chunk + [[]] * (rows - len(chunk)), row_tokens)


def assemble(segments: Sequence[Segment], rows: Sequence[Sequence[int]], row_tokens: int) -> Batch:
    """Lay the rows' segments into tensors."""
    ids, targets, segment_ids, positions = np.zeros((4, len(rows), row_tokens), dtype=np.int64)
    is_target = np.zeros((len(rows), row_tokens), dtype=np.float32)
    for r, row in enumerate(rows):
        start = 0
        for number, index in enumerate(row, start=1):
            segment = segments[index]
            end = start + len(segment.ids) - 1
            ids[r, start:end] = segment.ids[:-1]
            targets[r, start:end] = segment.ids[1:]
            segment_ids[r, start:end] = number
            positions[r, start:end] = np.arange(end - start)
            is_target[r, start:end] = segment.counts[1:]
            start = end
    return Batch(*(torch.from_numpy(array) for array in (ids, targets, segment_ids, positions, is_target)))


def counted_places(is_target: Tensor) -> tuple[Tensor, Tensor]:
    """Where a flattened batch counts, filled up with place 0 to a multiple of HEAD_ROWS, and 1.0 where the place is a real one: (N,) each.

    Filled up, because a new size every step leaves holes in memory: SFT grew from 2.0 to 4.1 GB.
    """
    places = is_target.flatten().nonzero().squeeze(1)
    filling = -len(places) % HEAD_ROWS
    return F.pad(places, (0, filling)), F.pad(torch.ones(len(places), device=is_target.device), (0, filling))


def on_device(tensor: Tensor, device: str) -> Tensor:
    """To a GPU by way of memory that it can fetch from by itself, so that nobody waits."""
    return tensor.pin_memory().to(device, non_blocking=True) if device == "cuda" and not tensor.is_cuda else tensor.to(device)


def joined(*parts: Batch) -> Batch:
    """Batches of the same row length, stacked by rows."""
    return Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def _stream(segments: Sequence[Segment], rows: int, row_tokens: int, seed: int, start_step: int) -> Iterator[Batch]:
    endless = itertools.chain.from_iterable(epoch_rows(segments, row_tokens, seed, epoch) for epoch in itertools.count())
    wanted = itertools.islice(endless, start_step * rows, None)
    while True:
        yield assemble(segments, list(itertools.islice(wanted, rows)), row_tokens)


def _add_document(ids: np.ndarray, row_tokens: int, segments: list[Segment], ledger: Ledger) -> None:
    ledger.rows_in += 1
    if len(ids) < 2:
        ledger.dropped_empty += 1
        return
    ledger.kept += 1
    ledger.split += len(ids) > row_tokens + 1
    for start in range(0, len(ids) - 1, row_tokens):
        piece = ids[start:start + row_tokens + 1]
        _keep(Segment(piece, np.ones(len(piece), dtype=bool)), segments, ledger)


def _keep(segment: Segment, segments: list[Segment], ledger: Ledger) -> None:
    segments.append(segment)
    ledger.tokens += len(segment.ids) - 1
    ledger.loss_tokens += int(segment.counts[1:].sum())


def _chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    items = iter(items)
    while chunk := list(itertools.islice(items, size)):
        yield chunk
