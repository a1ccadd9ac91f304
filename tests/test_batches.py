import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pharmgpt.text.records import Conversation, Message
from pharmgpt.text.tokenizer import train_tokenizer
from pharmgpt.train.batches import BatchError, Segment, all_batches, assemble, batches, conversation_segments, document_segments, pack


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["abc"], 263)  # bytes and specials: one token a letter


def segment(*ids: int, counts: list[bool] | None = None) -> Segment:
    return Segment(np.array(ids), np.array(counts if counts else [True] * len(ids)))


def talk(question: str, answer: str) -> Conversation:
    return Conversation("c", (Message("user", question), Message("assistant", answer)))


def test_two_segments_in_a_row_by_hand():
    batch = assemble([segment(10, 11, 12), segment(20, 21, counts=[False, True])], [[0, 1]], 5)
    assert batch.ids.tolist() == [[10, 11, 20, 0, 0]]
    assert batch.targets.tolist() == [[11, 12, 21, 0, 0]]
    assert batch.segment_ids.tolist() == [[1, 1, 2, 0, 0]]
    assert batch.positions.tolist() == [[0, 1, 0, 0, 0]]
    assert batch.is_target.tolist() == [[1, 1, 1, 0, 0]]


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(1, 16), max_size=60))
def test_packing_places_each_segment_once_and_no_row_overflows(lengths):
    rows = pack(lengths, 16)
    assert sorted(itertools.chain(*rows)) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row) <= 16 for row in rows)
    assert sum(sum(lengths[index] for index in row) <= 8 for row in rows) <= 1  # two half-empty rows would have been one


def test_a_document_ends_with_the_end_of_text(tokenizer):
    [only], ledger = document_segments(["abc"], tokenizer, 16)
    assert only.ids[-1] == tokenizer.end_of_text_id and tokenizer.decode(only.ids) == "abc"
    assert (ledger.rows_in, ledger.kept, ledger.tokens, ledger.loss_tokens) == (1, 1, 3, 3)


def test_a_long_document_is_split_so_that_each_token_is_predicted_once(tokenizer):
    segments, ledger = document_segments(["abcdefghijk"], tokenizer, 4)  # 12 tokens with the end
    assert ledger.split == 1 and ledger.loss_tokens == 11
    targets = [index for piece in segments for index in piece.ids[1:]]
    assert tokenizer.decode(targets, skip_specials=False) == "bcdefghijk<|endoftext|>"


def test_only_responses_count_in_conversations(tokenizer):
    [only], ledger = conversation_segments([talk("hello", "no")], tokenizer, 16)
    batch = assemble([only], [[0]], 16)
    counted = batch.targets[batch.is_target.bool()].tolist()
    assert tokenizer.decode(counted, skip_specials=False) == " no<|end|>"
    assert ledger.loss_tokens == 4  # a space, two letters, the end


def test_conversations_that_are_too_long_are_dropped_and_counted(tokenizer, tmp_path):
    unanswered = Conversation("x", (Message("user", "a"),))
    segments, ledger = conversation_segments([talk("a", "b"), talk("a" * 20, "b"), unanswered], tokenizer, 16)
    ledger.write(tmp_path)
    written = json.loads((tmp_path / "ledger.json").read_text())
    assert len(segments) == written["kept"] == written["dropped_too_long"] == written["dropped_no_response"] == 1
    assert written["rows_in"] == 3


def test_empty_documents_are_dropped_and_counted(tokenizer):
    segments, ledger = document_segments(["", "ab"], tokenizer, 16)
    assert len(segments) == 1 and ledger.dropped_empty == 1


SEGMENTS = [segment(*range(100 * n, 100 * n + 2 + n % 7)) for n in range(1, 40)]


def test_the_data_order_is_a_function_of_seed_and_step():
    def first(seed, start, count):
        return [batch.ids.tolist() for batch in itertools.islice(batches(SEGMENTS, 3, 16, seed, start), count)]
    whole = first(7, 0, 12)  # several epochs
    assert whole[5:] == first(7, 5, 7)
    assert whole != first(8, 0, 12)


def test_each_epoch_has_every_segment_once():
    seen = torch.cat([batch.ids[:, 0] for batch in all_batches(SEGMENTS, 3, 16)])
    counted = sum(int(batch.is_target.sum()) for batch in all_batches(SEGMENTS, 3, 16))
    assert counted == sum(len(segment.ids) - 1 for segment in SEGMENTS) and len(seen) % 3 == 0


def test_no_segments_are_an_error_that_says_so():
    with pytest.raises(BatchError, match="no segment to train on"):
        batches([], 2, 16, 0)
