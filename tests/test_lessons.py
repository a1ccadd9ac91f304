"""The four simulators, repaired and as published: what each must learn, what each mistake must do, and that a run is the same anywhere."""
import inspect
import json
import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pharmgpt.lessons import pairs, published, readings, sheets
from pharmgpt.lessons.language_model import DivergedError, new_model, sample, text_of, tokens_of
from pharmgpt.lessons.material import EXPERTS, QUESTIONS, REORDERED, SEQUENCES, VOCABULARY
from pharmgpt.lessons.pairs import HELD_OUT, PAIRS
from pharmgpt.lessons.ppo import PPOConfig, ppo
from pharmgpt.lessons.pretraining import PretrainingConfig, pretraining
from pharmgpt.lessons.reward import RewardConfig, length_accuracy, reward
from pharmgpt.lessons.sft import SFTConfig, sft
from pharmgpt.lessons.sheets import LESSONS
from pharmgpt.lessons.true_score import expert_scores, true_score

LN_V, LN_2 = math.log(100), math.log(2)
SEEDS = (0, 1, 2)
pretrained = cache(lambda seed: pretraining(PretrainingConfig(seed=seed)))
tuned = cache(lambda seed: sft(SFTConfig(seed=seed), pretrained(seed).model))
judged = cache(lambda seed: reward(RewardConfig(seed=seed)))
improved = cache(lambda seed: ppo(PPOConfig(seed=seed), tuned(seed).model, judged(seed).judge))
unleashed = cache(lambda seed: ppo(PPOConfig(seed=seed, kl=0), tuned(seed).model, judged(seed).judge))
misled = cache(lambda seed: published.published_ppo(PPOConfig(seed=seed), tuned(seed).model, salt=0))


# ---- the material


def test_the_class_reads_ten_sequences_five_questions_and_twenty_pairs_over_a_hundred_words():
    assert len(SEQUENCES) == 10 and len(QUESTIONS) == 5 and len(PAIRS) == 20 and len(VOCABULARY) == len(set(VOCABULARY)) == 100
    assert not set(SEQUENCES) & set(REORDERED)


def test_every_expert_is_right_and_none_is_complete():
    for question in QUESTIONS:
        answers = [question.answer_of(expert) for expert in EXPERTS]
        assert len(set(answers)) == len(answers) and all(0 < true_score(question, answer) < 1 for answer in answers)
        assert true_score(question, " ".join(question.key.values())) == 1


def test_every_kind_of_flaw_is_trained_on_and_length_is_no_judge():
    assert {pair.flaw for pair in PAIRS[:-HELD_OUT]} == set(pairs.Flaw.__args__)
    assert length_accuracy(PAIRS) == 0.5 and length_accuracy(PAIRS[-HELD_OUT:]) == pytest.approx(0.6)


@pytest.mark.parametrize(("answer", "score"), [
    ("avoid metformin . risk of lactic acidosis .", 0.5),
    ("avoid metformin . avoid metformin .", 0),  # the repeated one loses what the first one earned
    ("avoid metformin . check inr .", 0),  # true of warfarin only
    ("avoid metformin . risk of", 0),  # unfinished
    ("yes use metformin .", -1.5),
    ("avoid metformin . yes use metformin .", 0.25 - 1.5),
    ("", 0),
])
def test_the_true_score_is_the_one_worked_by_hand(answer, score):
    assert true_score(QUESTIONS[0], answer) == pytest.approx(score)


def test_over_caution_costs_less_than_danger_but_costs():
    assert true_score(QUESTIONS[1], "avoid metformin .") == -0.5


# ---- pretraining


@pytest.mark.parametrize("seed", SEEDS)
def test_pretraining_starts_at_ln_v_and_ends_near_its_floor(seed):
    run = pretrained(seed)
    losses = [epoch.loss for epoch in run.epochs]
    assert losses[0] == pytest.approx(LN_V)
    assert all(later < earlier for earlier, later in zip(losses, losses[1:], strict=False))
    assert run.floor < losses[-1] < run.floor + 0.1 < run.unigram


