"""Annotators: Bradley-Terry noise as stated, majority votes, records that keep gold for measurement."""
import math

import pytest

from pharmgpt.corpus.annotators import PANEL, Annotator, annotate, expected_agreement
from pharmgpt.text.records import Message, Question

QUESTION = Question("q1", "renal", (Message("user", "Can I use metformin if my eGFR is 25?"),), (), "avoid", "", "train", "seen")
GOLD = {"good": 1.0, "fair": .6, "bad": 0.0, "bad too": 0.0}


def gold(question, answer):
    return GOLD[answer]


def samples(count, answers=("good", "fair")):
    return [{"question_id": "q1", "answers": list(answers)} for _ in range(count)]


def test_preference_probability_by_hand():
    sharp = Annotator("sharp", temperature=.5, error_rate=0)
    assert sharp.prefers_first(1.0, .5) == pytest.approx(1 / (1 + math.exp(-1)))
    assert sharp.prefers_first(.3, .3) == .5
    slips = Annotator("slips", temperature=.5, error_rate=.1)
    assert slips.prefers_first(1.0, .5) == pytest.approx(.1 + .8 / (1 + math.exp(-1)))
    assert slips.prefers_first(0, 1000) == pytest.approx(.1)


@pytest.mark.parametrize("annotator", PANEL, ids=lambda each: each.name)
def test_measured_agreement_with_gold_matches_the_stated_noise(annotator):
    made = annotate(samples(4000), [QUESTION], gold, 0, panel=[annotator])
    agreement = sum(pair.chosen == "good" for pair in made) / len(made)
    expected = annotator.prefers_first(1.0, .6)
    assert abs(agreement - expected) < 4 * math.sqrt(expected * (1 - expected) / len(made))


def test_the_panel_as_a_whole_matches_too():
    made = annotate(samples(6000), [QUESTION], gold, 1)
    expected = expected_agreement(PANEL, [.4])
    assert abs(sum(pair.chosen == "good" for pair in made) / len(made) - expected) < 4 * math.sqrt(expected * (1 - expected) / len(made))


def test_a_majority_is_surer_than_one_vote():
    one, three = (annotate(samples(3000), [QUESTION], gold, 2, votes=votes) for votes in (1, 3))
    assert sum(pair.chosen == "good" for pair in three) > sum(pair.chosen == "good" for pair in one)


def test_ties_and_repeated_answers_make_no_pair():
    assert annotate(samples(5, ("bad", "bad too", "bad")), [QUESTION], gold, 0) == []
    assert len(annotate(samples(1, ("good", "good", "bad")), [QUESTION], gold, 0)) == 1


def test_pairs_per_prompt_is_a_limit_and_no_couple_comes_twice():
    made = annotate(samples(1, ("good", "fair", "bad")), [QUESTION], gold, 0, pairs_per_prompt=5)
    assert len({frozenset((pair.chosen, pair.rejected)) for pair in made}) == len(made) == 3


def test_a_pair_keeps_gold_and_its_question():
    pair = annotate(samples(1), [QUESTION], gold, 0)[0]
    assert {pair.gold_chosen, pair.gold_rejected} == {1.0, .6}
    assert GOLD[pair.chosen] == pair.gold_chosen and pair.messages == QUESTION.messages and pair.flaw == "onpolicy"


def test_even_votes_and_unknown_questions_are_refused():
    with pytest.raises(ValueError, match="odd number from 1 to 5"):
        annotate(samples(1), [QUESTION], gold, 0, votes=2)
    with pytest.raises(ValueError, match="'q9'"):
        annotate([{"question_id": "q9", "answers": []}], [QUESTION], gold, 0)


def test_the_same_seed_gives_the_same_labels():
    assert annotate(samples(50), [QUESTION], gold, 3) == annotate(samples(50), [QUESTION], gold, 3)
    assert annotate(samples(50), [QUESTION], gold, 3) != annotate(samples(50), [QUESTION], gold, 4)
