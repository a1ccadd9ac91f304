"""What follows from the facts: which rule speaks about two drugs, and which renal band holds a value.

A rule is written once, between two selectors; here it becomes a finding about two drugs, with the rule's id, so that an explanation
can always say which fact spoke.
"""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import product
from typing import Literal

from pharmgpt.knowledge.schema import ACTIONS, SEVERITIES, Action, Drug, Interaction, KnowledgeBase, RenalRule, Severity

REDUCED_BELOW = 60  # KDIGO 2012: the value below which kidney function counts as reduced
Kind = Literal["interaction", "renal", "pregnancy", "lactation", "contraindication", "patient"]


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
    """Every rule that speaks about two drugs, worst first; empty where none does, or for a drug with itself.

    A rule that names the pair more narrowly silences a wider one (`_silences`): simvastatin with diltiazem has a dose limit of its own,
    so that "a moderate inhibitor with a sensitive substrate" need not be said as well.
    """
    heard = [(rule, _finding(kb, rule, a, b, swapped)) for rule, swapped in _rules_of(kb, a).get(b, ()) if b != a]
    spoken = [finding for rule, finding in heard
              if not any(_silences(kb, other, rule, said.effect, finding.effect) for other, said in heard)]
    return sorted(spoken, key=Finding.gravity)


def partners(kb: KnowledgeBase, drug: str) -> list[str]:
    """The drugs about which and this one some rule speaks, in the order of the base."""
    spoken = _rules_of(kb, drug)
    return [other for other in kb.drugs if other in spoken and other != drug]


def of_three(kb: KnowledgeBase, drugs: Sequence[str]) -> list[Finding]:
    """The rules that need three drugs, each with the first three of a list that it speaks of: "triple whammy"."""
    found = []
    for rule in (rule for rule in kb.interactions if rule.c):
        sides = [[drug for drug in drugs if drug in selected(kb, side) - {*rule.except_drugs}] for side in (rule.a, rule.b, rule.c)]
        three = next((three for three in product(*sides) if len(set(three)) == 3), None)
        found += [Finding("interaction", rule.id, three, rule.severity, rule.action, rule.effect, rule.mechanism, rule.management,
                          rule.source, rule.monitoring, fact_ids=(f"interaction.{rule.id}",))] if three else []
    return found


def _silences(kb: KnowledgeBase, one: Interaction, other: Interaction, said: str | None, silenced: str | None) -> bool:
    """`one` speaks of the same harm or a case of it and is narrower, or as wide, graver and as strict; or `other` is a general rule about
    enzymes, and `one` names a drug with a drug, class or enzyme role and is as grave."""
    same = said == silenced or said in kb.effects and silenced in kb.effects[said].broader
    width, grave = breadth(one) - breadth(other), SEVERITIES.index(one.severity) - SEVERITIES.index(other.severity)
    if width >= 0:
        return same and width == 0 and grave < 0 and ACTIONS.index(one.action) <= ACTIONS.index(other.action)
    kinetic = "cyp:" in other.a + other.b and (breadth(one) < 2 or "drug:" in one.a + one.b and "cyp:" in one.a + one.b)
    return same or kinetic and grave <= 0


def breadth(rule: Interaction) -> int:
    """How widely a rule speaks: 0 for two drugs, 4 for two enzyme roles or hazards; a class counts 1."""
    return _width(rule.a) + _width(rule.b)


@cache
def _width(selector: str) -> int:
    return min({"drug": 0, "class": 1}.get(part.partition(":")[0], 2) for part in parts(selector))


def renal_finding(drug: Drug, measure: str, value: float) -> tuple[RenalRule, str] | None:
    """The renal rule that holds at a value of eGFR (mL/min/1.73 m²) or CrCl (mL/min), and its fact id; None without a rule.

    A label that asks for care "in kidney disease" without a number is one rule for all values; it speaks below REDUCED_BELOW only.
    """
    for number, rule in enumerate(drug.renal):
        if rule.measure == measure and rule.at_least <= value and (rule.below is None or value < rule.below):
            return None if unnumbered(rule) and value >= REDUCED_BELOW else (rule, f"{drug.id}.renal.{number}")
    return None


