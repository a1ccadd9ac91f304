"""The sentences of an answer: one or two ways to say each element of a question's key.

An answer states the fact first and then decides: basis, decision, mechanism, alternative, monitoring, in this order (about pregnancy the
verdict is the fact). Few phrasings on purpose: a small model should spend its capacity on what is said. No sentence begins with a drug
or condition, because "Metformin" is written with other tokens than "metformin" and what has other tokens cannot be copied from the
question. Everything comes from the question's key and the knowledge base.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from pharmgpt.corpus.pairs import Pairs
from pharmgpt.corpus.phrasing import limits, listed, number, plural, with_article
from pharmgpt.knowledge.rules import parts, selected
from pharmgpt.knowledge.schema import Drug, Interaction, KnowledgeBase
from pharmgpt.text.records import Question

ARTICLED = {"angioedema_history": "a history of angioedema", "recent_heart_attack": "a recent heart attack",
            "recent_stroke": "a recent stroke",
            "urinary_infection": "a urinary tract infection", "transplant": "an organ transplant", "aspirin_allergy": "an aspirin allergy",
            "penicillin_allergy": "a penicillin allergy", "sulfa_allergy": "a sulfa allergy", "peptic_ulcer": "a peptic ulcer",
            "mechanical_heart_valve": "a mechanical heart valve", "infection": "an infection",
            "systemic_fungal_infection": "a systemic fungal infection"}
OUT_OF_SCOPE = ("That is not a question about drugs. I only answer questions about drug safety.",
                "I only answer questions about drug safety.")
REFUSALS = ("I cannot help with that. If someone is in danger, call the emergency number now.", "I will not help with that.")
ABSTENTIONS = ("That name is not in my handbook, so I cannot say.", "I do not know a drug of that name.")
EMERGENCIES = ("Call the emergency number or a poison centre now. Do not wait for symptoms.",
               "Call a poison centre or the emergency number at once.")
VERDICTS = {"avoid": "avoid", "reduce": "reduce the dose", "monitor": "monitor"}
DOES_NOT_INTERACT = "does not interact"
URGENT_ACTS = ("Get medical help now.", "Seek medical care now.")


@dataclass(frozen=True)
class Sentence:
    """Ways to say one element; `element` is the key's name for it, or "basis" for the fact that a decision rests on."""

    element: str
    ways: tuple[str, ...]


def condition_phrase(kb: KnowledgeBase, condition: str) -> str:
    """"gout", "a recent stroke": the condition as the object of "have"."""
    name = kb.conditions[condition].name
    return ARTICLED.get(condition) or (with_article(name) if name.endswith("allergy") else name)


def ask_for_value(measure: str, drug: str) -> tuple[str, ...]:
    return (f"The dose of {drug} depends on the {measure}. What is the {measure}?",
            f"That depends on the {measure}. What is the {measure}?")


def ask_for_drug(drug: str) -> tuple[str, ...]:
    return (f"Which other drug is taken with {drug}?", f"Which drug do you want to combine with {drug}?")


def sentences(pairs: Pairs, question: Question, allowed: frozenset[str] | None = None) -> tuple[Sentence, ...]:
    """Everything a full answer says, in order; `allowed` limits the alternatives that may be named."""
    found = WRITERS.get(question.family, _fixed)(pairs, question)
    named = _named_elements(pairs, question, allowed)
    spoken = {sentence.element for sentence in found}
    return tuple(sentence for sentence in (*found, *(each for each in named if each.element not in spoken)) if sentence.ways)


def accepted(question: Question, element: str) -> tuple[str, ...]:
    return next((each.accepts for each in question.key if each.name == element), ())


def _named_elements(pairs: Pairs, question: Question, allowed: frozenset[str] | None) -> list[Sentence]:
    """Mechanism, alternative and monitoring read the same in every family."""
    kb, effects = pairs.kb, accepted(question, "mechanism")
    return [Sentence("mechanism", risk(kb, effects[0]) if effects else ()),
            Sentence("alternative", alternative_ways(pairs, question, allowed)),
            Sentence("monitoring", tuple(f"{verb} {kb.parameters[parameter].name}." for parameter in accepted(question, "monitoring")[:1]
                                         for verb in ("Monitor", "Check")))]


def risk(kb: KnowledgeBase, effect: str) -> tuple[str, ...]:
    return (f"The risk is {kb.effects[effect].name}.", f"The danger is {kb.effects[effect].name}.")