@pytest.mark.parametrize("seed", SEEDS)
def test_the_context_decides_the_next_word(seed):
    last = pretrained(seed).epochs[-1]
    assert last.p_next > 0.8 and last.p_elsewhere < 0.02


def test_facts_in_another_order_are_learnt_less_well_and_then_unlearnt():
    losses = [epoch.reordered_loss for epoch in pretrained(0).epochs]
    assert losses[-1] > pretrained(0).epochs[-1].loss + 1 and min(losses) < losses[-1]


@pytest.mark.parametrize("salt", (0, 1))
def test_pretraining_as_published_stays_at_ln_v_and_wanders(salt):
    losses = np.array(published.published_pretraining(PretrainingConfig(epochs=100), salt))
    assert losses.mean() == pytest.approx(LN_V + published.NOISE**2 / 2, abs=0.015)
    assert losses.std() == pytest.approx(published.NOISE / math.sqrt(10), rel=0.3)
    assert abs(np.polyfit(np.arange(100), losses, 1)[0] * 100) < 0.03  # no trend


def test_as_published_no_step_size_changes_the_loss_because_the_table_is_not_read():
    slow, fast = (published.published_pretraining(PretrainingConfig(lr=lr), 0) for lr in (0.001, 1000.0))
    assert slow == fast
    assert pretraining(PretrainingConfig(lr=0.01)).epochs[-1].loss > pretrained(0).epochs[-1].loss + 1


def test_as_published_two_processes_disagree():
    assert published.published_pretraining(PretrainingConfig(), 0) != published.published_pretraining(PretrainingConfig(), 1)
    assert published.published_reward(0)[1] != published.published_reward(1)[1]


def test_pythons_own_hash_is_salted_so_the_publisheds_places_change_from_process_to_process():
    code = "print([hash(word) % 100 for word in ('viral', 'lactic_acidosis', 'bleeding')])"
    said = {subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
            for seed in "123"}
    assert len(said) > 1


# ---- supervised fine-tuning


@pytest.mark.parametrize("seed", SEEDS)
def test_sft_ends_near_the_floor_that_several_right_answers_leave(seed):
    run = tuned(seed)
    assert 0.1 < run.floor < run.epochs[-1].loss < run.floor + 0.06


@pytest.mark.parametrize("seed", SEEDS)
def test_sft_imitates_the_mean_expert_and_not_the_best(seed):
    scores = expert_scores()
    last = tuned(seed).epochs[-1].marks
    assert 0.4 < last.sampled + last.margin_of_error and last.sampled + last.margin_of_error < sum(scores.values()) / len(scores)
    assert last.greedy < max(scores.values())


def test_the_same_drug_gets_opposite_answers_at_egfr_28_and_85():
    answers = [text_of(tokens) for tokens in sample(tuned(0).model, [tokens_of(question.wording) for question in QUESTIONS[:2]], None)]
    assert answers[0].startswith("avoid metformin") and answers[1].startswith("yes use metformin")


@pytest.mark.parametrize("seed", SEEDS)
def test_sft_as_published_starts_at_ln_v_and_repaired_elsewhere(seed):
    assert published.published_sft(SFTConfig(seed=seed, epochs=1)).epochs[0].loss == pytest.approx(LN_V)
    assert tuned(seed).epochs[0].loss > LN_V + 0.2


# ---- reward model


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reward_model_ranks_every_training_pair_within_20_epochs_and_four_of_five_unseen(seed):
    run = judged(seed)
    assert run.epochs[0].train.loss == pytest.approx(LN_2) and run.epochs[0].train.accuracy == 0.5
    assert run.epochs[20].train.accuracy == 1 and run.epochs[-1].train.loss < 0.05 and run.epochs[-1].train.margin > 3
    assert run.epochs[-1].held_out.accuracy == pytest.approx(0.8)


def test_the_reward_loss_falls_in_every_epoch_and_the_two_scores_part():
    epochs = [epoch.train for epoch in judged(0).epochs]
    assert all(later.loss < earlier.loss for earlier, later in zip(epochs, epochs[1:], strict=False))
    assert epochs[-1].r_chosen > 0 > epochs[-1].r_rejected


