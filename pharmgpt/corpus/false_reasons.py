"""Answers that are wrong throughout: a false fact, and the decision that would follow from it.

Nothing within such an answer gives it away ("25 is above 30. So it can be used."), so a judge must compare it with what is true. A
policy finds this form as soon as its judge only looks for reason and decision at odds.
"""
import random
from itertools import combinations

from pharmgpt.corpus.pairs import Pairs
from pharmgpt.corpus.sentences import (DOES_NOT_INTERACT, condition_phrase, cut_offs, decision_in_pregnancy, decision_on,
                                       decision_on_pair, interacting_pair, interacts, limits_of, listed_condition, position_of,
                                       positions, said_of_pair)
from pharmgpt.text.records import Question


def false_reason(pairs: Pairs, question: Question, decision: str, rng: random.Random) -> tuple[str, tuple[str, ...]] | None:
    """(false fact, ways to decide accordingly); None where the family has no such form, "" where the decision is the fact."""
    kb, restricts = pairs.kb, decision != "safe"
    if question.family in ("interaction", "medication_list"):
        pair = _named_pair(pairs, question, rng)
        return _false_pairs(pairs, question, pair if restricts else None, decision), decision_on_pair(pairs, pair, decision)
    name = kb.drugs[question.drugs[0]].name
    if question.family == "renal":
        asked = question.asked
        limits = limits_of(kb.drugs[question.drugs[0]], asked["measure"]) or (str(int(asked["value"]) + 10),)  # none: it gets one
        false = positions(limits)[0 if restricts else -1]
        return (cut_offs(name, asked, limits, false), decision_on(name, decision)) if false != position_of(asked["value"], limits) else None
    if question.family == "contraindication":
        condition = condition_phrase(kb, question.asked["condition"])
        return listed_condition(name, condition, restricts), decision_on(name, decision)
    if question.family == "pregnancy":
        return "", decision_in_pregnancy(name, decision)
    return None


def _named_pair(pairs: Pairs, question: Question, rng: random.Random) -> tuple[str, str]:
    """The pair in question, or any of a list in which no pair matters."""
    if question.family == "medication_list" and question.decision == "safe":
        return rng.choice(list(combinations(question.drugs, 2)))
    return interacting_pair(pairs, question)


def _false_pairs(pairs: Pairs, question: Question, interacting: tuple[str, str] | None, decision: str) -> str:
    """Pair by pair up to the one said to interact, with that decision; without one, all are said not to."""
    drugs = question.drugs if question.family == "medication_list" else interacting_pair(pairs, question)
    said = []
    for a, b in combinations(drugs, 2):
        said.append(said_of_pair(pairs, a, b, interacts(decision) if (a, b) == interacting else DOES_NOT_INTERACT))
        if (a, b) == interacting:
            break
    return " ".join(said)
