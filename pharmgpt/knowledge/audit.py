"""Is a knowledge base fit to be believed? Errors make it wrong or misleading; warnings show where it is silent.

Not checked: whether a fact is true. That takes its source and a reader.
"""
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from pharmgpt.knowledge.names import fold
from pharmgpt.knowledge.rules import Finding, interactions, partners, parts, renal_finding, selected
from pharmgpt.knowledge.schema import ACTIONS, Alternative, Drug, EnzymeRole, Interaction, KnowledgeBase, RenalRule, Term

FIELDS = ("brands", "spellings", "renal", "hepatic", "pregnancy", "lactation", "contraindications", "boxed_warnings", "serious_effects",
          "common_effects", "hazards", "monitoring", "enzymes", "alternatives")
CYP_STRENGTHS = {"substrate": ("sensitive", "moderate"), "inhibitor": ("strong", "moderate", "weak"),
                 "inducer": ("strong", "moderate", "weak")}


@dataclass(frozen=True)
class Problem:
    """One thing to mend: `where` is a fact, file or rule."""

    level: Literal["error", "warning"]
    check: str
    where: str
    found: str
    fix: str


@dataclass(frozen=True)
class Audit:
    problems: tuple[Problem, ...]
    coverage: dict[str, tuple[int, int]]  # field → (drugs that fill it, drugs)

    def beside(self, other: "Audit") -> "Audit":
        """What this audit says and the other doesn't: the problems that a folder laid over a base brought."""
        return Audit(tuple(problem for problem in self.problems if problem not in set(other.problems)), self.coverage)

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.level == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.level == "warning")


def audit(kb: KnowledgeBase) -> Audit:
    """Every check on every drug, rule and vocabulary."""
    checks = (unknown_ids, repeated_ids, repeated_rules, shared_terms, renal_bands, treated_and_forbidden, enzyme_strengths, selectors,
              alternatives, interaction_alternatives, contradictions, odd_actions, silences)
    sound = replace(kb, interactions=tuple(rule for rule in kb.interactions if _well_formed(rule.a) and _well_formed(rule.b)))
    problems = [problem for check in checks for problem in check(kb if check is selectors else sound)]
    filled = {name: (sum(bool(getattr(drug, name)) for drug in kb.drugs.values()), len(kb.drugs)) for name in FIELDS}
    return Audit(tuple(sorted(problems, key=lambda problem: problem.level)), filled)


def _error(check: str, where: str, found: str, fix: str) -> Problem:
    return Problem("error", check, where, found, fix)


def _warning(check: str, where: str, found: str, fix: str) -> Problem:
    return Problem("warning", check, where, found, fix)


# References

def unknown_ids(kb: KnowledgeBase) -> Iterator[Problem]:
    """Ids that no vocabulary, drug or source stands for."""
    known = {"class": kb.classes, "effect": kb.effects, "condition": kb.conditions, "parameter": kb.parameters, "drug": kb.drugs,
             "source": kb.sources}
    for where, kind, id in _references(kb):
        if id not in known[kind]:
            check = "missing source" if kind == "source" else "unknown id"
            yield _error(check, where, f"no {kind} {id!r}", f"correct the id or add the {kind}")


def _references(kb: KnowledgeBase) -> Iterator[tuple[str, str, str]]:
    """(where, kind, id) of everything that points at something."""
    for fact, source in kb.fact_ids().items():
        yield fact, "source", source
    for drug in kb.drugs.values():
        yield from ((drug.id, kind, id) for kind, id in _drug_references(drug))
    for rule in kb.interactions:
        where = f"interaction.{rule.id}"
        yield where, "effect", rule.effect
        yield from ((where, "parameter", id) for id in rule.monitoring)
        yield from ((where, "drug", id) for id in (*rule.alternatives_a, *rule.alternatives_b, *rule.except_drugs))
    for product in kb.combinations:
        yield f"combination.{product.id}", "source", product.source
        yield from ((f"combination.{product.id}", "drug", id) for id in product.drugs)
    for limit in kb.limits:
        yield f"limit.{limit.id}", "effect", limit.effect
        yield from ((f"limit.{limit.id}", "drug", id) for id in limit.except_drugs)
    for kind, entries in (("condition", kb.conditions), ("effect", kb.effects)):
        yield from ((entry.id, kind, id) for entry in entries.values() for id in entry.broader)
    yield from ((f"sets.toml {name}", "drug", id) for name, ids in kb.sets.items() for id in ids)


