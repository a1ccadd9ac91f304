"""Experts: each imperfect, together complete; the fact before the decision; short; the same seed the same words."""
import random
import re
from collections import Counter

import pytest

from pharmgpt.corpus.conversations import CARELESS, CARELESS_RATE, EXPERTS, FACTS, answer, demonstrations, full_answer
from pharmgpt.corpus.pairs import pairs_of
from pharmgpt.corpus.questions import questions
from pharmgpt.corpus.sentences import sentences
from pharmgpt.corpus.split import split_drugs
from pharmgpt.knowledge.load import load


@pytest.fixture(scope="module")
def asked(kb, split):
    return questions(kb, split, "train", "seen", seed=0, per_family=120)


@pytest.fixture(scope="module")
def talks(kb, asked, split):
    return demonstrations(kb, asked, 0, split, 3000)


def covered(kb, question, text):
    """Names of the elements whose sentences stand in the text, in the order of the text."""
    spoken = [(min(text.find(way) for way in each.ways if way in text), each.element) for each in sentences(pairs_of(kb), question)
              if any(way in text for way in each.ways)]
    return [element for _, element in sorted(spoken)]


def test_no_demonstration_covers_every_element_of_a_rich_key(kb, asked, talks):
    by_prompt = {question.messages: question for question in asked}
    rich = 0
    for talk in talks:
        question = by_prompt[talk.messages[:-1]]
        names = {element.name for element in question.key}
        if len(names) >= 3:
            rich += 1
            assert not names <= set(covered(kb, question, talk.messages[-1].content))
    assert rich > 600


def test_the_panel_together_says_everything(kb, asked):
    pairs, rng = pairs_of(kb), random.Random(0)
    for question in [each for each in asked if len(each.key) >= 3][:40]:
        said = {element for expert in EXPERTS for _ in range(20) for element in covered(kb, question, answer(pairs, question, expert, rng))}
        assert {element.name for element in question.key} <= said


def test_the_fact_stands_before_the_decision_in_three_of_four_demonstrations(kb, asked, talks):
    by_prompt = {question.messages: question for question in asked}
    first = []
    for talk in talks:
        question = by_prompt[talk.messages[:-1]]
        if any(each.element in FACTS for each in sentences(pairs_of(kb), question)):
            order = covered(kb, question, talk.messages[-1].content)
            first.append(bool(order) and order[0] in FACTS)
    assert len(first) > 800
    assert sum(first) / len(first) > .75


def test_answers_are_short(talks):
    """But for lists, which are read pair by pair: six pairs of four drugs at most."""
    lengths = sorted(len(talk.messages[-1].content) for talk in talks if talk.family != "medication_list")
    assert lengths[len(lengths) // 2] <= 130
    assert lengths[int(.99 * len(lengths))] <= 230
    lists = [talk.messages[-1].content for talk in talks if talk.family == "medication_list"]
    assert all(text.count("The pair") <= 6 and len(text) <= 480 for text in lists)


def test_no_answer_has_a_sentence_that_begins_with_a_drug(kb, talks):
    """ "Metformin" and "metformin" are different tokens: what has other tokens cannot be copied from the question."""
    starts = {word for talk in talks for word in re.findall(r"(?:^|[.?] )([A-Z][a-z]+)", talk.messages[-1].content)}
    names = {name for drug in kb.drugs.values() for name in (drug.name, *drug.brands)}
    assert not starts & {name.split()[0].capitalize() for name in names}


def test_a_verdict_on_a_pair_or_on_pregnancy_follows_the_names_it_is_about(kb, asked):
    names = sorted((drug.name for drug in kb.drugs.values()), key=len, reverse=True)
    named = f"({'|'.join(map(re.escape, names))})"
    forms = {"interaction": f"The pair {named} and {named} (interacts: (avoid|reduce the dose|monitor)|does not|has only)",
             "pregnancy": f"In pregnancy {named} is (best avoided|used with monitoring|safe to use)"}
    for question in (each for each in asked if each.family in forms):
        assert re.match(forms[question.family], full_answer(kb, question)), question


def test_a_list_is_read_pair_by_pair_up_to_the_one_that_matters(kb, asked):
    for question in (each for each in asked if each.family == "medication_list"):
        said = re.findall(r"The pair ([\w -]+?) and ([\w -]+?) (interacts|does not interact)", full_answer(kb, question))
        assert [verdict for *_, verdict in said[:-1]] == ["does not interact"] * (len(said) - 1)
        assert (said[-1][2] == "interacts") == (question.decision != "safe")
        if question.decision == "safe":
            assert len(said) == len(question.drugs) * (len(question.drugs) - 1) / 2


def test_careless_answers_are_rare_and_every_expert_speaks(talks):
    share = sum(talk.messages[-1].content in CARELESS for talk in talks) / len(talks)
    assert abs(share - CARELESS_RATE) < .012
    spoke = Counter(talk.expert for talk in talks)
    assert set(spoke) == {expert.name for expert in EXPERTS} and min(spoke.values()) > 400


def test_the_same_seed_gives_the_same_words(kb, asked, split):
    assert demonstrations(kb, asked, 5, split, 200) == demonstrations(kb, asked, 5, split, 200)
    assert demonstrations(kb, asked, 5, split, 200) != demonstrations(kb, asked, 6, split, 200)


def test_a_canonical_answer_states_the_cut_off_then_decides(kb, asked):
    question = next(each for each in asked if each.family == "renal" and each.decision == "avoid" and each.drugs == ("metformin",))
    value = question.asked["value"]
    assert full_answer(kb, question).startswith(f"For metformin the eGFR matters at 30 and 45: {value} is below 30. Avoid metformin.")


def test_every_question_has_something_to_say(kb, asked):
    assert all(full_answer(kb, question) for question in asked)
    for question in asked:
        said = {each.element for each in sentences(pairs_of(kb), question)}
        implied = {"decision"} if said & {"ask_for", "abstain", "refuse", "emergency"} else set()
        assert {element.name for element in question.key} <= said | implied