def alternative_ways(pairs: Pairs, question: Question, allowed: frozenset[str] | None) -> tuple[str, ...]:
    drugs = [drug for drug in accepted(question, "alternative") if allowed is None or drug in allowed]
    if not drugs:
        return ()
    replaced = _replaced(pairs, question, drugs[0])
    return say_alternative(pairs.kb.drugs[drugs[0]].name, replaced and pairs.kb.drugs[replaced].name)


def say_alternative(name: str, replaced: str = "") -> tuple[str, ...]:
    """Beside one drug "an alternative is X"; in a pair the sentence says instead of which of the two."""
    return (f"Use {name} instead of {replaced}.",) if replaced else (f"An alternative is {name}.", f"Use {name} instead.")


def _replaced(pairs: Pairs, question: Question, alternative: str) -> str:
    """Which drug of a pair the alternative stands in for; "" beside a single drug."""
    if len(question.drugs) == 1:
        return ""
    a, b = interacting_pair(pairs, question)
    return b if alternative in pairs.alternatives(b, a) and alternative not in pairs.alternatives(a, b) else a


def interacting_pair(pairs: Pairs, question: Question) -> tuple[str, str]:
    """The pair a question is about: its two drugs, or the keyed pair of a list, in the order asked."""
    keyed = accepted(question, "pair")
    members = set(keyed[0].split("+")) if keyed else set(question.drugs[:2])
    a, b = (drug for drug in question.drugs if drug in members)
    return a, b


# ---- families


def _renal(pairs: Pairs, question: Question) -> list[Sentence]:
    drug = pairs.kb.drugs[question.drugs[0]]
    return [Sentence("threshold", (cut_offs(drug.name, question.asked, limits_of(drug, question.asked["measure"])),)),
            Sentence("decision", decision_on(drug.name, question.decision))]


def limits_of(drug: Drug, measure: str) -> tuple[str, ...]:
    """The drug's cut-offs of one measure, lowest first."""
    return tuple(number(low.below) for low, _ in limits(drug) if low.measure == measure)


def cut_offs(drug: str, asked: dict[str, str], limits: Sequence[str], position: str = "") -> str:
    """All cut-offs of the drug, then where the value lies: what is known before what is to be compared. `position` may say it wrongly."""
    measure, value = asked["measure"], asked["value"]
    if not limits:
        return f"For {drug} there is no {measure} limit."
    return f"For {drug} the {measure} matters at {listed(limits)}: {value} is {position or position_of(value, limits)}."


def position_of(value: str, limits: Sequence[str]) -> str:
    under = sum(float(limit) <= float(value) for limit in limits)
    return positions(limits)[under]


def positions(limits: Sequence[str]) -> list[str]:
    """Every place a value can have among ascending limits."""
    return [f"below {limits[0]}", *(f"between {low} and {high}" for low, high in pairwise(limits)), f"above {limits[-1]}"]


def decision_on(drug: str, decision: str) -> tuple[str, ...]:
    """A verdict on one drug."""
    return {"avoid": (f"Avoid {drug}.", f"Do not use {drug}."),
            "reduce": (f"Reduce the dose of {drug}.", f"Use a lower dose of {drug}."),
            "monitor": (f"Use {drug} with monitoring.",),
            "safe": (f"So {drug} can be used.",)}[decision]


def decision_in_pregnancy(drug: str, decision: str) -> tuple[str, ...]:
    """The drug first, as texts have it: with "Avoid …" first, the verdict fell before the name was said, and held drugs suffered."""
    verdict = {"avoid": "best avoided", "reduce": "given at a lower dose", "monitor": "used with monitoring", "safe": "safe to use"}
    return (f"In pregnancy {drug} is {verdict[decision]}.",)


def _interaction(pairs: Pairs, question: Question) -> list[Sentence]:
    a, b = interacting_pair(pairs, question)
    return [Sentence("basis", (pair_fact(pairs, a, b),)), Sentence("decision", decision_on_pair(pairs, (a, b), question.decision)),
            Sentence("reason", interaction_reason(pairs, a, b))]


def pair_fact(pairs: Pairs, a: str, b: str) -> str:
    """Whether two drugs interact and what follows, both names first: where the second ends, the model has read what it must look up."""
    found = pairs.findings(a, b)
    if not found:
        return said_of_pair(pairs, a, b, DOES_NOT_INTERACT)
    return said_of_pair(pairs, a, b, "has only a minor interaction" if found[0].action == "none" else interacts(found[0].action))


def interacts(decision: str | None) -> str:
    """With the verdict at once: in the next sentence ("interacts. Do not combine …") it was looked up again, worse for held drugs."""
    return f"interacts: {VERDICTS[decision]}" if decision else "interacts"


