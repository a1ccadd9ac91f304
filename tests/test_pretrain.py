"""Pretraining of a micro model, eager fp32: what it promises about learning, stopping and resuming."""
import json
import math

import pytest
import torch

from pharmgpt.model.checkpoint import load_model
from pharmgpt.model.device import EAGER
from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.text.records import Document
from pharmgpt.text.tokenizer import train_tokenizer
from pharmgpt.train import pretrain as module
from pharmgpt.train.batches import document_segments
from pharmgpt.train.losses import next_token_loss
from pharmgpt.train.optimizer import NonFiniteError, OptimizerConfig, lr_scale, make_optimizers, split_parameters
from pharmgpt.train.pretrain import PretrainConfig, pretrain, unigram_entropy

DRUGS = ["metformin", "warfarin", "ibuprofen", "lithium"]
DOCUMENTS = [Document(f"d{n}", f"{DRUGS[n % 4]} has cut-off {n % 4}0 here.", "note") for n in range(40)]
MODEL = ModelConfig(d_model=32, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=16, d_ff=48, max_positions=64)
CONFIG = PretrainConfig(model=MODEL, steps=12, rows=4, row_tokens=32, log_every=1, dev_every=6, checkpoint_every=4)


class ListLog:
    def __init__(self):
        self.records, self.truncated = [], []

    def write(self, record: dict) -> None:
        self.records.append(json.loads(json.dumps(record)))

    def truncate(self, after_step: int) -> None:
        self.truncated.append(after_step)
        self.records = [record for record in self.records if record["step"] <= after_step]

    def stop_asked(self) -> bool:
        return False


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([document.text for document in DOCUMENTS], 300)


def run(tokenizer, out, log=None, config=CONFIG, seed=0):
    return pretrain(config, tokenizer, DOCUMENTS, DOCUMENTS[:4], out=out, log=log or ListLog(), device=EAGER, seed=seed)


def weights(folder) -> dict[str, torch.Tensor]:
    return load_model(folder).state_dict()


def same(one, other) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def test_the_loss_starts_at_ln_v_and_falls_below_the_unigram_entropy(tokenizer, tmp_path):
    log = ListLog()
    folder = run(tokenizer, tmp_path, log, CONFIG.model_copy(update={"steps": 40}))
    losses = [record["loss"] for record in log.records if "loss" in record]
    assert losses[0] == pytest.approx(math.log(tokenizer.vocab_size), abs=1e-4) == log.records[0]["ln_vocab"]
    assert losses[-1] < log.records[0]["unigram_entropy"] < losses[0]
    assert log.records[-1]["dev_loss"] < log.records[0]["unigram_entropy"]
    assert folder.name == "step-000040"
    ledger = json.loads((tmp_path / "ledger.json").read_text())
    assert ledger["rows_in"] == ledger["kept"] == 40


def test_a_record_has_every_number_the_report_needs(tokenizer, tmp_path):
    log = ListLog()
    run(tokenizer, tmp_path, log)
    record = next(record for record in log.records if record["step"] == 5)
    assert record.keys() == {"step", "loss", "bits_per_byte", "lr", "grad_norm", "seconds", "tokens_per_second"}
    assert [record["step"] for record in log.records if "dev_loss" in record] == [6, 12]


def test_a_run_killed_at_any_step_and_resumed_ends_bit_identical(tokenizer, tmp_path, monkeypatch):
    whole, log = run(tokenizer, tmp_path / "whole"), ListLog()
    step = module.take_step
    calls = []

    def killed_once(*arguments):
        calls.append(None)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return step(*arguments)
    monkeypatch.setattr(module, "take_step", killed_once)
    with pytest.raises(KeyboardInterrupt):
        run(tokenizer, tmp_path / "killed", log)
    resumed = run(tokenizer, tmp_path / "killed", log)
    assert log.truncated == [0, 4]
    assert same(weights(whole), weights(resumed))
    assert (whole / "optimizer.safetensors").read_bytes() == (resumed / "optimizer.safetensors").read_bytes()
    assert [record["step"] for record in log.records if "loss" in record] == list(range(1, 13))


def test_a_finished_run_is_not_trained_again(tokenizer, tmp_path):
    first, log = run(tokenizer, tmp_path), ListLog()
    assert run(tokenizer, tmp_path, log) == first and log.records == []


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tokenizer, tmp_path):
    a, b, c = (weights(run(tokenizer, tmp_path / name, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert same(a, b) and not same(a, c)


def test_a_non_finite_loss_stops_before_the_update_and_leaves_a_replay(tokenizer, tmp_path, monkeypatch):
    initial = Transformer.initialise(MODEL.model_copy(update={"vocab_size": tokenizer.vocab_size}), 0).state_dict()
    original = module.language_model_loss
    monkeypatch.setattr(module, "language_model_loss", lambda *arguments, **named: original(*arguments, **named) * float("nan"))
    with pytest.raises(NonFiniteError, match="step 0: loss nan.*replay-000000"):
        run(tokenizer, tmp_path)
    replay = tmp_path / "replay-000000"
    assert same(initial, weights(replay))
    assert json.loads((replay / "replay.json").read_text())["step"] == 0 and (replay / "batch.safetensors").exists()


def test_next_token_loss_by_hand():
    logits = torch.tensor([[[0.0, math.log(3.0)], [0.0, 0.0], [5.0, 0.0]]])  # P(1) = 3/4, 1/2, …
    loss = next_token_loss(logits, torch.tensor([[1, 0, 1]]), torch.tensor([[1.0, 1.0, 0.0]]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_next_token_loss_of_nothing_counted_is_zero_and_of_wrong_shapes_refused():
    assert next_token_loss(torch.zeros(1, 2, 3), torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 2)).item() == 0
    with pytest.raises(AssertionError):
        next_token_loss(torch.zeros(1, 2, 3), torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3))


@pytest.mark.parametrize("tied", [False, True])
def test_the_optimizers_share_out_every_parameter_once(tied):
    model = Transformer.initialise(MODEL.model_copy(update={"tied_embeddings": tied}), 0)
    matrices, rest = split_parameters(model)
    assert sorted(map(id, matrices + rest)) == sorted(map(id, model.parameters()))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert len(matrices) == 2 * 7 and all("proj" in names[id(parameter)] for parameter in matrices)
    assert set(make_optimizers(model, OptimizerConfig())) == {"muon", "adamw"}


def test_rates_stay_flat_and_then_cool_down_to_almost_nothing():
    scales = [lr_scale(step, 10, OptimizerConfig(cooldown_fraction=0.4)) for step in range(10)]
    assert scales == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    assert lr_scale(0, 10, OptimizerConfig(warmup_steps=3)) == 0.25


def test_unigram_entropy_of_four_equal_tokens_is_ln_4(tokenizer):
    segments, _ = document_segments(["aabbccdd"], train_tokenizer(["x"], 263), 32)
    counted = [segment._replace(ids=segment.ids[[0, 1, 2, 4, 6]]) for segment in segments]  # targets a b c d
    assert unigram_entropy(counted, 263) == pytest.approx(math.log(4))


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(ValueError, match="setps"):
        PretrainConfig(setps=3)
