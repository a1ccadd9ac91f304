"""What training may not have met: held drugs, exam frames, exam (drug, value) pairs. Checked on text, not on intentions."""
import re
from dataclasses import asdict
from functools import partial

import pytest

from pharmgpt.corpus.annotators import annotate, names_seen_only
from pharmgpt.corpus.conversations import demonstrations
from pharmgpt.corpus.handbook import excerpt
from pharmgpt.corpus.preferences import flaw_pairs
from pharmgpt.corpus.question_frames import question_frames
from pharmgpt.corpus.questions import prompt_text, questions
from pharmgpt.corpus.split import split_drugs
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.subset import named_set
from pharmgpt.knowledge.names import find_drugs

PARTS = ("train", "dev", "exam")


@pytest.fixture(scope="module")
def kb():
    return named_set(load(), "classroom")


@pytest.fixture(scope="module")
def split(kb):
    return split_drugs(kb, 14, seed=3)


@pytest.fixture(scope="module")
def asked(kb, split):
    plan = [(part, "seen") for part in PARTS] + [("dev", "held_drugs"), ("exam", "held_drugs")]
    return {each: questions(kb, split, *each, seed=3, per_family=60, excerpt=partial(excerpt, kb)) for each in plan}


def drugs_named(kb, texts):
    return {mention.drug_id for text in texts for mention in find_drugs(kb, text)}


def test_the_detector_sees_a_held_drug(kb, split):
    assert drugs_named(kb, [f"Take {kb.drugs[split.held[0]].name}."]) == {split.held[0]}


@pytest.mark.parametrize("part", ["train", "dev"])
def test_no_held_drug_in_what_seen_questions_experts_and_pairs_say(kb, split, asked, part):
    seen_questions = asked[part, "seen"]
    texts = [text for question in seen_questions for text in (*(message.content for message in question.messages), question.reference)]
    texts += [talk.messages[-1].content for talk in demonstrations(kb, seen_questions, 0, split, 1200)]
    texts += [text for pair in flaw_pairs(kb, seen_questions, 0, split, 1200) for text in (pair.chosen, pair.rejected)]
    assert not drugs_named(kb, set(texts)) & set(split.held)


def test_mixed_questions_do_not_let_held_drugs_into_pairs_about_seen_ones(kb, split, asked):
    mixed = asked["dev", "seen"] + asked["dev", "held_drugs"]
    texts = {text for pair in flaw_pairs(kb, mixed, 0, split, 1200) if pair.pool == "seen" for text in (pair.chosen, pair.rejected)}
    assert not drugs_named(kb, texts) & set(split.held)


def test_references_are_there_to_be_checked(asked):
    assert sum(bool(question.reference) for question in asked["train", "seen"]) > 400


def test_experts_do_not_answer_about_held_drugs(kb, split, asked):
    with pytest.raises(ValueError, match="seen drugs only"):
        demonstrations(kb, asked["dev", "held_drugs"], 0, split)


def test_annotators_never_see_an_answer_about_a_held_drug(kb, split, asked):
    held, seen = kb.drugs[split.held[0]].name, kb.drugs[split.seen[0]].name
    question = asked["train", "seen"][0]
    sample = {"question_id": question.id, "answers": [f"Avoid {held}.", f"Avoid {seen}.", "Avoid it."]}
    made = annotate([sample], [question], lambda _, answer: len(answer), 0, may_be_shown=names_seen_only(kb, split))
    assert len(made) == 1 and {made[0].chosen, made[0].rejected} == {f"Avoid {seen}.", "Avoid it."}


def test_templates_belong_to_one_part(asked):
    used = {part: {piece for (of, _), made in asked.items() if of == part for question in made for piece in question.template_id.split("+")}
            for part in PARTS}
    assert all(used.values())
    assert not used["train"] & used["dev"] and not used["train"] & used["exam"] and not used["dev"] & used["exam"]


def masked(frame):
    return re.sub(r"[^a-z_]+", " ", re.sub(r"\{\w+\}", "_", frame.lower())).strip()


def test_frames_of_two_parts_differ_even_with_every_slot_masked():
    texts = {part: {masked(frame) for frames in question_frames(part).values() for frame in frames} for part in PARTS}
    assert not texts["train"] & texts["dev"] and not texts["train"] & texts["exam"] and not texts["dev"] & texts["exam"]


def test_no_sentence_of_three_words_stands_in_training_frames_and_in_others():
    def sentences(part):
        frames = (frame for frames in question_frames(part).values() for frame in frames)
        said = {masked(sentence) for frame in frames for sentence in re.split(r"[.?!:;]", frame)}
        return {sentence for sentence in said if len(re.findall(r"[a-z]{2,}", sentence)) > 2}
    assert sentences("train") & (sentences("exam") | sentences("dev")) == set()


def test_questions_of_two_parts_differ_even_with_names_and_numbers_masked(kb, asked):
    def shape(question):
        text = prompt_text(question)
        for mention in sorted(find_drugs(kb, text), key=lambda each: -each.start):
            text = f"{text[:mention.start]}_{text[mention.end:]}"
        for word in (question.asked.get("name"), question.asked.get("sign"), question.asked.get("clause")):
            text = re.sub(re.escape(word), "_", text, flags=re.IGNORECASE) if word else text
        return masked(re.sub(r"\d+", "_", text))

    shapes = {part: {shape(question) for (of, _), made in asked.items() if of == part for question in made} for part in PARTS}
    assert not shapes["train"] & shapes["exam"] and not shapes["dev"] & shapes["exam"] and not shapes["train"] & shapes["dev"]


def test_no_drug_meets_the_same_value_in_two_parts(asked):
    met = {part: {(drug, question.asked["value"]) for (of, _), made in asked.items() if of == part for question in made
                  if "value" in question.asked and question.family != "unknown_drug" for drug in question.drugs} for part in PARTS}
    assert all(met.values())
    assert not met["train"] & met["exam"] and not met["dev"] & met["exam"] and not met["train"] & met["dev"]
    assert ("metformin", "28") not in met["train"] | met["dev"]


def test_made_up_names_belong_to_one_part_and_to_no_drug(kb, asked):
    names = {part: {question.asked["name"] for question in asked[part, "seen"] if "name" in question.asked} for part in PARTS}
    assert not names["train"] & names["exam"] and not names["dev"] & names["exam"]
    assert not drugs_named(kb, set().union(*names.values()))


def test_records_survive_as_plain_data(asked):
    question = asked["train", "seen"][0]
    assert asdict(question)["part"] == "train"
