"""A medication list and a patient → findings, worst first, with alternatives that fit this list and this patient.

Pairs come from `rules.interactions`; here the patient's kidneys, pregnancy, breastfeeding, conditions, age, QTc and potassium are added.
A rule in CrCl is judged by eGFR where only that is known (and the other way round), and the finding says so: silence would be worse than
an estimate.
"""
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from pharmgpt.knowledge.rules import Finding, Kind, interactions, of_three, renal_finding, selected, unnumbered
from pharmgpt.knowledge.schema import Action, Advice, Drug, KnowledgeBase, RenalRule, Severity

SEVERITY_OF: dict[Action, Severity] = {"avoid": "major", "reduce": "moderate", "monitor": "moderate"}
UNITS = {"eGFR": "mL/min/1.73 m²", "CrCl": "mL/min"}
PLAUSIBLE = {"egfr_ml_min_173": (0, 300), "crcl_ml_min": (0, 300), "age_years": (0, 130), "qtc_ms": (200, 800), "potassium_mmol_l": (1, 10)}
MEASURES = {"age_years": "age {:g} years", "qtc_ms": "QTc {:g} ms", "potassium_mmol_l": "potassium {:g} mmol/L"}
SEVERE_BELOW = 30  # eGFR or CrCl below which "severe renal impairment" of a label holds
ADVICE = {"avoid": "Avoid {}", "reduce": "Reduce the dose of {}", "monitor": "Use {} with monitoring"}


class ScreenError(ValueError):
    """A patient or list that cannot be screened: what was found, and the fix."""


@dataclass(frozen=True)
class Patient:
    """What is known about a person. None means not known, never normal."""

    egfr_ml_min_173: float | None = None
    crcl_ml_min: float | None = None
    age_years: float | None = None
    qtc_ms: float | None = None
    potassium_mmol_l: float | None = None
    pregnant: bool = False
    breastfeeding: bool = False
    conditions: tuple[str, ...] = ()  # condition ids

    def __post_init__(self) -> None:
        for key, (least, most) in PLAUSIBLE.items():
            value = getattr(self, key)
            if value is not None and not least <= value <= most:
                raise ScreenError(f"{key} is {value:g}; give a number from {least} to {most}, or leave it out")


def screen(kb: KnowledgeBase, drug_ids: Iterable[str], patient: Patient = Patient()) -> list[Finding]:
    """All findings of a list, worst first. An alternative is shown only if it brings no finding of major or worse in the drug's place."""
    listed = tuple(dict.fromkeys(drug_ids))
    for drug in listed:
        if drug not in kb.drugs:
            raise ScreenError(f"no drug {drug!r} in the knowledge base; `pharmgpt kb list` shows the ids")
    for condition in patient.conditions:
        if condition not in kb.conditions:
            raise ScreenError(f"no condition {condition!r} in the knowledge base; the ids stand in conditions.toml")
    found = [_with_alternatives(kb, finding, listed, patient) for finding in _findings(kb, listed, patient)]
    return sorted(found, key=Finding.gravity)


def patient_findings(kb: KnowledgeBase, drug_id: str, patient: Patient) -> list[Finding]:
    """What the patient's state says about one drug, worst first; no interactions."""
    drug, holds = kb.drugs[drug_id], conditions_that_hold(kb, patient)
    renal = _renal(kb, drug, patient, holds)
    hit = _renal_rule(drug, patient, holds)
    if "severe_renal_impairment" not in patient.conditions and hit and not unnumbered(hit[0]):
        holds -= {"severe_renal_impairment"}  # a band of this drug holds the value: dofetilide is contraindicated below 20, not 30
    found = [*renal, *_states(kb, drug, holds), *_contraindications(kb, drug, holds, renal), *_limits(kb, drug, patient)]
    return sorted(found, key=Finding.gravity)


