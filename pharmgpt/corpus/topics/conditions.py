"""Contraindications, conditions that are none, and what signs under a drug point to.

The list comes before the verdict: whether a condition is on it can be read off, where a verdict alone would have to be remembered for
every condition.
"""
from collections.abc import Iterator, Sequence
from random import Random

from pharmgpt.corpus.cases import MINOR, TOLD_SIGNS, URGENT, alternatives, unrelated_conditions
from pharmgpt.corpus.facts import FactBook, drug_slots, instead_facts, instead_names, instead_slots
from pharmgpt.corpus.frames import Case, Topic, Varied, by_name, step
from pharmgpt.corpus.phrasing import CONDITION_SIGNS, EFFECT_SIGNS, capital, listed
from pharmgpt.corpus.wordings import told
from pharmgpt.knowledge.schema import Contraindication, Drug

MOST_LISTED, MOST_SIGNS = 5, 3

LISTED = {
    "label_section": ("Contraindications of {drug}: {all}.", "{Drug}. Contraindications: {all}.", "Do not give {drug} in {condition}."),
    "monograph": ("{Drug} has {condition} among its contraindications.",
                  "With {drug} one looks for {condition} first: it is a contraindication."),
    "case_note": ("History: {condition}. Contraindications of {drug}: {all}. {Condition} is on the list, so {drug} is avoided.",
                  "{person} with {condition}, {drug} planned. Contraindicated for {drug}: {all}. {Condition} is among them: avoid it.",
                  "{place}. {Drug} and {condition}: listed as a contraindication, {drug} is avoided."),
    "dialogue": ("Nurse: Known {condition}. Can {drug} start? Pharmacist: Contraindicated: {all}. {Condition} is listed, so avoid it.",
                 "Student: What forbids {drug}? Consultant: {all}."),
    "leaflet": ("{Condition}? Then do not take {drug}.", "Before {drug}, tell us about {all}."),
    "exam_note": ("{Drug}, contraindications to know: {all}.", "Is {condition} on the list of {drug}? Yes: {all}. Avoid."),
    "table_row": ("{drug} | contraindicated | {all}", "{drug} | {condition} | on the list | avoid"),
}
WHY = ("There it can bring {effect}.", "The fear there is {effect}.")
INSTEAD = ("{instead} could be tried.", "In place of {drug}: {instead}.")

UNLISTED = {
    "case_note": ("History: {condition}. Contraindications of {drug}: {all}. {Condition} is not on the list, so {drug} is safe to use.",
                  "{person} with {condition}, {drug} planned. Contraindicated for {drug}: {all}. {Condition} is not among them: no bar.",
                  "{place}. {Drug} and {condition}: not listed as a contraindication, {drug} is safe here."),
    "dialogue": ("Nurse: Known {condition}. Can {drug} start? Pharmacist: Contraindicated: {all}. {Condition} is not listed, so yes.",),
    "exam_note": ("Is {condition} on the list of {drug}? No: {all}. Safe.", "{Condition} is no bar to {drug}. The list of {drug}: {all}."),
    "leaflet": ("{Drug} and {condition} go together: {condition} is not on the list of {drug}.",),
    "table_row": ("{drug} | {condition} | not on the list | safe",),
}
EMPTY = {
    "case_note": ("History: {condition}. {Drug} has no contraindications listed, so {drug} is safe to use.",),
    "label_section": ("{Drug}. Contraindications: none listed.",),
    "exam_note": ("Is {condition} on the list of {drug}? The list is empty. Safe.",),
    "table_row": ("{drug} | contraindicated | nothing listed",),
}

