import json

import pytest
import torch

from pharmgpt.model.checkpoint import load_model
from pharmgpt.model.device import EAGER
from pharmgpt.model.generate import generate
from pharmgpt.text.chat import render_prompt
from pharmgpt.text.records import Conversation, Message
from pharmgpt.text.tokenizer import train_tokenizer
from pharmgpt.train import sft as module
from pharmgpt.train.sft import SftConfig, sft
from test_pretrain import DOCUMENTS, DRUGS, ListLog, run, same, weights

CONFIG = SftConfig(steps=8, rows=4, replay_rows=1, row_tokens=32, log_every=1, dev_every=4, checkpoint_every=3)
TALKS = [Conversation(f"c{n}", (Message("user", f"{drug}?"), Message("assistant", f"cut-off {n}0"))) for n, drug in enumerate(DRUGS)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([document.text for document in DOCUMENTS], 300)


@pytest.fixture(scope="module")
def start(tokenizer, tmp_path_factory):
    return run(tokenizer, tmp_path_factory.mktemp("pretrain"))


def tune(tokenizer, start, out, log=None, config=CONFIG):
    return sft(config, tokenizer, start, TALKS, TALKS[:2], DOCUMENTS, out=out, log=log or ListLog(), device=EAGER, seed=0)


def test_it_learns_to_answer_and_to_end(tokenizer, start, tmp_path):
    log = ListLog()
    model = load_model(tune(tokenizer, start, tmp_path, log, CONFIG.model_copy(update={"steps": 150})))
    prompts = [render_prompt(talk.messages[:1], tokenizer) for talk in TALKS]
    answers = generate(model, prompts, max_new_tokens=12, end_id=tokenizer.end_id)
    assert [tokenizer.decode(answer.ids).strip() for answer in answers] == [talk.messages[1].content for talk in TALKS]
    assert all(answer.finished for answer in answers)
    assert log.records[-1]["dev_loss"] < 0.1


def test_a_run_killed_and_resumed_ends_bit_identical(tokenizer, start, tmp_path, monkeypatch):
    whole = tune(tokenizer, start, tmp_path / "whole")
    step, calls = module.take_step, []

    def killed_once(*arguments):
        calls.append(None)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return step(*arguments)
    monkeypatch.setattr(module, "take_step", killed_once)
    with pytest.raises(KeyboardInterrupt):
        tune(tokenizer, start, tmp_path / "killed")
    assert same(weights(whole), weights(tune(tokenizer, start, tmp_path / "killed")))


def test_replayed_text_keeps_what_pretraining_knew(tokenizer, start, tmp_path):
    """With replay the loss on documents ends lower than without it."""
    def loss_after(name, replay_rows):
        folder = tune(tokenizer, start, tmp_path / name, config=CONFIG.model_copy(update={"steps": 30, "replay_rows": replay_rows}))
        ids = torch.tensor([tokenizer.encode(DOCUMENTS[0].text)])
        logits = load_model(folder)(ids[:, :-1])
        return torch.nn.functional.cross_entropy(logits[0], ids[0, 1:]).item()
    assert loss_after("with", 2) < loss_after("without", 0)


def test_epochs_decide_the_steps_where_no_steps_are_given(tokenizer, start, tmp_path):
    config = CONFIG.model_copy(update={"steps": None, "epochs": 3.0, "rows": 2})
    folder = tune(tokenizer, start, tmp_path, config=config)
    assert folder.name == "step-000006"  # four conversations fill two rows; one row a step is theirs
    assert json.loads((tmp_path / "ledger.json").read_text())["replay_documents"] == len(DOCUMENTS)


def test_replay_must_leave_rows_to_conversations():
    with pytest.raises(ValueError, match="replay_rows"):
        SftConfig(rows=4, replay_rows=4)