def _drug_references(drug: Drug) -> Iterator[tuple[str, str]]:
    yield from (("class", id) for id in drug.classes)
    yield from (("condition", id) for id in (*drug.indications, *(each.condition for each in drug.contraindications)))
    yield from (("parameter", each.parameter) for each in drug.monitoring)
    yield from (("drug", id) for each in drug.alternatives for id in each.drugs)
    stated = (*drug.renal, *drug.contraindications, *drug.boxed_warnings, *drug.serious_effects, *drug.common_effects, *drug.hazards,
              *drug.enzymes, *(advice for advice in (drug.hepatic, drug.pregnancy, drug.lactation) if advice))
    yield from (("effect", each.effect) for each in stated if each.effect)


def repeated_ids(kb: KnowledgeBase) -> Iterator[Problem]:
    """Two rules with one id, or one drug saying a thing twice: the second hides or contradicts the first."""
    for id, count in Counter(rule.id for rule in kb.interactions).items():
        if count > 1:
            yield _error("duplicate id", f"interaction.{id}", f"{count} rules with this id", "rename or remove one")
    for drug in kb.drugs.values():
        said = {"contraindication": [each.condition for each in drug.contraindications], "hazard": [each.effect for each in drug.hazards],
                "monitoring": [each.parameter for each in drug.monitoring], "boxed": [each.effect for each in drug.boxed_warnings],
                "serious": [each.effect for each in drug.serious_effects], "common": [each.effect for each in drug.common_effects],
                "enzyme": [f"{each.enzyme}.{each.role}" for each in drug.enzymes],
                "alternative": [each.problem for each in drug.alternatives]}
        for kind, ids in said.items():
            for id, count in Counter(ids).items():
                if count > 1:
                    yield _error("duplicate id", f"{drug.id}.{kind}.{id}", f"stated {count} times", "keep one")


def repeated_rules(kb: KnowledgeBase) -> Iterator[Problem]:
    """Two rules between the same two selectors about the same harm: one is enough, and two can disagree."""
    told: dict[tuple, str] = {}
    for rule in kb.interactions:
        key = (*sorted((rule.a, rule.b)), rule.c, rule.effect)
        if key in told:
            yield _error("duplicate rule", f"interaction.{rule.id}", f"{told[key]} says the same of {rule.a} and {rule.b}", "keep one")
        told.setdefault(key, rule.id)


def shared_terms(kb: KnowledgeBase) -> Iterator[Problem]:
    """One surface term for two entries of the same kind: a reader could not tell which is meant."""
    drugs = {drug.id: (drug.name, *drug.brands, *drug.spellings) for drug in kb.drugs.values()}
    drugs |= {f"combination {each.id}": each.brands for each in kb.combinations}
    kinds = {kind: {term.id: (term.name, *term.terms) for term in entries.values()}
             for kind, entries in _vocabularies(kb)} | {"drug": drugs}
    for kind, entries in kinds.items():
        claimed = defaultdict(set)
        for id, names in entries.items():
            for name in names:
                claimed[fold(name)].add(id)
        for name, ids in claimed.items():
            if len(ids) > 1:
                yield _error("shared term", f"{kind} {' and '.join(sorted(ids))}", f"both claim {name!r}", "leave it to one of them")


def _vocabularies(kb: KnowledgeBase) -> Iterable[tuple[str, dict[str, Term]]]:
    return (("class", kb.classes), ("effect", kb.effects), ("condition", kb.conditions), ("parameter", kb.parameters))


# Drugs

def renal_bands(kb: KnowledgeBase) -> Iterator[Problem]:
    """Every value from 0 up lies in exactly one band of a measure."""
    for drug in kb.drugs.values():
        for measure in dict.fromkeys(rule.measure for rule in drug.renal):
            bands = sorted((rule for rule in drug.renal if rule.measure == measure), key=lambda rule: rule.at_least)
            yield from _band_faults(f"{drug.id}.renal", measure, bands)


def _band_faults(where: str, measure: str, bands: list[RenalRule]) -> Iterator[Problem]:
    for band in bands:
        if band.below is not None and not 0 <= band.at_least < band.below <= 200:
            yield _error("renal range", where, f"{measure} from {band.at_least:g} to below {band.below:g}",
                         "0 ≤ at_least < below ≤ 200, in mL/min")
    edges = [(0.0, bands[0].at_least)] + [(inf_if_open(low), high.at_least) for low, high in zip(bands, bands[1:])]
    for end, start in edges:
        if start > end:
            yield _error("renal gap", where, f"no {measure} band from {end:g} to {start:g}", "add the missing band")
        if start < end:
            yield _error("renal overlap", where, f"two {measure} bands hold at {start:g}", "let each band begin where the last one ends")
    if bands[-1].below is not None:
        yield _error("renal gap", where, f"no {measure} band from {bands[-1].below:g} up",
                     'add the last band, with action "none" if the dose is usual')


def inf_if_open(band: RenalRule) -> float:
    return float("inf") if band.below is None else band.below


