"""What follows from the facts: which rule speaks about two drugs, and which renal band holds a value.

A rule is written once, between two selectors; here it becomes a finding about two drugs, with the rule's id, so that an explanation
can always say which fact spoke.
"""
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from pharmgpt.knowledge.schema import ACTIONS, SEVERITIES, Action, Drug, Interaction, KnowledgeBase, RenalRule, Severity

Kind = Literal["interaction", "renal", "pregnancy", "lactation", "contraindication"]


@dataclass(frozen=True)
class Finding:
    """Something to act on. `drugs` are in the order asked; `alternatives` lists what to take instead of each."""

    kind: Kind
    rule: str
    drugs: tuple[str, ...]
    severity: Severity
    action: Action
    effect: str | None
    mechanism: str
    management: str
    source: str
    monitoring: tuple[str, ...] = ()
    alternatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fact_ids: tuple[str, ...] = ()

    def gravity(self) -> tuple[int, int]:
        """Sorts worst first."""
        return SEVERITIES.index(self.severity), ACTIONS.index(self.action)


def interactions(kb: KnowledgeBase, a: str, b: str) -> list[Finding]:
    """Every rule that speaks about two drugs, worst first; empty where none does, or for a drug with itself."""
    if a == b:
        return []
    found = [_finding(rule, a, b) if a in sides[0] and b in sides[1] else _finding(rule, a, b, swapped=True)
             for rule, sides in _rules_by_drug(kb).get(a, ())
             if (a in sides[0] and b in sides[1] or a in sides[1] and b in sides[0]) and not {a, b} & set(rule.except_drugs)]
    return sorted(found, key=Finding.gravity)


def renal_finding(drug: Drug, measure: str, value: float) -> tuple[RenalRule, str] | None:
    """The renal rule that holds at a value of eGFR (mL/min/1.73 m²) or CrCl (mL/min), and its fact id; None without a rule."""
    for number, rule in enumerate(drug.renal):
        if rule.measure == measure and rule.at_least <= value and (rule.below is None or value < rule.below):
            return rule, f"{drug.id}.renal.{number}"
    return None


def selected(kb: KnowledgeBase, selector: str) -> frozenset[str]:
    """The drugs that a selector names. An unknown kind of selector names none; the audit reports it."""
    kind, _, rest = selector.partition(":")
    if kind == "drug":
        return frozenset({rest} & kb.drugs.keys())
    if kind == "class":
        return frozenset(drug.id for drug in kb.drugs.values() if rest in drug.classes)
    if kind == "hazard":
        return frozenset(drug.id for drug in kb.drugs.values() if any(each.effect == rest for each in drug.hazards))
    if kind == "cyp":
        wanted = rest.split(":")  # enzyme, role, and perhaps strength
        return frozenset(drug.id for drug in kb.drugs.values() for each in drug.enzymes
                         if len(wanted) > 1 and [each.enzyme, each.role, each.strength][:len(wanted)] == wanted)
    return frozenset()


@lru_cache(maxsize=8)
def _rules_by_drug(kb: KnowledgeBase) -> dict[str, list[tuple[Interaction, tuple[frozenset[str], frozenset[str]]]]]:
    """Each drug → the rules that name it on either side, with both sides spelled out."""
    by_drug: dict[str, list] = {}
    for rule in kb.interactions:
        sides = selected(kb, rule.a), selected(kb, rule.b)
        for drug in sides[0] | sides[1]:
            by_drug.setdefault(drug, []).append((rule, sides))
    return by_drug


def _finding(rule: Interaction, a: str, b: str, swapped: bool = False) -> Finding:
    for_a, for_b = (rule.alternatives_b, rule.alternatives_a) if swapped else (rule.alternatives_a, rule.alternatives_b)
    return Finding("interaction", rule.id, (a, b), rule.severity, rule.action, rule.effect, rule.mechanism, rule.management, rule.source,
                   rule.monitoring, {a: tuple(each for each in for_a if each != b), b: tuple(each for each in for_b if each != a)},
                   (f"interaction.{rule.id}",))