SIGNS = {
    "symptom_note": ("{Sign} on {drug}: think of {effect}. {Drug} can cause it. {urgency}.",
                     "{person} on {drug} reports {sign}. {Drug} can bring on {effect}, and that fits. {urgency}.",
                     "Under {drug}, {effect} may show as {signs}. {urgency}."),
    "leaflet": ("While on {drug} look out for {sign}: it may be {effect}. {urgency}.",),
    "dialogue": ("Caller: {Sign} since I began {drug}. Pharmacist: {effect} is known with {drug}. {urgency}.",),
    "exam_note": ("{Drug} plus {sign} means {effect} until shown otherwise. {urgency}.",),
    "table_row": ("{drug} | {sign} | {effect} | {urgency}",),
}
TOLD = {
    "dialogue": ("Caller: I take {drug} and {clause}. Pharmacist: That can be {effect}, known with {drug}. {urgency}.",
                 "Caller: {clause} since I began {drug}. Pharmacist: {effect} is known with {drug}. {urgency}."),
    "symptom_note": ("A patient on {drug} says: {clause}. {Drug} can bring on {effect}, and that fits. {urgency}.",),
}
URGENCY = {True: "Call for emergency help now", False: "Not urgent: monitor it and tell the prescriber"}

TERMS = {
    "symptom_note": ("{Sign}: this suggests {term}.", "Signs of {term}: {signs}.", "{Sign}: what could it be? {Term}."),
    "exam_note": ("{Term} shows as {sign}.", "Sign: {sign}. Name: {term}."),
}
NAMED = {"exam_note": ("{Phrase}: the record says {term}.", "{Term} is what doctors call {phrase}.", "Who has {phrase} has {term}.")}
SAID = {"symptom_note": ("Whoever says: {clause}, tells of {term}.", "{Clause}: what could it be? {Term}.")}


def topics(book: FactBook) -> dict[str, Topic]:
    drugs = list(book.kb.drugs.values())
    listed_groups = [[_listed(book, drug, entry) for entry in drug.contraindications] for drug in drugs]
    unlisted_groups = [[_unlisted(book, drug, condition) for condition in unrelated_conditions(drug)] for drug in drugs]
    felt = [list(_signs(book, drug)) for drug in drugs]
    steps = {"listed": (step("c", LISTED), step("w", WHY, 0.35), step("i", INSTEAD, 0.25)), "unlisted": (step("u", UNLISTED),),
             "empty": (step("e", EMPTY),)}
    return by_name(
        Topic("contraindication", listed_groups, steps, in_their_words),
        Topic("unlisted_condition", unlisted_groups, steps, in_their_words),
        Topic("symptom", felt, {"sign": (step("s", SIGNS),), "told": (step("o", TOLD),)}),
        Topic("sign", [_terms(book), _other_names(book)],
              {"term": (step("t", TERMS),), "said": (step("d", SAID),), "named": (step("n", NAMED),)}),
    )


def _all(book: FactBook, drug: Drug, first: str = "") -> dict[str, str]:
    """The drug's contraindications in words, at most MOST_LISTED; `first` is always among them."""
    ids = [entry.condition for entry in drug.contraindications]
    shown = [condition for condition in ids if condition in ids[:MOST_LISTED] or condition == first][-MOST_LISTED:]
    return {"all": listed(book.names("conditions", shown))} if ids else {}


def _listed(book: FactBook, drug: Drug, entry: Contraindication) -> Case:
    condition = book.name("conditions", entry.condition)
    others = [other for other in alternatives(drug, "contraindication")
              if all(each.condition != entry.condition for each in book.kb.drugs[other].contraindications)]
    slots = {**drug_slots(book, drug), **_all(book, drug, entry.condition), **instead_slots(book, others), "condition": condition,
             "Condition": capital(condition)}
    if entry.effect:
        slots["effect"] = book.name("effects", entry.effect)
    facts = {"": (f"{drug.id}.contraindication.{entry.condition}",), "all": _all_facts(drug),
             "instead": instead_facts(drug, "contraindication")}
    return Case("listed", (drug.id,), slots, facts, entry.condition, instead_names(others))


def _unlisted(book: FactBook, drug: Drug, condition_id: str) -> Case:
    condition = book.name("conditions", condition_id)
    slots = {**drug_slots(book, drug), **_all(book, drug), "condition": condition, "Condition": capital(condition)}
    return Case("unlisted" if drug.contraindications else "empty", (drug.id,), slots, {"all": _all_facts(drug)}, condition_id)


