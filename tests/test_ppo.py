"""PPO on a micro model, eager."""
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from pharmgpt.model.checkpoint import load_model, save_model
from pharmgpt.model.device import EAGER
from pharmgpt.model.generate import MOST
from pharmgpt.model.scalar_head import RewardModel
from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.text.records import Document, Message, Question
from pharmgpt.text.tokenizer import train_tokenizer
from pharmgpt.train import ppo as stage
from pharmgpt.train.batches import HEAD_ROWS, Batch, BatchError, all_batches, document_segments
from pharmgpt.train.best_of_n import best_of_n, kl_bound
from pharmgpt.train.judge import Judge, judge_facts
from pharmgpt.train.losses import language_model_loss
from pharmgpt.train.optimizer import NonFiniteError
from pharmgpt.train.ppo import (KLConfig, Measured, PPOConfig, StepConfig, draw, measure, minibatches, next_coefficient, policy_logprobs,
                                token_rewards)
from pharmgpt.train.rollout import Rollout, pack_judged, pack_rollout, roll_out, sample_answers, write_samples
from pharmgpt.train.state import step_folder

TOKENIZER = train_tokenizer(["Avoid it. The cut-off is 30. It is fine."] * 20, 270)
SHAPE = ModelConfig(vocab_size=TOKENIZER.vocab_size, d_model=16, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=16, d_ff=32,
                    max_positions=64)
CONFIG = PPOConfig(update=StepConfig(epochs=2, rows=4, row_tokens=32, critic_rows=4, critic_row_tokens=48, policy_muon_lr=2e-2,
                                     policy_lr=1e-2, critic_lr=1e-2),
                   kl=KLConfig(coefficient=0.05), iterations=4, prompts=16, max_new_tokens=8, critic_warmup=1, dev_every=2,
                   checkpoint_every=1)


def question(number):
    return Question(id=f"q{number}", family="renal", messages=(Message("user", f"May I {number}?"),), key=(), decision="", severity="",
                    part="train", pool="seen", reference="cut-off 30")


PROMPTS = [question(number) for number in range(10)]
DOCUMENTS = [Document(id=f"d{number}", text=f"The cut-off is {number}. Avoid it.", genre="leaflet", template_id="t", drugs=(), fact_ids=())
             for number in range(30)]


class Records(list):
    def write(self, record):
        self.append(record)

    def truncate(self, after_step):
        self[:] = [record for record in self if record["step"] <= after_step]

    def stop_asked(self):
        return False

    def iterations(self):
        return [record for record in self if "kl_coefficient" in record]


def random_everywhere(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, 0, 0.2, generator=generator)
    return model


@pytest.fixture
def folders(tmp_path):
    """(policy, judge) as SFT and the reward stage would leave them."""
    save_model(random_everywhere(Transformer(SHAPE), 0), tmp_path / "sft")
    judge = random_everywhere(RewardModel(SHAPE), 1)
    save_model(judge, tmp_path / "reward", judge=judge_facts(Judge(judge, TOKENIZER)))
    return tmp_path / "sft", tmp_path / "reward"


def no_gold(question_ids, answers, ended):
    return {"gold": 0.0}


def run(folders, out, config=CONFIG, monitor=no_gold, log=None, documents=()):
    log = Records() if log is None else log
    folder = stage.ppo(config, TOKENIZER, PROMPTS, documents, policy_dir=folders[0], reward_dir=folders[1], dev_questions=PROMPTS[:3],
                       monitor=monitor, out=out, log=log, device=EAGER, seed=0)
    return folder, log


def bits(folder):
    return (folder / "weights.safetensors").read_bytes()


def rollout_of(answers, ended):
    return Rollout(tuple(PROMPTS[:len(answers)]), tuple([1, 2, 3] for _ in answers), tuple(answers), tuple(map(str, answers)), tuple(ended))