def said_of_pair(pairs: Pairs, a: str, b: str, what: str) -> str:
    return f"The pair {pairs.kb.drugs[a].name} and {pairs.kb.drugs[b].name} {what}."


def decision_on_pair(pairs: Pairs, pair: tuple[str, str], decision: str) -> tuple[str, ...]:
    a, b = (pairs.kb.drugs[drug].name for drug in pair)
    lowered = pairs.kb.drugs[_lowered(pairs, *pair)].name
    return {"avoid": (f"Do not combine {a} and {b}.",),
            "reduce": (f"Reduce the dose of {lowered}.", f"Use a lower dose of {lowered}."),
            "monitor": ("They can be combined with monitoring.", f"Combine {a} and {b} only with monitoring."),
            "safe": ("They can be taken together.",)}[decision]


def _lowered(pairs: Pairs, a: str, b: str) -> str:
    """The drug whose dose is to go down: the substrate of the rule, or whichever the rule's management names first."""
    for finding in pairs.findings(a, b)[:1]:
        rule = next(each for each in pairs.kb.interactions if each.id == finding.rule)
        for drug, other in ((a, b), (b, a)):
            if any(":substrate" in side and drug in selected(pairs.kb, side) and other in selected(pairs.kb, far)
                   for side, far in ((rule.a, rule.b), (rule.b, rule.a))):
                return drug
        places = {drug: rule.management.lower().find(pairs.kb.drugs[drug].name) for drug in (a, b)}
        return min((drug for drug in places if places[drug] >= 0), key=places.__getitem__, default=a)
    return a


def _medication_list(pairs: Pairs, question: Question) -> list[Sentence]:
    decision = decision_on_pair(pairs, interacting_pair(pairs, question), question.decision)
    return [Sentence("basis" if question.decision == "safe" else "pair", (pairs_in_turn(pairs, question.drugs),)),
            Sentence("decision", decision)]


def pairs_in_turn(pairs: Pairs, drugs: Sequence[str]) -> str:
    """Pair by pair, as a pharmacist reads a list, up to the one that interacts."""
    said = []
    for a, b in combinations(drugs, 2):
        said.append(pair_fact(pairs, a, b))
        if any(finding.action != "none" for finding in pairs.findings(a, b)):
            break
    return " ".join(said)


def _contraindication(pairs: Pairs, question: Question) -> list[Sentence]:
    drug, condition = pairs.kb.drugs[question.drugs[0]].name, condition_phrase(pairs.kb, question.asked["condition"])
    return [Sentence("condition", (listed_condition(drug, condition, question.decision == "avoid"),)),
            Sentence("decision", decision_on(drug, question.decision))]


def listed_condition(drug: str, condition: str, is_listed: bool) -> str:
    return f"The contraindications of {drug} {'include' if is_listed else 'do not include'} {condition}."


def _pregnancy(pairs: Pairs, question: Question) -> list[Sentence]:
    return [Sentence("decision", decision_in_pregnancy(pairs.kb.drugs[question.drugs[0]].name, question.decision))]


def _alternative(pairs: Pairs, question: Question) -> list[Sentence]:
    effects, drug = accepted(question, "mechanism"), pairs.kb.drugs[question.drugs[0]].name
    if not effects:
        return []
    harm = pairs.kb.effects[effects[0]].name
    return [Sentence("mechanism", (f"With {drug} the risk is {harm}.",))]


def _monitoring(pairs: Pairs, question: Question) -> list[Sentence]:
    effects, drug = accepted(question, "mechanism"), pairs.kb.drugs[question.drugs[0]].name
    parameters = [pairs.kb.parameters[parameter].name for parameter in accepted(question, "monitoring")[:2]]
    harm = (f"With {drug} the risk is {pairs.kb.effects[effects[0]].name}.",) if effects else ()
    return [Sentence("mechanism", harm), Sentence("monitoring", (f"Monitor {listed(parameters)}.", f"Check {listed(parameters)}."))]


def _symptom(pairs: Pairs, question: Question) -> list[Sentence]:
    drug, harm = pairs.kb.drugs[question.drugs[0]].name, pairs.kb.effects[question.asked["effect"]].name
    act = URGENT_ACTS if question.decision == "emergency" else ("Monitor it and tell your prescriber.",)
    return [Sentence("mechanism", (f"This can be {harm} from {drug}.",)), Sentence("decision", act)]


def _unknown_drug(pairs: Pairs, question: Question) -> list[Sentence]:
    return [Sentence("abstain", ABSTENTIONS)]