def test_held_out_pairs_change_nothing_that_is_trained():
    changed = [*PAIRS[:-HELD_OUT], *[pair._replace(chosen=pair.rejected, rejected=pair.chosen) for pair in PAIRS[-HELD_OUT:]]]
    other = reward(RewardConfig(), changed)
    assert np.array_equal(other.judge.w, judged(0).judge.w)
    assert other.epochs[-1].held_out.accuracy == pytest.approx(0.2)


@pytest.mark.parametrize("salt", range(5))
def test_the_reward_model_as_published_climbs_the_loss_and_turns_its_margin_and_accuracy_over(salt):
    _, epochs = published.published_reward(salt)
    losses = [epoch.loss for epoch in epochs]
    assert losses[0] == pytest.approx(LN_2) and all(later > earlier for earlier, later in zip(losses, losses[1:], strict=False))
    assert epochs[0].accuracy == 0.5 and epochs[-1].accuracy <= 0.25 and epochs[-1].margin < 0


def test_the_scores_fall_by_the_published_steps_which_a_bias_explains():
    """Printed: −1.92, −3.92, −5.92, −7.93, −9.94. No pair decides this: 20 steps of .01 × (1 − σ(margin)) an epoch, and σ is near ½."""
    epochs = published.published_reward(0)[1][20::20]
    for scores in ([epoch.r_chosen for epoch in epochs], [epoch.r_rejected for epoch in epochs]):
        assert np.diff(scores) == pytest.approx(np.diff([-1.92, -3.92, -5.92, -7.93, -9.94]), rel=0.01)


def test_the_rising_loss_is_the_falling_margin_in_the_published_figures_and_in_ours():
    """−log σ(m) = ln 2 − m/2 near 0, so neither can be excused without the other. Printed to four and three places."""
    printed = zip((0.6945, 0.6966, 0.6988, 0.7010, 0.7032), (-0.003, -0.007, -0.011, -0.015, -0.020), strict=True)
    assert all(loss == pytest.approx(LN_2 - margin / 2, abs=0.0004) for loss, margin in printed)
    assert all(epoch.loss == pytest.approx(LN_2 - epoch.margin / 2, abs=0.0001) for epoch in published.published_reward(0)[1])


@pytest.mark.parametrize("salt", range(5))
def test_one_sign_repairs_it_with_the_same_features(salt):
    _, epochs = published.published_reward(salt, sign_repaired=True)
    assert epochs[-1].loss < LN_2 and epochs[-1].margin > 0 and epochs[40].accuracy >= 0.9


def test_the_bias_drifts_either_way_and_never_touches_margin_or_loss():
    down, up = (published.published_reward(0, sign_repaired=repaired)[1][-1] for repaired in (False, True))
    assert down.r_chosen < -9 and down.r_rejected < -9 and up.r_chosen > 9 and up.r_rejected > 9
    for each in (down, up):
        assert each.r_chosen - each.r_rejected == pytest.approx(each.margin, abs=1e-9)


# ---- PPO


@pytest.mark.parametrize("seed", SEEDS)
def test_ppo_raises_reward_and_true_score_and_is_compared_with_the_best_expert(seed):
    run, best = improved(seed), max(expert_scores().values())
    assert run.epochs[-1].reward > run.epochs[0].reward + 0.5
    assert run.after.sampled - run.after.margin_of_error > run.before.sampled + run.before.margin_of_error
    assert run.after.sampled + run.after.margin_of_error < best  # not passed, and the reading says so
    assert any("PPO's sampled answers: not passed" in line for line in readings.read_ppo(run))


def test_before_its_first_update_ppo_is_its_reference():
    first = improved(0).epochs[0]
    assert first.kl == 0
    assert ppo(PPOConfig(epochs=1, passes=1), tuned(0).model, judged(0).judge).epochs[0].clip_fraction == 0  # ratio 1 everywhere


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_leash_the_reward_rises_further_while_the_true_score_falls(seed):
    run = unleashed(seed)
    assert max(epoch.reward for epoch in run.epochs) > max(epoch.reward for epoch in improved(seed).epochs)
    assert run.after.sampled < run.before.sampled - 0.2 and run.epochs[-1].kl > 5 * improved(seed).epochs[-1].kl
    assert any(line.startswith("True score") and "Worse" in line for line in readings.read_ppo(run))