def test_before_the_first_update_the_ratio_is_1_and_the_kl_is_0_exactly(folders, tmp_path):
    _, log = run(folders, tmp_path / "out", CONFIG.model_copy(update={"critic_warmup": 0, "temperature": 0.7}))
    first, later = log.iterations()[0], log.iterations()[-1]
    assert (first["first_ratio_deviation"], first["kl"], first["kl_k1"], first["kl_k2"], first["kl_k3"]) == (0, 0, 0, 0, 0)
    assert later["first_ratio_deviation"] == 0 and later["largest_ratio_deviation"] > 0.01 and later["kl"] > 0.001


def test_critic_warmup_leaves_the_policy_untouched_and_teaches_the_critic(folders, tmp_path):
    folder, log = run(folders, tmp_path / "out", CONFIG.model_copy(update={"critic_warmup": 4}))
    assert bits(folder) == bits(folders[0])
    assert all("policy_loss" not in record and record["kl"] == 0 for record in log.iterations())
    assert log.iterations()[-1]["value_loss"] < 0.9 * log.iterations()[0]["value_loss"]
    trained, _ = run(folders, tmp_path / "other")
    assert bits(trained) != bits(folders[0])


def test_ppo_raises_a_reward_that_is_easy_to_learn(folders, tmp_path, monkeypatch):
    def small_letters(judge, items, device):
        return [4 * sum(letter.islower() for letter in item.answer) / max(len(item.answer), 1) for item in items]
    monkeypatch.setattr(stage, "score", small_letters)
    _, log = run(folders, tmp_path / "out", CONFIG.model_copy(update={"iterations": 25, "prompts": 32, "checkpoint_every": 25}))
    rewards = [record["reward"] for record in log.iterations()]
    assert np.mean(rewards[-3:]) > np.mean(rewards[:3]) + 1.0
    assert log.iterations()[-1]["kl"] > 1


def test_what_documents_say_is_kept_by_a_policy_that_reads_them_beside_its_answers(folders, tmp_path):
    config = CONFIG.model_copy(update={"iterations": 8, "checkpoint_every": 8})
    segments, _ = document_segments([document.text for document in DOCUMENTS], TOKENIZER, 32)
    batch = next(all_batches(segments, 30, 32))

    def nats(folder):
        return language_model_loss(load_model(folder), *batch.language_model_inputs("cpu"), None).item()
    alone, with_text = (run(folders, tmp_path / f"{len(documents)}", config, documents=documents) for documents in ((), DOCUMENTS))
    assert nats(with_text[0]) < nats(folders[0]) - 0.5 and nats(with_text[0]) < nats(alone[0]) - 0.5
    said = [record["pretraining_loss"] for record in with_text[1].iterations() if "policy_loss" in record]
    assert said[-1] < said[0] and not any("pretraining_loss" in record for record in alone[1])
    off = config.model_copy(update={"update": config.update.model_copy(update={"ptx_coefficient": 0.0})})
    assert bits(run(folders, tmp_path / "off", off, documents=DOCUMENTS)[0]) == bits(alone[0])


