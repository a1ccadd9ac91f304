"""The reward stage on a micro model and synthetic pairs."""
import json
import math

import numpy as np
import pytest
import torch

from pharmgpt.model.checkpoint import CheckpointError, load_model, save_model
from pharmgpt.model.device import EAGER
from pharmgpt.model.scalar_head import RewardModel
from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.text.records import Message, PreferencePair
from pharmgpt.text.tokenizer import train_tokenizer
from pharmgpt.train.batches import BatchError, assemble
from pharmgpt.train.judge import (Item, Judge, ScoreError, answer_scores, judged_segment, load_judge, log_odds, pair_scores, read_positions,
                                  score)
from pharmgpt.train.optimizer import OptimizerConfig
from pharmgpt.train.reward import RewardConfig, pair_batches, pair_segments, train_reward

TOKENIZER = train_tokenizer(["Avoid it. The cut-off is 30. It is fine at 2.5 mg. May I?"] * 20, 300)
CONFIG = RewardConfig(optimizer=OptimizerConfig(muon_lr=0.05, adamw_lr=1e-2, cooldown_fraction=0), steps=12, rows=4, row_tokens=64,
                      log_every=1, dev_every=6, checkpoint_every=4)


class Records(list):
    def write(self, record):
        self.append(record)

    def truncate(self, after_step):
        self[:] = [record for record in self if record["step"] <= after_step]

    def stop_asked(self):
        return False


@pytest.fixture
def start(tmp_path):
    """A language model with random weights, small enough to train in a second."""
    config = ModelConfig(vocab_size=TOKENIZER.vocab_size, d_model=16, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=16, d_ff=32,
                         max_positions=128)
    model, generator = Transformer.initialise(config, 0), torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and not parameter.any():  # as after training: no projection is zero
            torch.nn.init.normal_(parameter, 0, 0.2, generator=generator)
    save_model(model, tmp_path / "start")
    return tmp_path / "start"


def pair(number, chosen="Avoid it.", rejected="It is fine.", flaw="decision", reference="cut-off 30"):
    return PreferencePair(id=f"p{number}", messages=(Message("user", f"May I {number}?"),), chosen=chosen, rejected=rejected, flaw=flaw,
                          reference=reference)


PAIRS = [pair(number) for number in range(24)]


def judge_of(start, **facts):
    model = RewardModel.from_transformer(load_model(start))
    torch.nn.init.normal_(model.head.score.weight, generator=torch.Generator().manual_seed(1))
    return Judge(model, TOKENIZER, **facts)


def train(start, out, log, steps=12, **changes):
    return train_reward(CONFIG.model_copy(update={"steps": steps} | changes), TOKENIZER, start, PAIRS, PAIRS[:4], out=out, log=log,
                        device=EAGER, seed=0)


def test_sentences_are_read_at_their_ends_and_decimals_are_not():
    text = "Take 2.5 mg. Avoid it! End."
    ids = [*TOKENIZER.encode(text), TOKENIZER.end_id]
    marks = Judge(None, TOKENIZER).marks
    reads = read_positions(ids, "sentences", marks)
    read_up_to = [TOKENIZER.decode(ids[:place + 1]) for place in np.flatnonzero(reads)]
    assert read_up_to == ["Take 2.5 mg.", "Take 2.5 mg. Avoid it!", text]
    assert reads[-1] and read_positions(ids, "last", marks).sum() == 1


def test_the_end_token_is_the_last_thing_read(start):
    segment = judged_segment(judge_of(start), Item(None, (Message("user", "May I?"),), "Avoid it."))
    batch = assemble([segment], [[0]], 32)
    assert batch.ids[0][batch.is_target[0].bool()].tolist() == [TOKENIZER.end_id]


def test_scores_of_packed_answers_are_sums_over_their_own_read_tokens():
    # two answers in row 0 (2 tokens, reads both; 1 token), one in row 1; 100 marks padding and must not count
    class Fake:
        segment_ids = torch.tensor([[1, 1, 2, 0], [1, 1, 0, 0]])
        is_target = torch.tensor([[1.0, 1, 1, 0], [0, 1, 0, 0]])
    scores = torch.tensor([[1.0, 2, 5, 100], [50, 7, 100, 100]])
    assert answer_scores(scores, Fake, [[2, 0], [1]]).tolist() == [5.0, 7.0, 3.0]


