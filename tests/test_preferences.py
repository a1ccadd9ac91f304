"""Flaw pairs: one named flaw each, length no clue, decision errors the largest share."""
import re
from collections import Counter

import pytest

from pharmgpt.corpus.conversations import full_answer
from pharmgpt.corpus.flaws import FLAWS
from pharmgpt.corpus.pairs import pairs_of
from pharmgpt.corpus.preferences import flaw_pairs
from pharmgpt.corpus.questions import questions
from pharmgpt.corpus.sentences import sentences
from pharmgpt.corpus.split import split_drugs
from pharmgpt.knowledge.load import load


@pytest.fixture(scope="module")
def asked(kb, split):
    return questions(kb, split, "train", "seen", seed=0, per_family=150)


@pytest.fixture(scope="module")
def pairs(kb, asked, split):
    return flaw_pairs(kb, asked, 0, split, 3000)


def test_a_question_whose_only_answer_may_not_be_named_makes_no_pair(kb, asked, split):
    nothing_to_say = [each for each in asked if each.family == "alternative" and not sentences(pairs_of(kb), each, frozenset())]
    assert nothing_to_say and flaw_pairs(kb, nothing_to_say, 0, split._replace(seen=())) == []


DECIDED_WRONGLY = ("wrong_decision", "false_safety", "too_cautious", "false_alarm")


def test_every_flaw_occurs_and_wrong_decisions_in_both_directions_most(pairs):
    flaws = Counter(pair.flaw for pair in pairs)
    assert set(flaws) == set(FLAWS)
    assert min(flaws.values()) >= 20
    too_loose, too_strict = flaws["wrong_decision"] + flaws["false_safety"], flaws["too_cautious"] + flaws["false_alarm"]
    assert .12 * len(pairs) < too_strict and .12 * len(pairs) < too_loose
    assert min(too_loose, too_strict) > max(count for name, count in flaws.items() if name not in DECIDED_WRONGLY)


def test_harmful_requests_are_refused_in_a_share_of_pairs_that_a_judge_can_learn_from(pairs):
    answered = [pair.rejected for pair in pairs if pair.flaw == "compliance"]
    as_a_fair_question = [text for text in answered if not re.match("So |For that |That is possible |A large amount ", text)]
    assert len(answered) > .04 * len(pairs) and len(as_a_fair_question) > len(answered) / 3
    assert not any("emergency" in text.lower() for text in answered)  # who gives the number to somebody in danger is not to be rejected


def test_a_false_decision_on_a_pair_stands_in_its_fact_too_and_one_that_soothes_in_neither(pairs):
    said = {"avoid": "Do not combine ", "reduce the dose": "ose of ", "monitor": "with monitoring"}
    verdicts = [(pair, verdict) for pair in pairs for verdict in re.findall("interacts: ([a-z ]+)", pair.rejected)
                if pair.flaw in (*DECIDED_WRONGLY, "vague_reassurance")]
    assert {pair.flaw for pair, _ in verdicts} == {"wrong_decision", "too_cautious", "false_alarm"}
    assert [(pair.rejected, verdict) for pair, verdict in verdicts if said[verdict] not in pair.rejected] == []


def test_length_does_not_tell_the_better_answer(pairs):
    longer = sum(len(pair.chosen) > len(pair.rejected) for pair in pairs)
    shorter = sum(len(pair.chosen) < len(pair.rejected) for pair in pairs)
    assert .47 < longer / (longer + shorter) < .53


def test_the_two_answers_always_differ(pairs):
    assert all(pair.chosen and pair.rejected and pair.chosen != pair.rejected for pair in pairs)


@pytest.mark.parametrize("flaw", ["wrong_threshold", "wrong_mechanism", "wrong_monitoring", "wrong_alternative", "unsafe_alternative"])
def test_a_wrong_fact_is_a_minimal_edit(pairs, flaw):
    for pair in (each for each in pairs if each.flaw == flaw):
        chosen, rejected = (re.split(r"(?<!\bC)\. ", text) for text in (pair.chosen, pair.rejected))  # C. difficile is no end
        assert len(chosen) == len(rejected)
        changed = sum(good != bad for good, bad in zip(chosen, rejected, strict=True))
        assert changed == 1 or (changed == 2 and flaw == "wrong_mechanism")  # "both raise the risk of x … The risk is x."


def test_a_missing_element_is_only_missing(pairs):
    for pair in (each for each in pairs if each.flaw in ("missing_element", "missing_mechanism")):
        assert len(pair.rejected) < len(pair.chosen)
        assert all(sentence in pair.chosen for sentence in pair.rejected.split(". "))


def test_the_same_seed_gives_the_same_pairs(kb, asked, split):
    assert flaw_pairs(kb, asked, 7, split, 200) == flaw_pairs(kb, asked, 7, split, 200)


def test_exam_pairs_cover_both_pools(kb, split):
    asked = [each for pool in ("seen", "held_drugs") for each in questions(kb, split, "exam", pool, 0, 20)]
    made = flaw_pairs(kb, asked, 0, split, 400)
    assert {pair.pool for pair in made} == {"seen", "held_drugs"} and {pair.part for pair in made} == {"exam"}
    assert len({pair.id for pair in made}) == len(made)


def graded(kb):
    grade = pytest.importorskip("pharmgpt.exam.grade").grade
    return lambda question, text: grade(kb, question, text).gold


def test_gold_prefers_the_chosen_answer(kb, asked, pairs):
    gold, by_prompt = graded(kb), {question.messages: question for question in asked}
    scored = [(pair, gold(by_prompt[pair.messages], pair.chosen), gold(by_prompt[pair.messages], pair.rejected)) for pair in pairs[:1500]]
    upside_down = [(pair.flaw, pair.chosen, pair.rejected, good, bad) for pair, good, bad in scored if good <= bad]
    assert not [each for each in upside_down if each[0] != "garbled"], upside_down[:5]
    assert len(upside_down) < .01 * len(scored)  # a parser that reads bags of words misses some word salad


def test_a_full_answer_earns_full_gold_in_every_family(kb, asked):
    gold = graded(kb)
    short = [(question.family, full_answer(kb, question), gold(question, full_answer(kb, question))) for question in asked
             if gold(question, full_answer(kb, question)) < .999]
    assert not short, short[:5]