def conditions_that_hold(kb: KnowledgeBase, patient: Patient) -> frozenset[str]:
    """The patient's conditions and those that follow: pregnancy, severe kidney disease by eGFR or CrCl, each condition's broader ones."""
    values = [value for value in (patient.egfr_ml_min_173, patient.crcl_ml_min) if value is not None]
    holds = {*patient.conditions}
    holds |= {"pregnancy"} if patient.pregnant else set()
    holds |= {"breastfeeding"} if patient.breastfeeding else set()
    holds |= {"severe_renal_impairment"} if values and min(values) < SEVERE_BELOW else set()
    waiting = list(holds)
    while waiting:
        term = kb.conditions.get(waiting.pop())
        fresh = set(term.broader if term else ()) - holds
        holds |= fresh
        waiting += fresh
    return frozenset(holds)


def _findings(kb: KnowledgeBase, listed: tuple[str, ...], patient: Patient) -> Iterator[Finding]:
    for drug in listed:
        yield from patient_findings(kb, drug, patient)
    for a, b in combinations(listed, 2):
        yield from interactions(kb, a, b)
    yield from of_three(kb, listed)


def _renal(kb: KnowledgeBase, drug: Drug, patient: Patient, holds: frozenset[str]) -> list[Finding]:
    hit = _renal_rule(drug, patient, holds)
    if hit is None or hit[0].action == "none":
        return []
    rule, fact, because = hit
    contraindicated = rule.action == "avoid" and "severe_renal_impairment" in holds and any(
        each.condition == "severe_renal_impairment" for each in drug.contraindications)
    facts = (fact, f"{drug.id}.contraindication.severe_renal_impairment") if contraindicated else (fact,)
    return [Finding("renal", fact, (drug.id,), "contraindicated" if contraindicated else SEVERITY_OF[rule.action], rule.action, rule.effect,
                    because, _advice(drug, rule.action, rule.dose), rule.source, fact_ids=facts)]


def _renal_rule(drug: Drug, patient: Patient, holds: frozenset[str]) -> tuple[RenalRule, str, str] | None:
    """The rule that holds, its fact id and why: in its own measure if that is known, else in the other one, and it says so."""
    known = {"eGFR": patient.egfr_ml_min_173, "CrCl": patient.crcl_ml_min}
    for measure, other in (("eGFR", "CrCl"), ("CrCl", "eGFR")):
        if known[measure] is not None and (hit := renal_finding(drug, measure, known[measure])):
            return *hit, f"{measure} {known[measure]:g} {UNITS[measure]} is {band(hit[0])}"
    for measure, other in (("eGFR", "CrCl"), ("CrCl", "eGFR")):
        if known[other] is not None and (hit := renal_finding(drug, measure, known[other])):
            return *hit, f"{other} {known[other]:g} {UNITS[other]} is {band(hit[0])}; the rule is in {measure}; find it out as well"
    if "severe_renal_impairment" in holds and known == {"eGFR": None, "CrCl": None} and drug.renal:
        if hit := renal_finding(drug, drug.renal[0].measure, SEVERE_BELOW - 1):
            return *hit, f"severe kidney disease, taken as {drug.renal[0].measure} just below {SEVERE_BELOW}; give the value"
    return None


def band(rule: RenalRule) -> str:
    """"below 30", "from 30 to below 45", "30 or more", "any value"."""
    if rule.below is None:
        return f"{rule.at_least:g} or more" if rule.at_least else "any value"
    return f"from {rule.at_least:g} to below {rule.below:g}" if rule.at_least else f"below {rule.below:g}"