def unnumbered(rule: RenalRule) -> bool:
    """It asks for something and gives no cut-off."""
    return rule.action != "none" and rule.below is None and not rule.at_least


def parts(selector: str) -> list[str]:
    """"class:statin & cyp:OATP1B1:substrate" → its parts, which must all hold."""
    return [part.strip() for part in selector.split("&")]


def selected(kb: KnowledgeBase, selector: str) -> frozenset[str]:
    """The drugs that a selector names. An unknown kind of selector names none; the audit reports it."""
    return frozenset.intersection(*(_by_part(kb).get(part, frozenset()) for part in parts(selector)))


@lru_cache(maxsize=8)
def _by_part(kb: KnowledgeBase) -> dict[str, frozenset[str]]:
    """Each part that a selector can have → the drugs that it names."""
    found: dict[str, set[str]] = {}
    for drug in kb.drugs.values():
        roles = [(f"cyp:{each.enzyme}:{each.role}", each.strength) for each in drug.enzymes]
        for part in (f"drug:{drug.id}", *(f"class:{id}" for id in drug.classes), *(f"hazard:{each.effect}" for each in drug.hazards),
                     *(role for role, _ in roles), *(f"{role}:{strength}" for role, strength in roles)):
            found.setdefault(part, set()).add(drug.id)
    return {part: frozenset(drugs) for part, drugs in found.items()}


@lru_cache(maxsize=8)
def _rules_by_drug(kb: KnowledgeBase) -> dict[str, list[tuple[Interaction, frozenset[str], frozenset[str]]]]:
    """Each drug → the rules that name it on either side, with the drugs of both sides."""
    by_drug: dict[str, list] = {}
    for rule in (rule for rule in kb.interactions if rule.c is None):
        a, b = (selected(kb, side) - {*rule.except_drugs} for side in (rule.a, rule.b))
        for drug in a | b:
            by_drug.setdefault(drug, []).append((rule, a, b))
    return by_drug


@lru_cache(maxsize=4096)
def _rules_of(kb: KnowledgeBase, drug: str) -> dict[str, list[tuple[Interaction, bool]]]:
    """Each other drug → the rules about the two, and whether this drug stands on side b of it."""
    by_partner: dict[str, list] = {}
    for rule, a, b in _rules_by_drug(kb).get(drug, ()):
        on_a = b if drug in a else frozenset()
        for partner in on_a:
            by_partner.setdefault(partner, []).append((rule, False))
        for partner in (a if drug in b else frozenset()) - on_a:
            by_partner.setdefault(partner, []).append((rule, True))
    return by_partner


def _finding(kb: KnowledgeBase, rule: Interaction, a: str, b: str, swapped: bool) -> Finding:
    """The rule, said about these two: {a} and {b} in its sentences become their names, and what a raised level does is the substrate's."""
    for_a, for_b = (rule.alternatives_b, rule.alternatives_a) if swapped else (rule.alternatives_a, rule.alternatives_b)
    names = dict(zip(("a", "b"), (kb.drugs[each].name for each in ((b, a) if swapped else (a, b)))))
    return Finding("interaction", rule.id, (a, b), rule.severity, rule.action, _effect(kb, rule, b if swapped else a, a if swapped else b),
                   named(rule.mechanism, names), named(rule.management, names), rule.source,
                   rule.monitoring, {a: tuple(each for each in for_a if each != b), b: tuple(each for each in for_b if each != a)},
                   (f"interaction.{rule.id}",))


def named(sentence: str, names: Mapping[str, str]) -> str:
    return sentence.replace("{a}", names["a"]).replace("{b}", names["b"])


def _effect(kb: KnowledgeBase, rule: Interaction, a: str, b: str) -> str:
    """A rule of enzymes whose effect is accumulation: what the substrate's own role says that a higher level does."""
    for selector, drug in ((rule.a, a), (rule.b, b)):
        for part in parts(selector):
            if rule.effect == "accumulation" and part.startswith("cyp:") and ":substrate" in part:
                enzyme = part.split(":")[1]
                return next((role.effect for role in kb.drugs[drug].enzymes
                             if (role.enzyme, role.role) == (enzyme, "substrate") and role.effect), rule.effect)
    return rule.effect
