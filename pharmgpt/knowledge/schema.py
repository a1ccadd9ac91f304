"""The nouns of drug safety: frozen, validated, with units in their names and a source on every fact.

A knowledge base is a folder of TOML files: one file a drug, and one each for sources, classes, effects, conditions, parameters
and interactions. `load.py` reads them into the types below; `rules.py` derives what follows from them.

Vocabulary ids are snake_case; a drug's id is its file name. Selectors in `Interaction.a` and `.b` name one side of an interaction:
`drug:warfarin`, `class:nsaid`, `hazard:bleeding`, `cyp:CYP3A4:inhibitor:strong`, `cyp:CYP3A4:substrate:sensitive`; parts joined by " & "
must all hold, as in `class:statin & cyp:OATP1B1:substrate`.
"""
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Severity = Literal["contraindicated", "major", "moderate", "minor"]
Action = Literal["avoid", "reduce", "monitor", "none"]
Name = Annotated[str, Field(pattern=r"\S")]  # a name of nothing would be met everywhere
SEVERITIES: tuple[Severity, ...] = ("contraindicated", "major", "moderate", "minor")  # worst first
ACTIONS: tuple[Action, ...] = ("avoid", "reduce", "monitor", "none")  # most restrictive first


class Strict(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Strict):
    """Where a fact can be checked: a label section, guideline or agency table."""

    id: str
    title: str
    publisher: str
    year: int | None = None
    url: str | None = None


class Term(Strict):
    """A vocabulary entry: `name` is how we write it, `terms` are other words people use for it."""

    id: str
    name: Name
    terms: tuple[str, ...] = ()
    broader: tuple[str, ...] = ()  # entries that this one is a case of, as severe asthma is asthma and gi_bleeding is bleeding


class RenalRule(Strict):
    """What to do when at_least ≤ measure < below. eGFR in mL/min/1.73 m², CrCl (Cockcroft-Gault) in mL/min."""

    measure: Literal["eGFR", "CrCl"]
    at_least: float = 0
    below: float | None = None
    action: Action
    dose: str = ""  # our words for the label's dose, such as "at most 1000 mg a day"
    effect: str | None = None  # effect id: what happens otherwise
    source: str


class Contraindication(Strict):
    condition: str  # condition id
    effect: str | None = None  # effect id: why
    source: str


class Advice(Strict):
    """What to do in pregnancy, lactation or liver disease, and why."""

    action: Action
    effect: str | None = None
    note: str = ""
    source: str


class Monitoring(Strict):
    parameter: str  # parameter id
    source: str


class Effect(Strict):
    """A drug's link to an effect id: an adverse effect, a boxed warning or a hazard that adds up with others'."""

    effect: str
    source: str


class EnzymeRole(Strict):
    """Strength is FDA's: inhibitors and inducers strong / moderate / weak; substrates sensitive / moderate."""

    enzyme: Literal["CYP1A2", "CYP2B6", "CYP2C8", "CYP2C9", "CYP2C19", "CYP2D6", "CYP3A4", "P-gp", "OATP1B1", "UGT"]
    role: Literal["substrate", "inhibitor", "inducer"]
    strength: Literal["sensitive", "strong", "moderate", "weak"]
    effect: str | None = None  # for a substrate: effect id when its level rises
    source: str


class Alternative(Strict):
    """Drugs to think of instead. `problem` is renal, pregnancy, interaction, contraindication, or any."""

    problem: Literal["renal", "pregnancy", "interaction", "contraindication", "any"]
    drugs: tuple[str, ...]
    source: str