def _all_facts(drug: Drug) -> tuple[str, ...]:
    return tuple(f"{drug.id}.contraindication.{entry.condition}" for entry in drug.contraindications)


def signs_of(effect: str) -> tuple[str, ...]:
    """All that training may read."""
    ours, theirs = (*TOLD_SIGNS.get(effect, ()), *EFFECT_SIGNS.get(effect, ())), told("signs", "train", "phrases").get(effect, ())
    return tuple(dict.fromkeys((*ours, *theirs)))


def some(signs: Sequence[str], sign: str) -> str:
    """The sign and the two after it."""
    at = signs.index(sign)
    return listed([*signs[at:], *signs[:at]][:MOST_SIGNS], "or")


def _signs(book: FactBook, drug: Drug) -> Iterator[Case]:
    """Grave effects with their signs, and common harmless ones."""
    grave = {entry.effect: f"{drug.id}.serious.{entry.effect}" for entry in drug.serious_effects}
    grave |= {entry.effect: f"{drug.id}.boxed.{entry.effect}" for entry in drug.boxed_warnings}
    common = {entry.effect: f"{drug.id}.common.{entry.effect}" for entry in drug.common_effects if entry.effect not in grave}
    for effects, wanted, urgent in ((grave, URGENT, True), (common, MINOR, False)):
        for effect in effects:
            if effect in wanted:
                for sign in signs_of(effect):
                    slots = {**drug_slots(book, drug), "sign": sign, "Sign": capital(sign), "signs": some(signs_of(effect), sign),
                             "effect": book.name("effects", effect), "urgency": URGENCY[urgent]}
                    yield Case("sign", (drug.id,), slots, {"": (effects[effect],)})
                for clause in told("signs", "train", "clauses").get(effect, ()):
                    slots = {**drug_slots(book, drug), "clause": clause, "effect": book.name("effects", effect), "urgency": URGENCY[urgent]}
                    yield Case("told", (drug.id,), slots, {"": (effects[effect],)})


def _terms(book: FactBook) -> list[Case]:
    """Sign → name, without a drug."""
    names = {effect: book.name("effects", effect) for effect in (*EFFECT_SIGNS, *TOLD_SIGNS, *told("signs", "train", "phrases"))
             if effect in book.kb.effects}
    found = [_term(signs_of(effect), sign, name) for effect, name in names.items() for sign in signs_of(effect)]
    found += [_term(signs, sign, book.name("conditions", condition)) for condition, signs in CONDITION_SIGNS.items()
              if condition in book.kb.conditions for sign in signs]
    return found + [_said(clause, names[effect]) for effect, clauses in told("signs", "train", "clauses").items() if effect in names
                    for clause in clauses]


def _term(signs: Sequence[str], sign: str, name: str) -> Case:
    return Case("term", (), {"sign": sign, "Sign": capital(sign), "signs": some(signs, sign), "term": name, "Term": capital(name)})


def _said(clause: str, name: str) -> Case:
    return Case("said", (), {"clause": clause, "Clause": capital(clause), "term": name, "Term": capital(name)})


def _other_names(book: FactBook) -> list[Case]:
    """What people call a condition → its name, without a drug."""
    names = {condition: book.name("conditions", condition) for condition in told("conditions", "train", "phrases")
             if condition in book.kb.conditions}
    found = [Case("named", (), {"phrase": phrase, "Phrase": capital(phrase), "term": name, "Term": capital(name)})
             for condition, name in names.items() for phrase in told("conditions", "train", "phrases")[condition]]
    return found + [_said(clause, names[condition]) for condition, clauses in told("conditions", "train", "clauses").items()
                    if condition in names for clause in clauses]


def in_their_words(case: Case, rng: Random) -> Varied:
    """How a caller names the case's condition."""
    phrases, clauses = (told("conditions", "train", form).get(case.data, ()) for form in ("phrases", "clauses"))
    return Varied({name: rng.choice(words) for name, words in (("told", phrases), ("clause", clauses)) if words})
