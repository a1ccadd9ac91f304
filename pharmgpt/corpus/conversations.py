"""Simulated experts who answer train questions, each imperfectly.

An expert's habits say how often each element is mentioned. None covers everything: the union of the panel is complete, so a policy that
learns from preferences can become more complete than any one teacher. Experts know their facts; wrong answers belong to annotators'
pairs, not to demonstrations. A small share of answers is careless, as people's are.
"""
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from pharmgpt.corpus.pairs import Pairs, pairs_of
from pharmgpt.corpus.sentences import Sentence, sentences
from pharmgpt.corpus.split import Split
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.text.records import Conversation, Message, Question

FACTS = ("basis", "threshold", "condition", "pair")  # stated before the decision
RESTS_ON_HARM = ("pregnancy", "symptom")  # here the harm is the fact that the decision rests on
ALWAYS_SAID = ("abstain", "refuse", "emergency", "ask_for")  # answers of one sentence
MINOR_ELEMENTS = ("monitoring", "alternative", "mechanism")  # dropped first when an answer would be complete
PRIMARY = {"monitoring": "monitoring", "alternative": "alternative"}  # what such a question asks for is said by every expert, nearly always
PRIMARY_RATE = .85
TURNS = {"interaction": 8, "renal": 8, "medication_list": 7, "contraindication": 6, "alternative": 6, "pregnancy": 5, "monitoring": 5,
         "emergency": 5, "harmful": 5, "symptom": 5, "unknown_drug": 5, "missing_information": 4, "out_of_scope": 2}
CARELESS_RATE = .01
CARELESS = ("It depends on the case.", "Better ask someone who knows you.")


@dataclass(frozen=True)
class Expert:
    """How often each element is mentioned where there is something to say."""

    name: str
    fact: float
    decision: float
    mechanism: float
    alternative: float
    monitoring: float

    def mentions(self, element: str, family: str) -> float:
        if element in ALWAYS_SAID:
            return 1.0
        is_fact = element in FACTS or (element == "mechanism" and family in RESTS_ON_HARM)
        usual = self.fact if is_fact else getattr(self, "mechanism" if element == "reason" else element)
        return max(usual, PRIMARY_RATE) if PRIMARY.get(family) == element else usual


EXPERTS = (
    Expert("prescriber", fact=.95, decision=.99, mechanism=.2, alternative=.3, monitoring=.25),
    Expert("pharmacologist", fact=.85, decision=.85, mechanism=.85, alternative=.08, monitoring=.1),
    Expert("pragmatist", fact=.78, decision=.97, mechanism=.12, alternative=.95, monitoring=.2),
    Expert("nurse", fact=.78, decision=.97, mechanism=.25, alternative=.12, monitoring=.95),
    Expert("consultant", fact=.85, decision=.95, mechanism=.45, alternative=.4, monitoring=.35),
)


def demonstrations(kb: KnowledgeBase, questions: Sequence[Question], seed: int, split: Split,
                   count: int | None = None) -> list[Conversation]:
    """`count` answered questions (default: each once). Experts name seen drugs only; TURNS says in what proportion."""
    rng, pairs, allowed = random.Random(f"{seed} demonstrations"), pairs_of(kb), frozenset(split.seen)
    questions = [question for question in questions if _can_be_met(pairs, question, allowed)]
    chosen = in_turns(questions, len(questions) if count is None else count, rng)
    return [_demonstration(pairs, question, rng.choice(EXPERTS), number, allowed, rng) for number, question in enumerate(chosen)]


def _can_be_met(pairs: Pairs, question: Question, allowed: frozenset[str]) -> bool:
    """Whether an expert can name what is asked for: an alternative that is a held drug would leave only the harm to tell."""
    wanted = PRIMARY.get(question.family)
    return wanted is None or any(sentence.element == wanted for sentence in sentences(pairs, question, allowed))


def shares(count: int) -> dict[str, int]:
    """How many questions of each family `count` demonstrations take."""
    return {family: math.ceil(count * turns / sum(TURNS.values())) for family, turns in TURNS.items()}


def in_turns(questions: Sequence[Question], count: int, rng: random.Random, turns: Mapping[str, int] = TURNS) -> list[Question]:
    """`count` questions, families in the proportion of `turns`; each in its own shuffled order, and from the start when it runs out."""
    by_family: dict[str, list[Question]] = {}
    for question in questions:
        by_family.setdefault(question.family, []).append(question)
    for group in by_family.values():
        rng.shuffle(group)
    queues = {family: cycle(group) for family, group in by_family.items()}
    order = [family for family in sorted(by_family) for _ in range(turns[family])]
    rng.shuffle(order)
    chosen = [next(queues[family]) for family in islice(cycle(order), count)]
    rng.shuffle(chosen)
    return chosen


def _demonstration(pairs: Pairs, question: Question, expert: Expert, number: int, allowed: frozenset[str],
                   rng: random.Random) -> Conversation:
    if question.part == "exam" or question.pool != "seen":
        raise ValueError(f"Question {question.id} is of part {question.part!r}, pool {question.pool!r}: "
                         "experts answer train and dev questions about seen drugs only.")
    text = answer(pairs, question, expert, rng, allowed)
    return Conversation(f"demonstration-{number:05d}", (*question.messages, Message("assistant", text)), question.family, expert.name,
                        question.template_id, question.drugs, question.fact_ids)


def answer(pairs: Pairs, question: Question, expert: Expert, rng: random.Random, allowed: frozenset[str] | None = None) -> str:
    """One expert's answer; never every element where the key has three or more."""
    if rng.random() < CARELESS_RATE:
        return rng.choice(CARELESS)
    everything = sentences(pairs, question, allowed)
    said = [sentence for sentence in everything if rng.random() < expert.mentions(sentence.element, question.family)]
    if len(question.key) >= 3 and _covers(said, question):
        said = _without_least_usual(said, expert, question.family)
    return spoken(said or everything[:1], rng)


def _covers(said: Sequence[Sentence], question: Question) -> bool:
    return {element.name for element in question.key} <= {sentence.element for sentence in said}


def _without_least_usual(said: list[Sentence], expert: Expert, family: str) -> list[Sentence]:
    """Leave out the expert's rarest habit among the minor elements."""
    minor = [sentence for sentence in said if sentence.element in MINOR_ELEMENTS] or said[-1:]
    rarest = min(minor, key=lambda sentence: expert.mentions(sentence.element, family))
    return [sentence for sentence in said if sentence is not rarest]


def spoken(said: Sequence[Sentence], rng: random.Random) -> str:
    return " ".join(rng.choice(sentence.ways) for sentence in said)


def full_answer(kb: KnowledgeBase, question: Question) -> str:
    """Every element in its first wording: the yardstick of tests. No training data holds it."""
    return " ".join(sentence.ways[0] for sentence in sentences(pairs_of(kb), question))