class Drug(Strict):
    """One drug, complete enough to answer for it. Its id is its file name."""

    id: str
    name: Name
    brands: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()  # other accepted names (INN, USAN) and common misspellings
    classes: tuple[str, ...]
    indications: tuple[str, ...]  # condition ids
    mechanism: str  # a few words, such as "blocks the conversion of angiotensin I"
    source: str  # for name, class, indications and mechanism
    renal: tuple[RenalRule, ...] = ()
    hepatic: Advice | None = None
    pregnancy: Advice | None = None
    lactation: Advice | None = None
    contraindications: tuple[Contraindication, ...] = ()
    boxed_warnings: tuple[Effect, ...] = ()
    serious_effects: tuple[Effect, ...] = ()
    common_effects: tuple[Effect, ...] = ()
    hazards: tuple[Effect, ...] = ()
    monitoring: tuple[Monitoring, ...] = ()
    enzymes: tuple[EnzymeRole, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


class Interaction(Strict):
    """A rule between two selectors, written once, at the level where it is true. {a} and {b} in its sentences stand for the two drugs.
    With a third selector it speaks only where three different drugs come together."""

    id: str
    a: str
    b: str
    c: str | None = None
    severity: Severity
    action: Action
    effect: str  # effect id
    mechanism: str  # our sentence
    management: str  # our sentence
    monitoring: tuple[str, ...] = ()  # parameter ids
    alternatives_a: tuple[str, ...] = ()  # drugs to use instead of the drug on side a
    alternatives_b: tuple[str, ...] = ()
    except_drugs: tuple[str, ...] = ()  # drugs for which this rule does not hold, though the selector matches
    source: str


class Combination(Strict):
    """A product of several drugs of the base: its brands stand for each of them."""

    id: str
    drugs: tuple[str, ...]
    brands: tuple[str, ...]
    source: str


class Limit(Strict):
    """What a patient's age or laboratory value says about the drugs of a selector: at_least ≤ measure < below."""

    id: str
    who: str  # selector, as in Interaction
    measure: Literal["age_years", "qtc_ms", "potassium_mmol_l"]
    at_least: float = 0
    below: float | None = None
    severity: Severity
    action: Action
    effect: str  # effect id
    management: str  # our sentence; {drug} stands for the drug
    except_drugs: tuple[str, ...] = ()
    source: str


@dataclass(frozen=True, eq=False)  # compared and cached by identity: a loaded base never changes
class KnowledgeBase:
    """Everything that is true here. `content_hash` is SHA-256 over the files it was read from."""

    drugs: Mapping[str, Drug]
    sources: Mapping[str, Source]
    classes: Mapping[str, Term]
    effects: Mapping[str, Term]
    conditions: Mapping[str, Term]
    parameters: Mapping[str, Term]
    interactions: tuple[Interaction, ...]
    content_hash: str
    limits: tuple[Limit, ...] = ()
    combinations: tuple[Combination, ...] = ()
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # named sets of drug ids that a recipe may train on

    def name(self, id: str) -> str:
        """How we write what an id stands for; the id with spaces where no vocabulary knows it."""
        for entries in (self.drugs, self.effects, self.conditions, self.parameters, self.classes):
            if id in entries:
                return entries[id].name
        return id.replace("_", " ")

    def fact_ids(self) -> dict[str, str]:
        """Every fact's id → the id of its source."""
        facts = {f"interaction.{rule.id}": rule.source for rule in self.interactions}
        facts |= {f"limit.{limit.id}": limit.source for limit in self.limits}
        for drug in self.drugs.values():
            facts |= drug_facts(drug)
        return facts


def drug_facts(drug: Drug) -> dict[str, str]:
    """The fact ids of one drug, such as metformin.renal.0 or metformin.monitoring.egfr → the id of their source."""
    facts = {f"{drug.id}.{key}": drug.source for key in ("class", "indication", "mechanism", "name")}
    for key in ("hepatic", "pregnancy", "lactation"):
        if advice := getattr(drug, key):
            facts[f"{drug.id}.{key}"] = advice.source
    lists = (("contraindication", drug.contraindications, "condition"), ("monitoring", drug.monitoring, "parameter"),
             ("boxed", drug.boxed_warnings, "effect"), ("serious", drug.serious_effects, "effect"),
             ("common", drug.common_effects, "effect"), ("hazard", drug.hazards, "effect"), ("alternative", drug.alternatives, "problem"))
    facts |= {f"{drug.id}.{kind}.{getattr(entry, key)}": entry.source for kind, entries, key in lists for entry in entries}
    facts |= {f"{drug.id}.renal.{number}": rule.source for number, rule in enumerate(drug.renal)}
    return facts | {f"{drug.id}.enzyme.{role.enzyme}.{role.role}": role.source for role in drug.enzymes}
