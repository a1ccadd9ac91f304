"""Claims checked against the knowledge base: supported, contradicted or unknown, each with the facts that say so.

`read_claims` and `read_context` are read elsewhere (reading.py, context.py) and offered here, where people look for them. The base is not
complete: what it does not hold is unknown, not false. Contradicted is only what it denies: another decision at this kidney function, a
cut-off that is not the drug's, arithmetic, an effect denied that is listed, an alternative that is itself restricted.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from pharmgpt.knowledge.context import Context, read_context
from pharmgpt.knowledge.decisions import CAUTION, DECISIONS, FROM_ACTION, RESTRICTIVE
from pharmgpt.knowledge.reading import Claim, read_claims
from pharmgpt.knowledge.rules import Finding, interactions, renal_finding
from pharmgpt.knowledge.schema import ACTIONS, KnowledgeBase

__all__ = [
    "CAUTION",
    "DECISIONS",
    "RESTRICTIVE",
    "Check",
    "Claim",
    "Context",
    "check_claim",
    "check_claims",
    "effects_of",
    "monitoring_of",
    "pair_findings",
    "read_claims",
    "read_context",
    "thresholds_of",
    "unsafe_alternative",
]

Status = Literal["supported", "contradicted", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """A claim's status; `text` is the sentence that makes it."""

    text: str
    status: Status
    fact_ids: tuple[str, ...]
    claim: Claim


def check_claims(kb: KnowledgeBase, prompt: str, answer: str) -> list[Check]:
    """Every claim of an answer, checked against the base and what the prompt states."""
    context = read_context(kb, prompt)
    return [check_claim(kb, context, claim) for claim in read_claims(kb, answer, context.drugs)]


def check_claim(kb: KnowledgeBase, context: Context, claim: Claim) -> Check:
    status, fact_ids = CHECKS.get(claim.kind, _unknown)(kb, context, claim)
    return Check(claim.text, status, fact_ids, claim)


Found = tuple[Status, tuple[str, ...]]


