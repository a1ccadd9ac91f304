"""How people tell harms and conditions: known names, other words in every part, and questions that use them."""
import re
from itertools import chain

import pytest

from pharmgpt.corpus.clinical import MINOR, URGENT
from pharmgpt.corpus.phrasing import in_digits
from pharmgpt.corpus.questions import prompt_text, questions
from pharmgpt.corpus.wordings import told

PARTS, FORMS, WHATS = ("train", "dev", "exam"), ("phrases", "clauses"), ("signs", "conditions")


def said(what, part):
    return set(chain.from_iterable(words for form in FORMS for words in told(what, part, form).values()))


def runs_of_four(text):
    words = re.findall(r"[a-z']+", text.lower())
    return {tuple(words[at:at + 4]) for at in range(len(words) - 3)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", PARTS)
def test_every_harm_that_is_asked_about_is_told_in_every_part(kb, part, form):
    signs, conditions = told("signs", part, form), told("conditions", part, form)
    assert set(signs) == {*URGENT, *MINOR} <= set(kb.effects) and min(map(len, signs.values())) >= 4
    assert len(conditions) > 80 and set(conditions) <= set(kb.conditions) and min(map(len, conditions.values())) >= 2


@pytest.mark.parametrize("what", WHATS)
def test_no_telling_and_no_four_words_of_one_stand_in_training_and_elsewhere(what):
    train, others = said(what, "train"), said(what, "dev") | said(what, "exam")
    assert not train & others
    assert not set().union(*map(runs_of_four, train)) & set().union(*map(runs_of_four, others))


@pytest.mark.parametrize("what", WHATS)
def test_tellings_name_no_drug_and_hold_no_digit(kb, what):
    names = {name.lower() for drug in kb.drugs.values() for name in (drug.name, *drug.brands)} - {"aspirin"}
    for text in chain.from_iterable(said(what, part) for part in PARTS):
        assert not set(re.findall(r"[a-z]+", text.lower())) & names and not re.search(r"\d", text), text


@pytest.mark.parametrize("part", PARTS)
def test_questions_tell_signs_and_conditions_in_the_words_of_their_part(kb, split, part):
    asked = [each for each in questions(kb, split, part, "seen", 0, 60) if each.family in ("symptom", "contraindication")]
    words = {"clause": said("signs", part) | said("conditions", part), "phrase": said("conditions", part)}
    told_so = [(name, each) for each in asked for name in words if name in each.asked]
    assert len(told_so) > 30
    for name, question in told_so:
        assert question.asked[name] in words[name] and question.asked[name].lower() in prompt_text(question).lower()


def test_a_number_is_typed_in_digits():
    text = "Took thirty tablets, two-thirds of a strip. Ten or someone?"
    assert in_digits(text) == "Took 30 tablets, two-thirds of a strip. 10 or someone?"
