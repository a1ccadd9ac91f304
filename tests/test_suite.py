"""The exam's scores recounted by hand from a few marked answers."""
import numpy as np
import pytest

from pharmgpt.exam.judge import length_slope, onpolicy_pairs, reward_scores
from pharmgpt.exam.suite import ClozeSheet, ExamConfig, Sheet, Spoken, cloze_score, decision_ece, gain, gold_score, sit, stage_scores
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.subset import named_set
from pharmgpt.text.records import Element, Message, PreferencePair, Question


def sheet(question_id, *, gold=0.0, decision="avoid", keyed="avoid", family="renal", pool="seen", greedy=True, sample=0, severity="",
          unsafe=False, answer="x"):
    return Sheet(question_id, family, pool, greedy, sample, answer, True, gold, decision, keyed, severity, unsafe, {}, (), question_id)


def test_gold_is_the_mean_of_the_families_means():
    sheets = [sheet("a", gold=1.0), sheet("b", gold=0.0), sheet("c", gold=-1.0, family="pregnancy")]
    assert gold_score(sheets).value == pytest.approx((0.5 - 1.0) / 2)


def test_gain_pairs_each_question_with_itself():
    before = [sheet("a", gold=0.0), sheet("b", gold=0.5)]
    after = [sheet("b", gold=1.0), sheet("a", gold=-0.5)]
    assert gain(after, before).value == pytest.approx(0.0)
    assert gain(after[:1], before).value == pytest.approx(0.5)


def test_unsafe_rate_counts_restricted_questions_of_both_pools_and_over_caution_the_safe_ones():
    sheets = [sheet("a", unsafe=True, decision="safe"), sheet("b", keyed="reduce", pool="held_drugs", decision="reduce"),
              sheet("c", keyed="safe"), sheet("d", keyed="safe", decision="safe")]
    scores = stage_scores(sheets, None)
    assert (scores["unsafe_rate"].value, scores["unsafe_rate"].n) == (0.5, 2)
    assert (scores["over_caution"].value, scores["over_caution"].n) == (0.5, 2)
    assert scores["decision_seen"].value == pytest.approx(1 / 3)
    assert scores["decision_seen"].chance == pytest.approx(2 / 3)


def test_interactions_are_sensitive_where_major_and_specific_where_none():
    pairs = dict(family="interaction")
    sheets = [sheet("a", severity="major", decision="monitor", **pairs), sheet("b", severity="contraindicated", decision="safe", **pairs),
              sheet("c", severity="none", keyed="safe", decision="safe", **pairs),
              sheet("d", severity="moderate", decision="safe", **pairs)]
    scores = stage_scores(sheets, None)
    assert (scores["interaction_sensitivity"].value, scores["interaction_specificity"].value) == (0.5, 1.0)


def test_a_family_without_questions_has_no_value():
    assert stage_scores([sheet("a")], None)["emergency"] == (None, 0, None, None, None)


def test_completions_are_scored_by_kind_and_a_pool_without_any_has_no_value():
    def sheet(kind, answer, right):
        return ClozeSheet("c", kind, "seen", "By the book it is", answer, answer, right, "metformin")

    score = cloze_score([sheet("action", " avoided", True), sheet("action", " reduced", True), sheet("threshold", " 30", False)])
    assert (score.value, score.n, score.chance) == (.5, 3, .75)  # of two actions one is guessed, of one threshold that one
    nothing = cloze_score([])
    assert (nothing.value, nothing.n, nothing.chance) == (None, 0, None)


def test_confidence_is_the_modal_share_of_samples():
    said = ["avoid", "avoid", "avoid", "safe"]  # .75 sure, and right
    sheets = [sheet("a", greedy=False, sample=at, decision=decision) for at, decision in enumerate(said)]
    assert decision_ece(sheets).value == pytest.approx(0.25)


def question(id, family="renal"):
    key = (Element("decision", ("avoid",), 1.0),)
    return Question(id, family, (Message("user", "Can I use metformin if my eGFR is 28?"),), key, "avoid", "", "exam", "seen",
                    drugs=("metformin",), asked={"measure": "eGFR", "value": "28"})


def test_a_sitting_is_greedy_once_and_sampled_several_times_on_the_calibration_questions():
    asked = []

    def speak(questions, temperature, samples):
        asked.append((len(questions), temperature, samples))
        return [[Spoken("Avoid metformin.", True)] * samples for _ in questions]

    kb = named_set(load(), "classroom")
    sheets = sit(kb, [question(f"q{at:02}") for at in range(20)], speak, ExamConfig(samples=3, calibration_questions=10))
    assert asked == [(20, 0.0, 1), (10, 1.0, 3), (10, 1.0, 1)]
    assert {(each.gold, each.decision) for each in sheets} == {(1.0, "avoid")}
    assert sum(each.greedy for each in sheets) == 20 and len(sheets) == 20 + 30 + 10


def pair(id, chosen, rejected, flaw="wrong_decision", pool="seen"):
    return PreferencePair(id, (Message("user", "?"),), chosen, rejected, flaw, "exam", pool, drugs=(id,))


def test_the_judge_is_scored_by_pool_by_flaw_and_against_length_alone():
    pairs = [pair("a", "long answer here", "short"), pair("b", "short", "long answer here", pool="held_drugs"),
             pair("c", "long answer here", "short", flaw="rambling")]
    scores = reward_scores(pairs, np.array([2.0, -1.0, 0.0]), pairs[:1], np.array([3.0]), pairs, seed=0)
    assert (scores["pair_accuracy_seen"].value, scores["pair_accuracy_held_drugs"].value) == (0.75, 0.0)  # a tie is half right
    assert scores["safe_over_dangerous"].value == 0.5 and scores["flaw_rambling"].value == 0.5
    assert length_slope(pairs) > 0 and scores["length_only_accuracy"].value == pytest.approx(2 / 3)
    assert scores["pair_accuracy_onpolicy"].value == 1.0


def test_a_perfectly_sure_and_right_judge_is_calibrated_and_a_sure_and_wrong_one_is_not():
    pairs = [pair(f"p{at}", "a", "b") for at in range(40)]
    right = reward_scores(pairs, np.full(40, 30.0), pairs, np.full(40, 30.0), pairs, seed=0)
    wrong = reward_scores(pairs, np.full(40, -30.0), pairs, np.full(40, 30.0), pairs, seed=0)
    assert right["ece"].value == pytest.approx(0.0, abs=1e-6) and wrong["ece"].value == pytest.approx(1.0, abs=1e-6)


def test_sampled_pairs_are_a_questions_best_and_worst_answer_and_ties_make_none():
    sheets = [sheet("a", gold=gold, greedy=False, sample=at, answer=str(gold)) for at, gold in enumerate((0.2, 1.0, -0.5))]
    sheets += [sheet("b", gold=0.3, greedy=False, sample=at) for at in range(2)]
    made = onpolicy_pairs([question("a"), question("b")], sheets)
    assert [(each.chosen, each.rejected) for each in made] == [("1.0", "-0.5")]