@pytest.mark.parametrize("seed", SEEDS)
def test_against_the_judge_as_published_the_reward_rises_and_the_true_score_falls(seed):
    run = misled(seed)
    assert run.epochs[-1].reward > run.epochs[0].reward + 0.3
    assert run.after.sampled + run.after.margin_of_error < run.before.sampled - run.before.margin_of_error


def test_the_critic_comes_to_explain_most_of_what_answers_are_worth():
    assert improved(0).epochs[0].explained_variance == pytest.approx(0, abs=0.01) and improved(0).epochs[-1].explained_variance > 0.7


def test_a_higher_price_of_departing_keeps_the_policy_nearer():
    far, near = (ppo(PPOConfig(kl=kl), tuned(0).model, judged(0).judge).epochs[-1].kl for kl in (0.2, 1.0))
    assert near < far


# ---- faults, sheets, readings


@pytest.mark.parametrize("fault", [value for name, value in vars(published).items() if name.endswith("_FAULT")],
                         ids=lambda fault: fault.name)
def test_the_wrong_line_is_the_one_that_runs_as_published_and_the_right_one_runs_in_its_file(fault):
    as_published = "".join(inspect.getsource(function) for function in vars(published).values() if inspect.isfunction(function))
    file, _, right = fault.right.partition(": ")
    assert fault.wrong in as_published
    assert right in (Path(published.__file__).parent / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LESSONS)
def test_every_lesson_has_a_sheet_as_it_is_and_as_published(name):
    lesson = LESSONS[name]
    config = lesson.config(epochs=3)
    plain, as_published = lesson.sheet(config), lesson.as_published(config)
    assert not plain.faults and as_published.faults and plain.reading and as_published.reading != plain.reading
    for sheet in (plain, as_published):
        assert sheet.rows[-1]["epoch"] == 3 and all(column.key in sheet.rows[-1] for column in sheet.columns)
        assert all(points for panel in sheet.panels for points in panel.series.values())


def test_the_readings_warn_where_the_numbers_do():
    untrained = pretraining(PretrainingConfig(epochs=1, lr=0.001))
    said = " ".join(readings.read_pretraining(untrained))
    assert "More --epochs?" in said and "a warning" in said
    assert "More --epochs?" not in " ".join(readings.read_pretraining(pretrained(0)))


def test_wilsons_interval_of_four_in_five_is_the_published_one():
    assert readings.wilson(4, 5) == pytest.approx((0.376, 0.964), abs=0.001)


# ---- the same anywhere, and at once


@pytest.mark.parametrize("name", LESSONS)
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(name):
    lesson = LESSONS[name]
    assert lesson.sheet(lesson.config(epochs=4)).rows == lesson.sheet(lesson.config(epochs=4)).rows
    assert lesson.sheet(lesson.config(epochs=4)).rows != lesson.sheet(lesson.config(epochs=4, seed=1)).rows


def test_processes_with_other_hash_salts_print_the_same():
    code = "from pharmgpt.cli import main; main()"
    for name in ("ppo", "reward"):
        command = [sys.executable, "-c", code, "lesson", name, "--json", "--as-published", "--epochs", "3"]
        said = {subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout for seed in "12"}
        assert len(said) == 1 and json.loads(said.pop())["lesson"] == name


@pytest.mark.parametrize("kind", [lesson.config for lesson in LESSONS.values()])
def test_a_config_is_frozen_and_knows_its_keys(kind):
    with pytest.raises(ValidationError):
        kind(learning_rate=1.0)
    with pytest.raises(ValidationError):
        kind().epochs = 3


def test_steps_that_are_too_long_end_in_a_message_that_says_so():
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match="--lr"):
        pretraining(PretrainingConfig(lr=1e308))


def test_a_new_model_prefers_no_word():
    assert not new_model(np.random.default_rng(0)).U.any()


def test_what_a_lesson_stands_on_is_what_the_lesson_before_made():
    assert np.array_equal(sheets.tuned_policy(0).E, tuned(0).model.E)
    assert np.array_equal(sheets.trained_judge(0).w, judged(0).judge.w)