def treated_and_forbidden(kb: KnowledgeBase) -> Iterator[Problem]:
    """A condition that a drug is both given for and contraindicated in: a reader could not tell which holds."""
    for drug in kb.drugs.values():
        for each in drug.contraindications:
            if each.condition in drug.indications:
                yield _error("indication", f"{drug.id}.contraindication.{each.condition}", "is also an indication",
                             "keep the one that holds, or use a narrower condition")


def enzyme_strengths(kb: KnowledgeBase) -> Iterator[Problem]:
    """"sensitive" is said of substrates, "strong" and "weak" of inhibitors and inducers."""
    for drug in kb.drugs.values():
        for role in drug.enzymes:
            if role.strength not in CYP_STRENGTHS[role.role]:
                yield _error("enzyme strength", _enzyme_fact(drug, role), f"a {role.strength} {role.role}",
                             f"one of {', '.join(CYP_STRENGTHS[role.role])}")


def _enzyme_fact(drug: Drug, role: EnzymeRole) -> str:
    return f"{drug.id}.enzyme.{role.enzyme}.{role.role}"


def alternatives(kb: KnowledgeBase) -> Iterator[Problem]:
    """A drug offered instead must not share the problem that it is offered for."""
    for drug in kb.drugs.values():
        for entry in drug.alternatives:
            for id in entry.drugs:
                if id == drug.id:
                    yield _error("alternative", f"{drug.id}.alternative.{entry.problem}", "offers itself", "remove it")
                elif id in kb.drugs:
                    yield from _shares(kb, drug, entry, kb.drugs[id])


def _shares(kb: KnowledgeBase, drug: Drug, entry: Alternative, other: Drug) -> Iterator[Problem]:
    where, problem = f"{drug.id}.alternative.{entry.problem}", entry.problem
    if problem in ("renal", "any"):
        yield from _shares_renal(where, drug, other)
    if problem in ("pregnancy", "any") and (other.pregnancy and other.pregnancy.action == "avoid" or _contraindicated(other, "pregnancy")):
        yield _error("alternative", where, f"{other.id} is itself avoided in pregnancy", "choose another drug")
    mine = {each.condition for each in drug.contraindications}
    shared = mine & {each.condition for each in other.contraindications}
    if problem in ("contraindication", "any") and shared:
        report = _error if shared == mine else _warning
        yield report("alternative", where, f"{other.id} shares the contraindication {', '.join(sorted(shared))}",
                     "choose another drug, or accept that screening leaves it out there")
    if problem in ("interaction", "any"):
        yield from _shares_interactions(kb, where, drug, other)


def _contraindicated(drug: Drug, condition: str) -> bool:
    return any(each.condition == condition for each in drug.contraindications)


def _shares_renal(where: str, drug: Drug, other: Drug) -> Iterator[Problem]:
    """Probe the bands for which an alternative is wanted: where the drug is avoided, or where it is reduced if it is never avoided."""
    strictest = next((action for action in ("avoid", "reduce", "monitor") if any(rule.action == action for rule in drug.renal)), None)
    wanted = [rule for rule in drug.renal if rule.action == strictest]
    for value in _probes([*wanted, *other.renal]):
        inside = any(rule.at_least <= value < inf_if_open(rule) for rule in wanted)
        hits = [hit[0].action for measure in ("eGFR", "CrCl") if (hit := renal_finding(other, measure, value))]
        if inside and "avoid" in hits:
            yield _error("alternative", where, f"{other.id} is itself avoided at {value:g} mL/min", "choose another drug")
            return


def _probes(bands: list[RenalRule]) -> list[float]:
    edges = sorted({edge for band in bands for edge in (band.at_least, band.below) if edge is not None})
    return edges + [(low + high) / 2 for low, high in zip(edges, edges[1:])]


def _shares_interactions(kb: KnowledgeBase, where: str, drug: Drug, other: Drug) -> Iterator[Problem]:
    """Partners of the drug's own class do not count: one replaces the other there, and both together are a duplication."""
    met = {id: found[0] for id in partners(kb, drug.id) if id != other.id and not set(kb.drugs[id].classes) & set(drug.classes)
           and (found := interactions(kb, drug.id, id)) and found[0].severity != "minor"}
    clashes = {id: found[0] for id in met if (found := interactions(kb, other.id, id))}
    if met and all(id in clashes and clashes[id].gravity() <= found.gravity() for id, found in met.items()):
        yield _error("alternative", where, f"{other.id} interacts as badly with each partner of {drug.id}", "choose another drug")
    elif both := [id for id, found in met.items() if severe([found]) and severe([clashes[id]] if id in clashes else [])]:
        yield _warning("alternative", where, f"{other.id} also has a major interaction with {', '.join(both)}",
                       "screening leaves it out there")


def severe(findings: list[Finding]) -> bool:
    return any(finding.severity in ("contraindicated", "major") for finding in findings)