def _unknown(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    return "unknown", ()


def _said(holds: bool, fact_ids: tuple[str, ...], negated: bool) -> Found:
    """A listed fact supports who says it and contradicts who denies it; an unlisted one is unknown."""
    if not holds:
        return "unknown", ()
    return ("contradicted" if negated else "supported"), fact_ids


# ---- decisions


def _decision(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    if claim.value not in CAUTION or claim.how == "none_known":  # "do not interact" says nothing of kidneys; the claim about the pair does
        return "unknown", ()
    wanted, fact_ids = expected_decision(kb, assumed(context, claim), claim.drugs)
    if wanted is None:
        return "unknown", ()
    return ("supported" if wanted == claim.value else "contradicted"), fact_ids


def assumed(context: Context, claim: Claim) -> Context:
    """The context a conditional claim speaks of: "below 30" is about a value just below 30."""
    ranges = [guard.split(":")[1:] for guard in claim.when if guard.startswith("egfr:")]
    conditions = tuple(guard.split(":")[1] for guard in claim.when if guard.startswith("condition:"))
    if ranges:
        low, high = (float(edge) for edge in ranges[0])
        value = low if math.isfinite(low) else high - 0.5
        context = replace(
            context, egfr=value if context.crcl is None else None, crcl=None if context.crcl is None else value, conditions=()
        )
    return (
        replace(context, conditions=context.conditions + conditions, pregnant=context.pregnant or "pregnancy" in conditions)
        if conditions
        else context
    )


def expected_decision(kb: KnowledgeBase, context: Context, drugs: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The most restrictive action that any fact asks for; None where no fact speaks."""
    drugs = tuple(drug for drug in drugs if drug in kb.drugs)
    both = drugs if len(drugs) > 1 else tuple(dict.fromkeys(drugs + context.drugs)) if set(drugs) <= set(context.drugs) else drugs
    actions = [found for drug in drugs for found in _drug_actions(kb, context, drug)]
    actions += [(finding.action, finding.fact_ids) for finding in pair_findings(kb, both)]
    if not actions:
        return None, ()
    worst = min((action for action, _ in actions), key=ACTIONS.index)
    return FROM_ACTION[worst], tuple(fact for action, facts in actions if action == worst for fact in facts)


def _drug_actions(kb: KnowledgeBase, context: Context, drug_id: str) -> list[tuple[str, tuple[str, ...]]]:
    drug, found = kb.drugs[drug_id], []
    for measure, value in (("eGFR", context.egfr), ("CrCl", context.crcl)):
        if value is None:
            continue
        measures = {rule.measure for rule in drug.renal}
        rule = renal_finding(drug, measure if measure in measures else next(iter(measures), measure), value)
        found += [(rule[0].action, (rule[1],))] if rule else [("none", ())] if measures else []
    if context.pregnant and drug.pregnancy:
        found.append((drug.pregnancy.action, (f"{drug_id}.pregnancy",)))
    if context.breastfeeding and drug.lactation:
        found.append((drug.lactation.action, (f"{drug_id}.lactation",)))
    told = set(context.conditions) - ({"severe_renal_impairment"} if found else set())  # the renal rule has spoken
    found += [("avoid", (f"{drug_id}.contraindication.{each.condition}",)) for each in drug.contraindications if each.condition in told]
    return found


@lru_cache(maxsize=20_000)
def pair_findings(kb: KnowledgeBase, drugs: tuple[str, ...]) -> tuple[Finding, ...]:
    """Every rule between any two of the drugs."""
    return tuple(finding for i, a in enumerate(drugs) for b in drugs[i + 1 :] for finding in interactions(kb, a, b))


# ---- numbers


def thresholds_of(kb: KnowledgeBase, drug_id: str) -> dict[float, tuple[str, ...]]:
    """A drug's renal cut-offs and the facts they stand in."""
    found: dict[float, tuple[str, ...]] = {}
    for number, rule in enumerate(kb.drugs[drug_id].renal):
        for edge in (rule.at_least, rule.below):
            if edge:
                found[edge] = found.get(edge, ()) + (f"{drug_id}.renal.{number}",)
    return found


def _threshold(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    known: dict[float, tuple[str, ...]] = {}
    for drug in claim.drugs:
        known |= thresholds_of(kb, drug) if drug in kb.drugs else {}
    if claim.value == "none":
        return ("contradicted", tuple(fact for facts in known.values() for fact in facts)) if known else ("unknown", ())
    if float(claim.value) in known:
        return "supported", known[float(claim.value)]
    return ("contradicted", tuple(dict.fromkeys(fact for facts in known.values() for fact in facts))) if known else ("unknown", ())


def _comparison(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    """Arithmetic, with the patient's number where none is said; and the number said must be the patient's."""
    left, low, high, _ = claim.value.split(":")
    value = float(left) if left else context.kidney_function
    if value is None:
        return "unknown", ()
    misread = context.kidney_function is not None and value != context.kidney_function
    return ("supported" if float(low) <= value < float(high) and not misread else "contradicted"), ()


def _value(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    if context.kidney_function is None:
        return "unknown", ()
    if float(claim.value) == context.kidney_function:
        return "supported", ()
    return ("unknown" if claim.when else "contradicted"), ()  # "at an eGFR of 50" need not be the patient's


def _dose(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    number = claim.value.split()[0]
    facts = tuple(
        f"{drug}.renal.{at}"
        for drug in claim.drugs
        if drug in kb.drugs
        for at, rule in enumerate(kb.drugs[drug].renal)
        if number in rule.dose.replace(",", "").split()
    )
    return ("supported" if facts else "unknown"), facts


# ---- links between a drug and a term


@lru_cache(maxsize=20_000)
def effects_of(kb: KnowledgeBase, drugs: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Every effect linked to the drugs, alone or together, with its facts; a special effect supports the general one."""
    found: dict[str, tuple[str, ...]] = {}
    for effect, fact in _effect_facts(kb, drugs):
        found[effect] = found.get(effect, ()) + (fact,)
    for special in tuple(found):
        for general in kb.effects[special].broader if special in kb.effects else ():
            found.setdefault(general, found[special])
    return found


def _effect_facts(kb: KnowledgeBase, drugs: tuple[str, ...]):
    for drug in (kb.drugs[drug] for drug in drugs if drug in kb.drugs):
        for kind, links in (
            ("boxed", drug.boxed_warnings),
            ("serious", drug.serious_effects),
            ("common", drug.common_effects),
            ("hazard", drug.hazards),
        ):
            yield from ((link.effect, f"{drug.id}.{kind}.{link.effect}") for link in links)
        yield from (
            ("accumulation", f"{drug.id}.renal.{number}") for number, rule in enumerate(drug.renal) if rule.action != "none"
        )  # why there is a cut-off
        yield from ((rule.effect, f"{drug.id}.renal.{number}") for number, rule in enumerate(drug.renal) if rule.effect)
        yield from ((each.effect, f"{drug.id}.contraindication.{each.condition}") for each in drug.contraindications if each.effect)
        yield from ((role.effect, f"{drug.id}.enzyme.{role.enzyme}.{role.role}") for role in drug.enzymes if role.effect)
        for kind in ("pregnancy", "lactation", "hepatic"):
            if (advice := getattr(drug, kind)) and advice.effect:
                yield advice.effect, f"{drug.id}.{kind}"
    for finding in pair_findings(kb, drugs):
        if finding.effect:
            yield from ((finding.effect, fact) for fact in finding.fact_ids)


def _effect(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    found = effects_of(kb, _with_asked(context, claim))
    return _said(claim.value in found, found.get(claim.value, ()), claim.negated)


def _with_asked(context: Context, claim: Claim) -> tuple[str, ...]:
    """One of the drugs asked for is spoken of beside the others."""
    return tuple(dict.fromkeys(claim.drugs + context.drugs)) if set(claim.drugs) & set(context.drugs) or not claim.drugs else claim.drugs


@lru_cache(maxsize=20_000)
def monitoring_of(kb: KnowledgeBase, drugs: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for drug in (kb.drugs[drug] for drug in drugs if drug in kb.drugs):
        for each in drug.monitoring:
            found[each.parameter] = found.get(each.parameter, ()) + (f"{drug.id}.monitoring.{each.parameter}",)
    for finding in pair_findings(kb, drugs):
        for parameter in finding.monitoring:
            found[parameter] = found.get(parameter, ()) + finding.fact_ids
    return found


def _monitoring(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    found = monitoring_of(kb, _with_asked(context, claim))
    return _said(claim.value in found, found.get(claim.value, ()), claim.negated)


def _condition(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    facts = tuple(
        f"{drug}.contraindication.{claim.value}"
        for drug in claim.drugs
        if drug in kb.drugs and any(each.condition == claim.value for each in kb.drugs[drug].contraindications)
    )
    return ("supported" if facts else "unknown"), facts


def _indication(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    facts = tuple(f"{drug}.indication" for drug in claim.drugs if drug in kb.drugs and claim.value in kb.drugs[drug].indications)
    return _said(bool(facts), facts, claim.negated)


def _class(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    drug = claim.drugs[-1] if claim.drugs else None
    if drug not in kb.drugs:
        return "unknown", ()
    return ("supported" if (claim.value in kb.drugs[drug].classes) != claim.negated else "contradicted"), (f"{drug}.class",)


def _pair(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    facts = tuple(fact for finding in pair_findings(kb, tuple(claim.value.split("+"))) for fact in finding.fact_ids)
    return _said(bool(facts), facts, claim.negated)


# ---- alternatives


def _alternative(kb: KnowledgeBase, context: Context, claim: Claim) -> Found:
    if claim.negated:
        return "unknown", ()
    facts = tuple(
        f"{drug}.alternative.{each.problem}"
        for drug in context.drugs
        if drug in kb.drugs
        for each in kb.drugs[drug].alternatives
        if claim.value in each.drugs
    )
    facts += tuple(
        fact
        for finding in pair_findings(kb, context.drugs)
        if any(claim.value in drugs for drugs in finding.alternatives.values())
        for fact in finding.fact_ids
    )
    if unsafe_alternative(kb, context, claim):
        return "contradicted", ()
    return ("supported" if facts else "unknown"), facts


def replaceable(kb: KnowledgeBase, asked: tuple[str, ...], claim: Claim) -> tuple[str, ...]:
    """Which drugs asked for an alternative could stand in for: the one named, else those that share a class or an indication with it."""
    named = tuple(drug for drug in claim.drugs if drug in asked)
    if named and len(named) < len(asked):
        return named
    own = kb.drugs[claim.value]
    return tuple(
        drug
        for drug in asked
        if drug in kb.drugs
        and (
            set(kb.drugs[drug].classes) & set(own.classes)
            or set(kb.drugs[drug].indications) & set(own.indications)
            or any(claim.value in each.drugs for each in kb.drugs[drug].alternatives)
        )
    )


def unsafe_alternative(kb: KnowledgeBase, context: Context, claim: Claim) -> bool:
    """Is it one of the drugs asked for, restricted for this patient, or at odds with each drug that it would stand beside?"""
    if claim.value in context.drugs:
        return True
    if any(action == "avoid" for action, _ in _drug_actions(kb, context, claim.value)):
        return True
    replaced = replaceable(kb, context.drugs, claim) or context.drugs
    return bool(replaced) and all(any(_clashes(kb, claim.value, other) for other in context.drugs if other != drug) for drug in replaced)


def _clashes(kb: KnowledgeBase, a: str, b: str) -> bool:
    return any(finding.severity in ("contraindicated", "major") or finding.action == "avoid" for finding in pair_findings(kb, (a, b)))


CHECKS = {
    "decision": _decision,
    "threshold": _threshold,
    "comparison": _comparison,
    "value": _value,
    "dose": _dose,
    "effect": _effect,
    "monitoring": _monitoring,
    "condition": _condition,
    "indication": _indication,
    "class": _class,
    "pair": _pair,
    "alternative": _alternative,
}