def _states(kb: KnowledgeBase, drug: Drug, holds: frozenset[str]) -> Iterator[Finding]:
    """Pregnancy, breastfeeding and liver disease: one finding each, contraindicated where the label also lists the condition."""
    states: tuple[tuple[str, str, Kind], ...] = (("pregnancy", "pregnancy", "pregnancy"), ("breastfeeding", "lactation", "lactation"),
                                                 ("liver_disease", "hepatic", "contraindication"))
    for condition, key, kind in states:
        advice: Advice | None = getattr(drug, key)
        if condition not in holds or advice is None or advice.action == "none":
            continue
        listed = any(each.condition == condition for each in drug.contraindications)
        facts = (f"{drug.id}.{key}", f"{drug.id}.contraindication.{condition}") if listed else (f"{drug.id}.{key}",)
        action: Action = "avoid" if listed else advice.action
        yield Finding(kind, f"{drug.id}.{key}", (drug.id,), "contraindicated" if listed else SEVERITY_OF[action], action, advice.effect,
                      kb.name(condition), _advice(drug, action, advice.note), advice.source, fact_ids=facts)


def _contraindications(kb: KnowledgeBase, drug: Drug, holds: frozenset[str], renal: list[Finding]) -> Iterator[Finding]:
    told = {fact for finding in renal for fact in finding.fact_ids}
    for each in drug.contraindications:
        fact = f"{drug.id}.contraindication.{each.condition}"
        stated = {"pregnancy": drug.pregnancy, "breastfeeding": drug.lactation, "liver_disease": drug.hepatic}.get(each.condition)
        if each.condition not in holds or fact in told or stated and stated.action != "none":
            continue
        kind: Kind = {"pregnancy": "pregnancy", "breastfeeding": "lactation"}.get(each.condition, "contraindication")
        yield Finding(kind, fact, (drug.id,), "contraindicated", "avoid", each.effect, kb.name(each.condition),
                      _advice(drug, "avoid", ""), each.source, fact_ids=(fact,))


def _limits(kb: KnowledgeBase, drug: Drug, patient: Patient) -> Iterator[Finding]:
    """What age, QTc and potassium say, each where it is known."""
    for limit in kb.limits:
        value = getattr(patient, limit.measure)
        if value is None or value < limit.at_least or limit.below is not None and value >= limit.below:
            continue
        if drug.id in selected(kb, limit.who) and drug.id not in limit.except_drugs:
            fact = f"limit.{limit.id}"
            yield Finding("patient", fact, (drug.id,), limit.severity, limit.action, limit.effect, MEASURES[limit.measure].format(value),
                          limit.management.replace("{drug}", drug.name), limit.source, fact_ids=(fact,))


def _advice(drug: Drug, action: Action, detail: str) -> str:
    return ADVICE[action].format(drug.name) + (f": {detail}." if detail else ".")


def _with_alternatives(kb: KnowledgeBase, finding: Finding, listed: tuple[str, ...], patient: Patient) -> Finding:
    problem = "contraindication" if finding.kind in ("lactation", "patient") else finding.kind
    chosen, facts = {}, list(finding.fact_ids)
    for drug in finding.drugs:
        others = tuple(each for each in listed if each != drug)
        entries = [each for each in kb.drugs[drug].alternatives if each.problem in (problem, "any")]
        offered = [*finding.alternatives.get(drug, ()), *(each for entry in entries for each in entry.drugs)]
        chosen[drug] = tuple(each for each in dict.fromkeys(offered) if each not in listed and fits(kb, each, others, patient))
        facts += [f"{drug}.alternative.{entry.problem}" for entry in entries if set(entry.drugs) & set(chosen[drug])]
    return replace(finding, alternatives={drug: found for drug, found in chosen.items() if found}, fact_ids=tuple(facts))


def fits(kb: KnowledgeBase, candidate: str, others: tuple[str, ...], patient: Patient) -> bool:
    """No finding of major or worse, and none that says avoid, for this patient beside the other drugs."""
    if candidate not in kb.drugs:
        return False
    found = patient_findings(kb, candidate, patient) + [finding for other in others for finding in interactions(kb, candidate, other)]
    return all(finding.severity not in ("contraindicated", "major") and finding.action != "avoid" for finding in found)