# Rules

def selectors(kb: KnowledgeBase) -> Iterator[Problem]:
    """A selector that names no drug never speaks."""
    sides = [(f"interaction.{rule.id}.{side}", selector) for rule in kb.interactions
             for side, selector in (("a", rule.a), ("b", rule.b), ("c", rule.c)) if selector]
    for where, selector in (*sides, *((f"limit.{limit.id}.who", limit.who) for limit in kb.limits)):
        if not _well_formed(selector) or not selected(kb, selector):
            yield _error("selector", where, f"{selector!r} matches no drug",
                         'drug:<id>, class:<id>, hazard:<effect> or cyp:<enzyme>:<role>[:<strength>], joined by " & " where all must hold')


def _well_formed(selector: str) -> bool:
    kinds = [part.partition(":") for part in parts(selector)]
    return all(kind in ("drug", "class", "hazard") and bool(rest) or kind == "cyp" and rest.count(":") in (1, 2) for kind, _, rest in kinds)


def interaction_alternatives(kb: KnowledgeBase) -> Iterator[Problem]:
    """A drug offered instead of one side must not interact at major or worse with the other side."""
    for rule in kb.interactions:
        a, b = (selected(kb, each) - set(rule.except_drugs) for each in (rule.a, rule.b))
        for key, offered, replaced, kept in (("alternatives_a", rule.alternatives_a, a, b), ("alternatives_b", rule.alternatives_b, b, a)):
            for id in set(offered) & kb.drugs.keys():
                yield from _faults_of_offer(kb, f"interaction.{rule.id}.{key}", rule, id, replaced, kept)


def _faults_of_offer(kb: KnowledgeBase, where: str, rule: Interaction, id: str, replaced: frozenset[str],
                     kept: frozenset[str]) -> Iterator[Problem]:
    if id in replaced:
        yield _error("alternative", where, f"{id} is itself on the side that it should replace",
                     "choose another drug, or add it to except_drugs")
        return
    clashing = sorted(partner for partner in kept if severe(interactions(kb, id, partner)))
    if clashing:
        yield _error("alternative", where, f"{id} has a major interaction with {', '.join(clashing)}", "choose another drug")


def contradictions(kb: KnowledgeBase) -> Iterator[Problem]:
    """Rules that name the drugs or classes of one pair, whose worse severity is the laxer action, or whose equal severity and effect
    ask for different actions. An enzyme's "lower the dose" beside a hazard's "watch" is no contradiction: both can be done."""
    told, naming = set(), {rule.id for rule in kb.interactions if not {"cyp", "hazard"} & _kinds(rule)}
    for a, b in ((a, b) for a in kb.drugs for b in partners(kb, a) if a < b):
        for worse, milder in combinations((each for each in interactions(kb, a, b) if each.rule in naming), 2):
            rules = frozenset((worse.rule, milder.rule))
            if rules not in told and _contradict(worse, milder):
                told.add(rules)
                yield _error("contradiction", f"{worse.rule} and {milder.rule}",
                             f"on {a} and {b}: {worse.severity} says {worse.action}, {milder.severity} says {milder.action}",
                             "agree on one action, or except the pair from one rule")


def _kinds(rule: Interaction) -> set[str]:
    return {part.partition(":")[0] for side in (rule.a, rule.b) for part in parts(side)}


def _contradict(worse: Finding, milder: Finding) -> bool:
    laxer = ACTIONS.index(worse.action) > ACTIONS.index(milder.action)
    same = worse.severity == milder.severity and worse.effect == milder.effect
    return worse.severity != milder.severity and laxer or same and worse.action != milder.action


def odd_actions(kb: KnowledgeBase) -> Iterator[Problem]:
    """Severity and action that cannot both be meant."""
    rules = [(f"interaction.{rule.id}", rule) for rule in kb.interactions] + [(f"limit.{limit.id}", limit) for limit in kb.limits]
    for where, rule in rules:
        said = f"{rule.severity} with action {rule.action}"
        if rule.severity == "contraindicated" and rule.action != "avoid" or rule.severity == "major" and rule.action == "none":
            yield _error("severity", where, said, 'contraindicated means "avoid"; major needs an action')


# Silence

def silences(kb: KnowledgeBase) -> Iterator[Problem]:
    """Where the base says nothing, and a reader might take that for safety."""
    for drug in kb.drugs.values():
        for field in ("renal", "pregnancy"):
            if not getattr(drug, field):
                yield _warning("silence", drug.id, f"no {field} statement", 'state it, with action "none" where nothing changes')
        for field in ("classes", "indications", "mechanism"):
            if not getattr(drug, field):
                yield _error("silence", drug.id, f"{field} is empty", "fill it in: rules, questions and explanations stand on it")