def test_a_resumed_run_ends_with_the_same_bits(folders, tmp_path):
    config = CONFIG.model_copy(update={"kl": KLConfig(target_nats=0.5), "stop_after": 3})
    whole, whole_log = run(folders, tmp_path / "whole", config, documents=DOCUMENTS)
    killed = Records()

    class Killed(Exception):
        pass

    def dies_in_the_third_iteration(question_ids, answers, ended):
        if len(killed.iterations()) == 2 and len(answers) == CONFIG.prompts:
            raise Killed
        return {"gold": 0.0}

    with pytest.raises(Killed):
        run(folders, tmp_path / "parts", config, dies_in_the_third_iteration, killed, DOCUMENTS)
    parts, log = run(folders, tmp_path / "parts", config, log=killed, documents=DOCUMENTS)
    for name in ("weights.safetensors", "optimizer.safetensors", "state.json", "model.json"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    assert [{**record, "seconds": 0} for record in log] == [{**record, "seconds": 0} for record in whole_log]


def test_the_reference_is_the_sft_model_to_the_end(folders, tmp_path):
    """The KL logged in the last iteration is that of the policy it began with from the weights on disk."""
    _, log = run(folders, tmp_path / "out", CONFIG.model_copy(update={"iterations": 3}))
    policy, sft = load_model(step_folder(tmp_path / "out", 2)), load_model(folders[0])
    rollout = roll_out(policy, TOKENIZER, draw(PROMPTS, 16, 2, 0), max_new_tokens=8, temperature=1.0, generator=stage.generator_of(0, 2),
                       device=EAGER)
    batch = pack_rollout(rollout, 4, 32).batch
    before = measure(policy_logprobs, policy, sft, batch, CONFIG, EAGER)
    expected = before.kl[batch.is_target.bool()].sum().item() / 16
    assert expected > 0 and log.iterations()[2]["kl"] == expected


def test_the_critic_reads_the_excerpt_behind_which_the_policy_answered():
    """The same choices in the same order, whatever else stands in their rows."""
    rollout = rollout_of([[40, 50], [60, 70, 80], [90]], [True, False, True])
    judge = Judge(RewardModel(SHAPE), TOKENIZER)
    said, read = pack_rollout(rollout, 2, 16), pack_judged(rollout, judge, 2, 48)
    assert said.gathered(said.batch.targets).tolist() == read.gathered(read.batch.targets).tolist() == [40, 50, 60, 70, 80, 90]
    assert TOKENIZER.reference_id in read.batch.ids and TOKENIZER.reference_id not in said.batch.ids
    closed = pack_judged(rollout, replace(judge, reads_reference=False), 2, 48)
    assert TOKENIZER.reference_id not in closed.batch.ids
    for packed in (said, read):
        numbers = torch.arange(1.0, 7.0)
        assert torch.equal(packed.gathered(packed.spread(numbers)), numbers)
        assert torch.equal(packed.spread(numbers).bool(), packed.batch.is_target.bool())
        assert packed.batch.targets[packed.last_action].tolist() == [50, 80, 90]


def test_a_critic_that_reads_what_the_judge_reads_foresees_what_the_question_does_not_tell(folders, tmp_path, monkeypatch):
    """The excerpt alone decides the score: a critic without it can know no more than the mean."""
    monkeypatch.setattr(stage, "score", lambda judge, items, device: [2.0 * ("30" in item.reference) for item in items])
    monkeypatch.setattr(sys.modules[__name__], "PROMPTS", [replace(question(0), id=f"q{number}", reference=f"cut-off {30 + number % 2}")
                                                           for number in range(10)])
    config = CONFIG.model_copy(update={"critic_warmup": 30, "iterations": 30, "dev_every": 30, "checkpoint_every": 30,
                                       "critic_from": "policy"})
    _, log = run(folders, tmp_path / "reads", config)
    reading = log.iterations()[-1]["explained_variance"]
    save_model(load_model(folders[1]), folders[1], judge=judge_facts(Judge(load_model(folders[1]), TOKENIZER, reads_reference=False)))
    _, log = run(folders, tmp_path / "closed", config)
    assert reading > 0.8 and log.iterations()[-1]["explained_variance"] < 0.3


def some_rows(count: int, tokens: int) -> Batch:
    """Rows of random ids; more than half of each row's tokens are choices."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 30, (count, tokens + 1), generator=generator)
    is_target = (torch.rand(count, tokens, generator=generator) < 0.6).float()
    ones, positions = torch.ones(count, tokens, dtype=torch.int64), torch.arange(tokens).expand(count, tokens)
    return Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), ones, positions, is_target)


def chosen_logprobs(model, batch: Batch) -> torch.Tensor:
    return policy_logprobs(model, batch.ids, batch.segment_ids, batch.positions, batch.targets, *batch.counted_places("cpu"), 0.7, None)[0]


def test_log_probabilities_at_choices_and_their_gradients_are_those_of_all_logits():
    model, batch = random_everywhere(Transformer(SHAPE), 3), some_rows(3, 20)
    whole = (model(batch.ids, batch.segment_ids, batch.positions) / 0.7).log_softmax(-1)
    wanted = whole.gather(-1, batch.targets.unsqueeze(-1)).squeeze(-1) * batch.is_target
    found = chosen_logprobs(model, batch)
    torch.testing.assert_close(found, wanted)
    weights, price = list(model.parameters()), torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    ours, theirs = (torch.autograd.grad((logprobs * price).sum(), weights) for logprobs in (found, wanted))
    torch.testing.assert_close(ours, theirs)


def test_a_choice_has_the_same_bits_whatever_else_is_in_its_batch():
    model, batch = random_everywhere(Transformer(SHAPE), 3), some_rows(40, 32)
    assert batch.is_target.sum() > HEAD_ROWS  # the head takes them in several blocks
    order = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    assert torch.equal(chosen_logprobs(model, batch)[order], chosen_logprobs(model, batch.take(order)))


def test_a_missing_end_token_is_penalised_at_the_last_choice():
    packed = pack_rollout(rollout_of([[4, 5], [6, 7, 8]], [True, False]), 1, 16)
    is_action = packed.batch.is_target.bool()
    zeros = torch.zeros_like(packed.batch.is_target)
    paid = torch.tensor([1.0, 1.0]) - 2.0 * ~torch.tensor([True, False])
    rewards = token_rewards(Measured(zeros + 0.5, zeros, zeros, zeros), is_action, paid, packed.last_action, 0.1)
    # longest first: three choices from states 2-4, then two from states 7-8; each costs .1 · .5, the last ones carry 1 − 2 and 1
    assert torch.allclose(rewards[0, :10], torch.tensor([0, 0, -0.05, -0.05, -1.05, 0, 0, -0.05, 0.95, 0]))
    assert packed.batch.targets[packed.last_action].tolist() == [5, 8]


def test_without_the_penalty_the_loop_pays_answers_that_never_end(folders, tmp_path, monkeypatch):
    seen = []
    original = stage.token_rewards

    def spy(before, is_action, paid, last_action, coefficient):
        seen.append(paid)
        return original(before, is_action, paid, last_action, coefficient)

    monkeypatch.setattr(stage, "token_rewards", spy)
    monkeypatch.setattr(stage, "score", lambda judge, items, device: [1.0] * len(items))
    _, log = run(folders, tmp_path / "out", CONFIG.model_copy(update={"iterations": 1, "missing_end_penalty": 3.0}))
    ended = log.iterations()[0]["ended"]
    assert 0 <= ended < 1 and seen[0].mean().item() == pytest.approx(1 - 3 * (1 - ended), abs=1e-5)


def test_the_kl_controller_moves_at_most_a_fiftieth_and_towards_the_target():
    # error clipped at ±.2, gain .1: factors 1.02 and .98; KL 5.5 at target 5: error .1, factor 1.01
    assert next_coefficient(0.1, 50.0, 5.0, 0.1) == pytest.approx(0.102)
    assert next_coefficient(0.1, 0.0, 5.0, 0.1) == pytest.approx(0.098)
    assert next_coefficient(0.1, 5.5, 5.0, 0.1) == pytest.approx(0.101)
    assert next_coefficient(0.1, 5.0, 5.0, 0.1) == 0.1


def test_the_monitor_sees_answers_but_never_touches_the_policy(folders, tmp_path):
    one, _ = run(folders, tmp_path / "one")
    other, log = run(folders, tmp_path / "other", monitor=lambda ids, answers, ended: {"gold": float(len(answers)), "unsafe": 0.25})
    assert bits(one) == bits(other)
    assert all(record["gold"] == 16 and record["unsafe"] == 0.25 for record in log.iterations())
    assert [record["dev_gold"] for record in log if "dev_gold" in record] == [3, 3, 3]


def test_it_stops_at_the_gold_peak_and_gives_the_weights_of_the_peak(folders, tmp_path):
    golds = iter([0.1, 0.5, 0.3, 0.2])  # dev checks at steps 0, 2, 4, 6

    def peaked(question_ids, answers, ended):
        return {"gold": next(golds) if len(answers) == 3 else 0.0}

    config = CONFIG.model_copy(update={"iterations": 20, "stop_after": 2, "checkpoint_every": 2})
    folder, log = run(folders, tmp_path / "out", config, peaked)
    plain, _ = run(folders, tmp_path / "plain", CONFIG.model_copy(update={"iterations": 2}))
    assert folder.name == "step-000006" and bits(folder) == bits(plain)
    again, more = run(folders, tmp_path / "out", config, peaked)
    assert again == folder and not more


def test_a_reward_that_is_no_number_stops_the_run_before_the_update(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "score", lambda judge, items, device: [float("nan")] * len(items))
    with pytest.raises(NonFiniteError, match="replay-000000"):
        run(folders, tmp_path / "out")
    assert not list((tmp_path / "out").glob("step-*"))


def test_every_prompt_is_drawn_once_an_epoch_and_every_row_once_an_epoch():
    drawn = [question.id for iteration in range(5) for question in draw(PROMPTS, 4, iteration, seed=1)]
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == sorted(question.id for question in PROMPTS)
    rows = list(minibatches(8, 4, 2, seed=0, iteration=3))
    assert [len(row) for row in rows] == [4] * 4 and sorted(torch.cat(rows[:2]).tolist()) == list(range(8))


def test_prompts_that_leave_no_room_for_an_answer_are_counted_and_refused_if_nothing_is_left():
    judge = Judge(RewardModel(SHAPE), TOKENIZER)
    long_prompt, long_excerpt = question("x" * 100), replace(PROMPTS[1], reference="x" * 100)
    kept, ledger = stage.prompts_that_fit([PROMPTS[0], long_prompt, long_excerpt], judge, CONFIG)
    assert kept == PROMPTS[:1] and (ledger.rows_in, ledger.kept, ledger.dropped_too_long) == (3, 1, 2)
    assert stage.prompts_that_fit([long_excerpt], replace(judge, reads_reference=False), CONFIG)[0] == [long_excerpt]
    with pytest.raises(BatchError, match="row_tokens"):
        stage.prompts_that_fit([long_prompt], judge, CONFIG)
    for name in ("row_tokens", "critic_row_tokens"):
        with pytest.raises(ValueError, match=f"no room for a prompt in {name}"):
            PPOConfig(max_new_tokens=256, update=StepConfig(**{"row_tokens": 300, "critic_row_tokens": 300, name: 256}))


def test_samples_for_annotators_are_one_line_a_question_and_depend_on_the_seed_only(folders, tmp_path, monkeypatch):
    policy = load_model(folders[0])
    samples = sample_answers(policy, TOKENIZER, PROMPTS[:3], 4, max_new_tokens=6, seed=5, device=EAGER)
    write_samples(tmp_path / "samples.jsonl", samples)
    assert [sample.question_id for sample in samples] == ["q0", "q1", "q2"] and all(len(sample.answers) == 4 for sample in samples)
    assert len(set(samples[0].answers)) > 1
    monkeypatch.setitem(MOST, "cpu", 8)
    assert samples == sample_answers(policy, TOKENIZER, PROMPTS[:3], 4, max_new_tokens=6, seed=5, device=EAGER)
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) == 3


def test_best_of_n_keeps_the_answer_that_the_judge_likes_best():
    questions = (PROMPTS[0], PROMPTS[0], PROMPTS[1], PROMPTS[1])
    rollout = Rollout(questions, ([1],) * 4, ([2],) * 4, ("a", "ccc", "bb", "bb"), (True, False, True, False))
    best = best_of_n(rollout, 2, lambda items: [len(item.answer) for item in items])
    assert [(kept.question_id, kept.answer, kept.ended) for kept in best] == [("q0", "ccc", False), ("q1", "bb", True)]
    assert [kept.scores for kept in best] == [[1, 3], [2, 2]]
    assert kl_bound(1) == 0 and kl_bound(2) == pytest.approx(0.193147)
    with pytest.raises(ValueError, match="no multiple"):
        best_of_n(rollout, 3, lambda items: [0.0] * len(items))