def test_an_answer_scores_the_same_alone_and_packed(start):
    judge = judge_of(start)
    items = [Item("cut-off 30" * (n % 3), (Message("user", "May I?"),), "Avoid it. It is fine. " * (1 + n % 4)) for n in range(9)]
    together = log_odds(judge, items, row_tokens=128)
    alone = np.concatenate([log_odds(judge, [item]) for item in items])
    assert np.abs(alone).max() > 0.01 and np.allclose(together, alone, atol=1e-5)


def test_a_closed_judge_cannot_see_the_reference(start):
    one, other = (Item(reference, (Message("user", "May I?"),), "Avoid it.") for reference in ("cut-off 30", "fine at 2"))
    closed, open_ = judge_of(start, reads_reference=False), judge_of(start)
    assert np.equal(*log_odds(closed, [one, other])) and not np.equal(*log_odds(open_, [one, other]))


def test_both_answers_of_a_pair_share_a_batch_and_no_row_overflows(start):
    segments, ledger = pair_segments(judge_of(start), PAIRS, 64)
    lengths = [len(segment.ids) - 1 for segment in segments]
    data = pair_batches(segments, 4, 64, seed=0)
    seen = set()
    for _ in range(20):
        rows = next(data)
        indices = sorted(index for row in rows for index in row)
        assert len(rows) == 4 and all(sum(lengths[index] for index in row) <= 64 for row in rows)
        assert all(index ^ 1 in indices for index in indices) and len(set(indices)) == len(indices)
        seen |= set(indices)
    assert seen == set(range(48)) and ledger.kept == 24


def test_fewer_pairs_than_a_batch_are_all_met_each_time(start):
    segments, _ = pair_segments(judge_of(start), PAIRS[:2], 64)
    data = pair_batches(segments, 4, 64, seed=0)
    for _ in range(3):
        assert sorted(index for row in next(data) for index in row) == [0, 1, 2, 3]


def test_a_pair_that_is_too_long_is_dropped_whole_and_counted(start):
    segments, ledger = pair_segments(judge_of(start), [PAIRS[0], pair(1, rejected="It is fine. " * 40)], 64)
    assert len(segments) == 2 and ledger.dropped_too_long == 1 and ledger.rows_in == 2
    with pytest.raises(BatchError, match="no pair"):
        next(pair_batches([], 4, 64, seed=0))


def test_training_starts_at_ln_2_and_learns_which_answer_is_preferred(start, tmp_path):
    log = Records()
    train(start, tmp_path / "out", log)
    steps = [record for record in log if "loss" in record]
    assert steps[0]["loss"] == pytest.approx(math.log(2)) and steps[0]["accuracy"] == 0.5
    assert steps[-1]["loss"] < 0.3 and steps[-1]["accuracy"] == 1.0 and steps[-1]["r_chosen"] > steps[-1]["r_rejected"]
    assert [record for record in log if "dev_loss" in record][-1]["dev_accuracy_by_flaw"] == {"decision": 1.0}


def test_a_trained_judge_is_centred_scaled_and_read_back_whole(start, tmp_path):
    folder = train(start, tmp_path / "out", Records(), reader="last", reads_reference=False)
    judge = load_judge(folder, TOKENIZER)
    assert (judge.reader, judge.reads_reference) == ("last", False)
    items = [Item("", pair_.messages, answer) for pair_ in PAIRS for answer in (pair_.chosen, pair_.rejected)]
    scores = score(judge, items)
    assert np.mean(scores) == pytest.approx(0, abs=1e-4) and np.std(scores) == pytest.approx(1, abs=1e-4)
    chosen, rejected = pair_scores(judge, PAIRS)
    assert np.allclose(chosen - rejected, (np.array(scores[0::2]) - scores[1::2]) * judge.scale, atol=1e-4) and (chosen > rejected).all()


def test_a_resumed_reward_stage_ends_with_the_same_bits(start, tmp_path):
    log, whole_log = Records(), Records()
    whole = train(start, tmp_path / "whole", whole_log)
    train(start, tmp_path / "parts", log, steps=8)
    parts = train(start, tmp_path / "parts", log)
    for name in ("weights.safetensors", "model.json", "optimizer.safetensors"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    assert [record["loss"] for record in log if "loss" in record] == [record["loss"] for record in whole_log if "loss" in record]


def test_an_unfinished_reward_model_and_an_endless_answer_are_refused_with_the_fix(start):
    with pytest.raises(CheckpointError, match="run it again"):
        load_judge(start, TOKENIZER)
    with pytest.raises(ScoreError, match="128 positions; shorten"):
        score(judge_of(start), [Item(None, (Message("user", "May I?"),), "Avoid it. " * 200)])
