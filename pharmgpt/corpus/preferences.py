"""Preference pairs: a good answer against the same with one named flaw.

Length must not tell which is which: where a flaw is grave, the better answer may say less than the worse one, and the choice leans towards
whichever length is behind in the count. `python -m pytest tests/test_preferences.py` measures what a length-only reader would reach.
"""
import random
from collections.abc import Sequence

from pharmgpt.corpus.conversations import PRIMARY, RESTS_ON_HARM, in_turns
from pharmgpt.corpus.flaws import FLAWS, Answer, Material
from pharmgpt.corpus.pairs import pairs_of
from pharmgpt.corpus.sentences import sentences
from pharmgpt.corpus.split import Split
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.text.records import PreferencePair, Question

OPTIONAL = ("mechanism", "alternative", "monitoring", "reason")
# Families whose answers state facts come oftener than in demonstrations: only there can a fact be wrong.
TURNS = {"interaction": 5, "medication_list": 5, "renal": 4, "contraindication": 3, "alternative": 3, "monitoring": 3, "pregnancy": 2,
         "symptom": 2, "missing_information": 3, "harmful": 3, "unknown_drug": 1, "emergency": 1, "out_of_scope": 1}
OMISSION_RATE = .15  # how often a good answer leaves an optional element out
# The same beside a grave flaw: a bare right answer beats a wrong one too. Judged on full answers only, "They can be taken together" cost a
# policy that says little no more than a bare warning did.
BARE_RATE = .6
TRIES = 12


def flaw_pairs(kb: KnowledgeBase, questions: Sequence[Question], seed: int, split: Split, count: int | None = None) -> list[PreferencePair]:
    """`count` pairs (default: one a question), of the part and pool of their questions.

    Train and dev pairs about seen drugs name seen drugs only.
    """
    rng, pairs = random.Random(f"{seed} flaws"), pairs_of(kb)
    by_pool: dict[tuple[str, str], list[Question]] = {}
    for question in questions:
        by_pool.setdefault((question.part, question.pool), []).append(question)
    balance, made = Balance(), []
    for number, question in enumerate(in_turns(questions, len(questions) if count is None else count, rng, TURNS)):
        allowed = tuple(sorted(kb.drugs)) if question.part == "exam" or question.pool != "seen" else split.seen
        pair = _pair(Material(pairs, question, allowed, by_pool[question.part, question.pool], rng), number, balance)
        made += [pair] if pair else []
    return made


class Balance:
    """How many more pairs had the longer answer chosen than rejected."""

    def __init__(self):
        self.longer_chosen = 0

    def note(self, chosen: str, rejected: str) -> None:
        self.longer_chosen += (len(chosen) > len(rejected)) - (len(chosen) < len(rejected))


def _pair(material: Material, number: int, balance: Balance) -> PreferencePair | None:
    question = material.question
    for name in _flaws_to_try(material.rng):
        flaw, _, grave = FLAWS[name]
        good = strong_answer(material, BARE_RATE if grave else OMISSION_RATE)
        if not good:  # the only alternative is a drug that may not be named
            return None
        bad = flaw(material, good)
        if bad is None or text_of(bad) == text_of(good):
            continue
        good, bad = _rebalanced(material, good, bad, balance) if grave else (good, bad)
        chosen, rejected = text_of(good), text_of(bad)
        balance.note(chosen, rejected)
        return PreferencePair(f"{question.part}-{question.pool}-{name}-{number:05d}", question.messages, chosen, rejected, name,
                              question.part,
                              question.pool, question.family, question.reference, question.template_id, question.drugs, question.fact_ids)
    return None


def _flaws_to_try(rng: random.Random) -> list[str]:
    """A weighted order without repeats: Efraimidis and Spirakis (2006), key u^(1/w)."""
    return sorted(FLAWS, key=lambda name: -rng.random() ** (1 / FLAWS[name][1]))


def text_of(answer: Answer) -> str:
    return " ".join(text for _, text in answer)


def strong_answer(material: Material, omission_rate: float = OMISSION_RATE) -> Answer:
    """In the usual order: the decision and the fact always, every other element unless it is left out."""
    everything = sentences(material.pairs, material.question, frozenset(material.allowed))
    optional = optional_elements(material.question)
    said = [each for each in everything if each.element not in optional or material.rng.random() > omission_rate]
    return [(each.element, material.rng.choice(each.ways)) for each in said or everything[:1]]


def optional_elements(question: Question) -> set[str]:
    """What a good answer may leave out: never what was asked for, nor the harm where it is the only reason given."""
    family = question.family
    return {name for name in OPTIONAL if name != PRIMARY.get(family) and not (name == "mechanism" and family in RESTS_ON_HARM)}


def _rebalanced(material: Material, good: Answer, bad: Answer, balance: Balance) -> tuple[Answer, Answer]:
    """Beside a grave flaw the good answer may be the shorter one: drop optional elements from the side that is longer too often."""
    long_side_leads = balance.longer_chosen > 0
    longer = len(text_of(good)) >= len(text_of(bad))
    if long_side_leads and longer:
        return _trimmed(good, material), bad
    if not long_side_leads and not longer and balance.longer_chosen < 0:
        return good, _trimmed(bad, material)
    return good, bad


def _trimmed(answer: Answer, material: Material) -> Answer:
    optional = [name for name, _ in answer if name in optional_elements(material.question)]
    left_out = material.rng.choice(optional) if optional and len(answer) > 1 else None
    return [each for each in answer if each[0] != left_out]
