"""What a prompt about one drug asks for, read from its words."""
import pytest

from pharmgpt.corpus.questions import prompt_text, questions
from pharmgpt.corpus.routing import TOPIC_OF_FRAMES, conditions_in, masked, topic_of


@pytest.mark.parametrize("prompt, topic", [
    ("Which blood tests come with lithium?", "monitoring"),
    ("I am nine weeks pregnant and still on lisinopril, is that harmful to the baby?", "pregnancy"),
    ("He swallowed the whole bottle of digoxin, help!", "overdose"),
    ("Does gout speak against aspirin?", "contraindication"),
    ("Metformin with an eGFR of 28?", "renal"),
    ("metformin", "other")])
def test_topics_of_plain_prompts(kb, prompt, topic):
    assert topic_of(kb, prompt) == topic


def test_development_prompts_open_the_right_topic(kb, split):
    """Wordings that training frames never used, signs and conditions in other words too; .966 on 2026-11-28."""
    asked = [(topic, question) for question in questions(kb, split, "dev", "seen", 3, 40) if (topic := _topic(question))]
    right = [topic_of(kb, prompt_text(question)) == topic for topic, question in asked]
    assert len(right) > 200 and sum(right) / len(right) > 0.95


def _topic(question):
    frames = ".".join(question.template_id.split("+")[0].split(".")[:-2])
    topic = TOPIC_OF_FRAMES.get(frames)
    return "renal" if topic and question.family == "renal" else topic


def test_what_fills_a_slot_counts_as_the_slot(kb):
    text = masked(kb, "Is Glucophage fine with gout and a CrCl of 28?")
    assert text == "is   fine with {condition} and a {measure} of {value}?"


def test_the_longest_condition_wins(kb):
    assert conditions_in(kb, "I have had a recent stroke.") == ("recent_stroke",)