def _missing_information(pairs: Pairs, question: Question) -> list[Sentence]:
    drug = pairs.kb.drugs[question.drugs[0]].name
    asked = ask_for_value(question.asked["measure"], drug) if "measure" in question.asked else ask_for_drug(drug)
    return [Sentence("ask_for", asked)]


def _fixed(pairs: Pairs, question: Question) -> list[Sentence]:
    return {"out_of_scope": [Sentence("decision", OUT_OF_SCOPE)], "harmful": [Sentence("refuse", REFUSALS)],
            "emergency": [Sentence("emergency", EMERGENCIES)]}[question.family]


WRITERS = {"renal": _renal, "interaction": _interaction, "medication_list": _medication_list, "contraindication": _contraindication,
           "pregnancy": _pregnancy, "alternative": _alternative, "monitoring": _monitoring, "symptom": _symptom,
           "unknown_drug": _unknown_drug, "missing_information": _missing_information}


# ---- why two drugs do not mix


def interaction_reason(pairs: Pairs, a: str, b: str) -> tuple[str, ...]:
    """What makes the rule speak: a hazard both add to, an enzyme, or what either is; () where it merely names the two."""
    kb, found = pairs.kb, pairs.findings(a, b)
    rule = next((each for each in kb.interactions if found and each.id == found[0].rule and each.action != "none"), None)
    if rule is None:
        return ()
    if rule.a.startswith("drug:") and rule.b.startswith("drug:"):
        reason = _shared_reason(kb, rule, kb.drugs[a], kb.drugs[b])
    else:
        swapped = not (a in selected(kb, rule.a) and b in selected(kb, rule.b))
        reason = _reason(kb, rule.b if swapped else rule.a, rule.a if swapped else rule.b, kb.drugs[a].name, kb.drugs[b].name)
    return (f"Reason: {reason}.",) if reason else ()


def _shared_reason(kb: KnowledgeBase, rule: Interaction, a: Drug, b: Drug) -> str | None:
    """For a rule that names two drugs: the hazard both have, or the enzyme that its mechanism names and their roles confirm."""
    if all(rule.effect in (each.effect for each in drug.hazards) for drug in (a, b)):
        return f"{a.name} and {b.name} both raise the risk of {kb.effects[rule.effect].name}"
    for acting, acted in ((a, b), (b, a)):
        cleared_by = {each.enzyme for each in acted.enzymes if each.role == "substrate"}
        for role in acting.enzymes:
            if role.role != "substrate" and role.enzyme in cleared_by and role.enzyme in rule.mechanism:
                activates = role.role == "inhibitor" and rule.effect == "treatment_failure"
                how = "activated" if activates else "cleared"
                return f"{acted.name} is {how} by {role.enzyme}, which {acting.name} {VERBS[role.role]}"
    return None


def _reason(kb: KnowledgeBase, selector_a: str, selector_b: str, a: str, b: str) -> str | None:
    """The rule's two selectors as a clause about the two drugs that they select."""
    kinds = selector_a.split(":")[0], selector_b.split(":")[0]
    if selector_a == selector_b and kinds[0] == "hazard":
        return f"{a} and {b} both raise the risk of {kb.effects[selector_a.split(':')[1]].name}"
    if selector_a == selector_b and kinds[0] == "class":
        return f"{a} and {b} are both {plural(kb.classes[selector_a.split(':')[1]].name)}"
    for acting, acted, x, y in ((selector_a, selector_b, a, b), (selector_b, selector_a, b, a)):
        if acting.startswith("cyp") and ":substrate" not in acting and (":substrate" in acted or acted.startswith(("drug", "class"))):
            return f"{y} is cleared by {acting.split(':')[1]}, which {x} {_verb(acting)}"
    described = [text for text in (_described(kb, selector_a, a), _described(kb, selector_b, b)) if text]
    return " and ".join(described) if described else None


VERBS = {"inhibitor": "inhibits", "inducer": "induces"}


def _verb(selector: str) -> str:
    return VERBS[selector.split(":")[2]]


def _described(kb: KnowledgeBase, selector: str, drug: str) -> str:
    """What the selector says of the drug: "ibuprofen is an NSAID"; "" where it merely names it."""
    kind, _, rest = parts(selector)[0].partition(":")
    if kind == "class":
        return f"{drug} is {with_article(kb.classes[rest].name)}"
    if kind == "hazard":
        return f"{drug} raises the risk of {kb.effects[rest].name}"
    if kind == "cyp":
        enzyme = rest.split(":")[0]
        return f"{drug} is cleared by {enzyme}" if ":substrate" in rest else f"{drug} {_verb(selector)} {enzyme}"
    return ""
