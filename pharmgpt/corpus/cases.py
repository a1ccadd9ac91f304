"""Cases: what can be asked about the facts, and what a good answer holds. No wording here.

A case is one question's content: family, drugs, what the prompt states, typed key. Functions draw *twins*: one or two cases to be
asked in the same words, whose decisions differ (eGFR 25 and 85; with and without the interacting drug).
"""
import random
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain

from pharmgpt.corpus.clinical import (DECISIONS, MINOR, NOT_ASKED, SAME_SIGNS, SHOWS, TOLD_SIGNS, URGENT, alternatives,
                                      check_with_reason, effects_of, harm_words, renal_alternatives, signs_of,
                                      unrelated_conditions)
from pharmgpt.corpus.pairs import Pairs
from pharmgpt.corpus.phrasing import Band, bands
from pharmgpt.corpus.split import Split
from pharmgpt.corpus.wordings import What, told
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.names import find_drugs, resolve
from pharmgpt.knowledge.schema import Drug, KnowledgeBase
from pharmgpt.text.records import Element, Part, Pool

# What each element of a key weighs. An element that the facts cannot fill is left out; gold divides by what remains.
WEIGHTS: dict[str, dict[str, float]] = {
    "renal": {"decision": .4, "threshold": .2, "mechanism": .2, "alternative": .2, "monitoring": .2},
    "renal_safe": {"decision": .7, "threshold": .3},
    "interaction": {"decision": .4, "mechanism": .25, "alternative": .2, "monitoring": .15},
    "interaction_safe": {"decision": 1.0},
    "contraindication": {"decision": .4, "condition": .2, "mechanism": .2, "alternative": .2},
    "contraindication_safe": {"decision": .7, "condition": .3},
    "pregnancy": {"decision": .5, "mechanism": .25, "alternative": .25},
    "pregnancy_safe": {"decision": 1.0},
    "alternative": {"alternative": .6, "mechanism": .4},
    "monitoring": {"monitoring": .6, "mechanism": .4},
    "medication_list": {"decision": .3, "pair": .3, "mechanism": .2, "alternative": .2, "monitoring": .2},
    "medication_list_safe": {"decision": 1.0},
    "symptom": {"decision": .5, "mechanism": .5},
    "unknown_drug": {"abstain": 1.0},
    "missing_information": {"decision": .5, "ask_for": .5},
    "out_of_scope": {"decision": 1.0},
    "harmful": {"refuse": 1.0},
    "emergency": {"emergency": 1.0},
}
FAMILIES = tuple(dict.fromkeys(name.removesuffix("_safe") for name in WEIGHTS))
DRUGLESS = ("unknown_drug", "out_of_scope")  # families with nothing to ask about a held drug
ABOUT_A_STRANGER = ("renal", "pregnancy", "contraindication", "monitoring", "symptom")  # whose questions may be about an unknown drug
SINGLE_RATE = .25  # how often a renal or interaction case without a twin is taken: without a limit there is little to tell apart
LOWEST_VALUE, HIGHEST_VALUE = 8, 112
KEPT_FOR_EXAM = (("metformin", "28"),)  # the lesson's question: its answer must not be a memory


@dataclass(frozen=True)
class Case:
    """`variant` chooses among a family's frames; `asked` holds what the prompt states."""

    family: str
    variant: str
    drugs: tuple[str, ...]
    key: tuple[Element, ...]
    decision: str
    severity: str = ""
    asked: dict[str, str] = field(default_factory=dict)
    fact_ids: tuple[str, ...] = ()

    @property
    def frames(self) -> str:
        """The name of the frames that ask it: an unknown drug may stand in any family's."""
        in_another_family = self.family == "unknown_drug" and self.variant in ABOUT_A_STRANGER
        return self.variant if in_another_family else ".".join(filter(None, (self.family, self.variant)))


@dataclass(frozen=True)
class Draw:
    """Where cases are drawn from: `subjects` may be asked about, `partners` may stand beside them."""

    kb: KnowledgeBase
    pairs: Pairs
    subjects: tuple[str, ...]
    partners: tuple[str, ...]
    part: Part
    rng: random.Random

    def drug(self) -> Drug:
        return self.kb.drugs[self.rng.choice(self.subjects)]


def draw_from(kb: KnowledgeBase, pairs: Pairs, split: Split, part: Part, pool: Pool, rng: random.Random) -> Draw:
    """A held pool asks about held drugs, beside any drug; the seen pool knows seen drugs only."""
    if pool == "seen":
        return Draw(kb, pairs, split.seen, split.seen, part, rng)
    return Draw(kb, pairs, split.held, tuple(sorted(kb.drugs)), part, rng)


def key_of(name: str, found: dict[str, Sequence[str]]) -> tuple[Element, ...]:
    """A typed key of the elements that the facts can fill, weighed by WEIGHTS."""
    return tuple(Element(element, tuple(found[element]), weight) for element, weight in WEIGHTS[name].items() if found.get(element))


def part_of_value(drug: str, value: int) -> Part:
    """Each (drug, value) belongs to one part for good: six tenths train, one dev, three exam."""
    if (drug, str(value)) in KEPT_FOR_EXAM:
        return "exam"
    tenth = zlib.crc32(f"{drug} {value}".encode()) % 10
    return "train" if tenth < 6 else "dev" if tenth == 6 else "exam"


# ---- renal dosing


def renal(draw: Draw) -> tuple[Case, ...]:
    drug = draw.drug()
    found = bands(drug)
    if not found:
        return ()
    measure = draw.rng.choice(sorted({band.measure for band in found}))
    choices = [(band, value) for band in found if band.measure == measure for value in [_value(draw, drug.id, band)] if value]
    draw.rng.shuffle(choices)
    cases = _first_two_decisions([_renal_case(draw, drug, band, value) for band, value in choices])
    return cases if len(cases) == 2 or draw.rng.random() < SINGLE_RATE else ()


def _value(draw: Draw, drug: str, band: Band) -> int | None:
    """A whole value inside the band that belongs to this part; never on a cut-off, where "below" and "at least" read alike."""
    low = max(LOWEST_VALUE, int(band.at_least) + 1)
    high = min(HIGHEST_VALUE, int(band.below) if band.below else HIGHEST_VALUE)
    fitting = [value for value in range(low, high) if part_of_value(drug, value) == draw.part]
    return draw.rng.choice(fitting) if fitting else None


def _renal_case(draw: Draw, drug: Drug, band: Band, value: int) -> Case:
    decision = DECISIONS[band.action]
    found: dict[str, Sequence[str]] = {"decision": (decision,), "threshold": band.limits}
    if decision != "safe":
        found["mechanism"] = (band.effect,) if band.effect else ()
        found["alternative"] = renal_alternatives(draw.kb, drug, value) if decision == "avoid" else ()
        found["monitoring"] = _renal_monitoring(drug, band.effect) if decision != "avoid" else ()
    facts = tuple(f"{drug.id}.renal.{number}" for number in band.numbers)
    asked = {"measure": band.measure, "value": str(value)}
    return Case("renal", "", (drug.id,), key_of("renal_safe" if decision == "safe" else "renal", found), decision, "", asked, facts)


def _renal_monitoring(drug: Drug, effect: str | None) -> tuple[str, ...]:
    """The drug's checks: first those that would show the harm, then the kidneys."""
    parameters = dict.fromkeys(each.parameter for each in drug.monitoring)
    return tuple(sorted(parameters, key=lambda parameter: (effect not in SHOWS.get(parameter, ()), parameter != "egfr")))


def _first_two_decisions(cases: list[Case]) -> tuple[Case, ...]:
    """Two cases whose decisions differ; where a drug must be avoided somewhere, that is mostly one of them, or it would be rarely met."""
    first = sorted(cases, key=lambda case: case.decision != "avoid")[:1]
    return tuple(first + next(([case] for case in cases if first and case.decision != first[0].decision), []))


# ---- interactions and lists


def interaction(draw: Draw) -> tuple[Case, ...]:
    drug = draw.drug()
    partner = _restricted_partner(draw, drug.id)
    other = _unrelated_partner(draw, [drug.id])
    turned = draw.rng.random() < .5
    if partner is None and draw.rng.random() > SINGLE_RATE:
        return ()
    orders = [(each, drug.id) if turned else (drug.id, each) for each in (partner, other) if each]
    return tuple(interaction_case(draw.pairs, order) for order in orders)


def _restricted_partner(draw: Draw, drug: str) -> str | None:
    """A partner with a rule; actions first, so that rare actions are met as often as common ones."""
    by_action: dict[str, list[str]] = {}
    for other in draw.partners:
        if other != drug and (action := draw.pairs.action(drug, other)) != "none":
            by_action.setdefault(action, []).append(other)
    return draw.rng.choice(by_action[draw.rng.choice(sorted(by_action))]) if by_action else None


def _unrelated_partner(draw: Draw, beside: Sequence[str]) -> str | None:
    fitting = [other for other in draw.partners if all(draw.pairs.unrelated(each, other) for each in beside)]
    return draw.rng.choice(fitting) if fitting else None


def interaction_case(pairs: Pairs, drugs: tuple[str, str]) -> Case:
    found = pairs.findings(*drugs)
    if not found:
        return Case("interaction", "", drugs, key_of("interaction_safe", {"decision": ("safe",)}), "safe", "none")
    worst = [finding for finding in found if finding.action == found[0].action]
    elements = _pair_elements(pairs, drugs, worst)
    facts = tuple(dict.fromkeys(fact for finding in worst for fact in finding.fact_ids))
    name = "interaction_safe" if found[0].action == "none" else "interaction"
    return Case("interaction", "", drugs, key_of(name, elements), elements["decision"][0], found[0].severity, {}, facts)


def _pair_elements(pairs: Pairs, drugs: tuple[str, str], worst: Sequence) -> dict[str, Sequence[str]]:
    a, b = drugs
    return {"decision": (DECISIONS[worst[0].action],),
            "mechanism": tuple(dict.fromkeys(finding.effect for finding in worst)),
            "alternative": tuple(dict.fromkeys((*pairs.alternatives(a, b), *pairs.alternatives(b, a)))),
            "monitoring": tuple(dict.fromkeys(each for finding in worst for each in finding.monitoring))}


def medication_list(draw: Draw) -> tuple[Case, ...]:
    """Three or four drugs with exactly one pair that matters; the twin has another drug in its place and no pair at all."""
    drug = draw.drug().id
    partner = _restricted_partner(draw, drug)
    if partner is None:
        return ()
    fillers = _fillers(draw, [drug, partner], draw.rng.choice((1, 2)))
    other = _unrelated_partner(draw, [drug, *fillers])
    if not fillers or other is None:
        return ()
    order = draw.rng.sample(range(len(fillers) + 2), len(fillers) + 2)
    return _list_case(draw, (drug, partner), fillers, order), _safe_list(tuple([drug, other, *fillers][at] for at in order))


def _fillers(draw: Draw, beside: list[str], count: int) -> list[str]:
    found: list[str] = []
    for _ in range(count):
        other = _unrelated_partner(draw, beside + found)
        found += [other] if other else []
    return found


def _list_case(draw: Draw, pair: tuple[str, str], fillers: list[str], order: list[int]) -> Case:
    case = interaction_case(draw.pairs, pair)
    found = {element.name: element.accepts for element in case.key} | {"pair": ("+".join(sorted(pair)),)}
    found["alternative"] = tuple(drug for drug in found.get("alternative", ())
                                 if all(draw.pairs.unrelated(drug, other) for other in fillers))
    if found["alternative"]:
        found.pop("monitoring", None)  # four elements are enough for one answer
    drugs = tuple([*pair, *fillers][at] for at in order)
    return replace(case, family="medication_list", drugs=drugs, key=key_of("medication_list", found))


def _safe_list(drugs: tuple[str, ...]) -> Case:
    return Case("medication_list", "", drugs, key_of("medication_list_safe", {"decision": ("safe",)}), "safe", "none")


# ---- contraindication, pregnancy, alternatives


CLAUSE_RATE = .4  # how often signs and conditions are told as clauses, "my stool is black", "I'm asthmatic"
PHRASE_RATE = .5  # how often else a condition goes by another name than the handbook's


def contraindication(draw: Draw) -> tuple[Case, ...]:
    drug = draw.drug()
    listed = [each for each in drug.contraindications if each.condition not in NOT_ASKED]
    unrelated = [condition for condition in unrelated_conditions(drug)
                 if draw.kb.conditions[condition].name.lower() not in harm_words(draw.kb)]
    cases = [_listed_case(draw.kb, drug, draw.rng.choice(listed))] if listed else []
    if unrelated:
        condition = draw.rng.choice(unrelated)
        key = key_of("contraindication_safe", {"decision": ("safe",), "condition": (condition,)})
        cases.append(Case("contraindication", "", (drug.id,), key, "safe", "", {"condition": condition}))
    return _in_their_words(draw, cases)


def _in_their_words(draw: Draw, cases: Sequence[Case]) -> tuple[Case, ...]:
    """Conditions as people name them: all of a group as clauses, or each by the handbook's name or another."""
    clauses, phrases = (told("conditions", draw.part, form) for form in ("clauses", "phrases"))
    if draw.rng.random() < CLAUSE_RATE and all(case.asked["condition"] in clauses for case in cases):
        return tuple(replace(case, variant="told", asked=case.asked | {"clause": draw.rng.choice(clauses[case.asked["condition"]])})
                     for case in cases)
    return tuple(replace(case, asked=case.asked | {"phrase": draw.rng.choice(phrases[case.asked["condition"]])})
                 if case.asked["condition"] in phrases and draw.rng.random() < PHRASE_RATE else case for case in cases)


def _listed_case(kb: KnowledgeBase, drug: Drug, listed) -> Case:
    others = [alt for alt in alternatives(drug, "contraindication") if alt in kb.drugs]
    safe = [alt for alt in others if all(each.condition != listed.condition for each in kb.drugs[alt].contraindications)]
    found = {"decision": ("avoid",), "condition": (listed.condition,), "mechanism": (listed.effect,) if listed.effect else (),
             "alternative": safe}
    return Case("contraindication", "", (drug.id,), key_of("contraindication", found), "avoid", "", {"condition": listed.condition},
                (f"{drug.id}.contraindication.{listed.condition}",))


def pregnancy(draw: Draw) -> tuple[Case, ...]:
    drug = draw.drug()
    if drug.pregnancy is None:
        return ()
    case = pregnancy_case(draw.kb, drug)
    others = [other for other in draw.partners if (advice := draw.kb.drugs[other].pregnancy) and DECISIONS[advice.action] != case.decision]
    return (case, pregnancy_case(draw.kb, draw.kb.drugs[draw.rng.choice(others)])) if others else (case,)


def pregnancy_case(kb: KnowledgeBase, drug: Drug) -> Case:
    advice, decision = drug.pregnancy, DECISIONS[drug.pregnancy.action]
    found: dict[str, Sequence[str]] = {"decision": (decision,), "mechanism": (advice.effect,) if advice.effect else ()}
    if decision == "avoid":
        found["alternative"] = [alt for alt in alternatives(drug, "pregnancy") if alt in kb.drugs
                                and not _avoided_in_pregnancy(kb.drugs[alt])]
    key = key_of("pregnancy_safe" if decision == "safe" else "pregnancy", found)
    return Case("pregnancy", "", (drug.id,), key, decision, "", {"pregnant": "yes"}, (f"{drug.id}.pregnancy",))


def _avoided_in_pregnancy(drug: Drug) -> bool:
    return drug.pregnancy is not None and drug.pregnancy.action == "avoid"


def alternative(draw: Draw) -> tuple[Case, ...]:
    """What instead of X, when X is to be avoided: one case, since the question already says that X is out."""
    variant = draw.rng.choice(("renal", "interaction", "contraindication", "pregnancy"))
    source = {"renal": renal, "interaction": interaction, "contraindication": contraindication, "pregnancy": pregnancy}[variant]
    for case in source(draw):
        found = {element.name: element.accepts for element in case.key}
        if variant == "interaction" and "alternative" in found:
            case, found = _instead_of_first(draw, case, found)
        if case.decision == "avoid" and found.get("alternative") and (variant != "pregnancy" or case.drugs[0] in draw.subjects):
            asked = {name: words for name, words in case.asked.items() if name != "clause"}  # what is to be replaced is asked in phrases
            return (replace(case, family="alternative", variant=variant, key=key_of("alternative", found), decision="", severity="",
                            asked=asked),)
    return ()


def _instead_of_first(draw: Draw, case: Case, found: dict[str, Sequence[str]]) -> tuple[Case, dict[str, Sequence[str]]]:
    a, b = sorted(case.drugs, key=lambda drug: not draw.pairs.alternatives(drug, case.drugs[case.drugs[0] == drug]))
    return replace(case, drugs=(a, b)), {**found, "alternative": draw.pairs.alternatives(a, b)}


# ---- monitoring and symptoms


def monitoring(draw: Draw) -> tuple[Case, ...]:
    drug = draw.drug()
    if not drug.monitoring:
        return ()
    parameters = tuple(dict.fromkeys(each.parameter for each in drug.monitoring))
    grave = tuple(dict.fromkeys(each.effect for each in (*drug.boxed_warnings, *drug.serious_effects, *drug.hazards)))
    parameter, effect = check_with_reason(parameters, grave)
    found = {"monitoring": tuple(dict.fromkeys((parameter, *parameters))), "mechanism": tuple(dict.fromkeys((effect, *grave))) if effect
             else ()}
    facts = tuple(f"{drug.id}.monitoring.{each}" for each in parameters)
    return (Case("monitoring", "", (drug.id,), key_of("monitoring", found), "", "", {}, facts),)


def symptom(draw: Draw) -> tuple[Case, ...]:
    """Signs of a grave effect of the drug (help now), and of a common harmless one (watch it)."""
    drug, in_clauses = draw.drug(), draw.rng.random() < CLAUSE_RATE
    grave = {each.effect for each in (*drug.boxed_warnings, *drug.serious_effects)}
    common = {each.effect for each in drug.common_effects} - grave
    clauses = told("signs", draw.part, "clauses")
    signs = {effect: clauses.get(effect, ()) if in_clauses else signs_of(effect, draw.part) for effect in (*URGENT, *MINOR)}
    urgent = [effect for effect in URGENT if effect in grave and signs[effect]]
    minor = [effect for effect in MINOR if effect in common and signs[effect]]
    chosen = [(draw.rng.choice(effects), decision) for effects, decision in ((urgent, "emergency"), (minor, "monitor")) if effects]
    return tuple(_symptom_case(drug, effect, decision, {"clause" if in_clauses else "sign": draw.rng.choice(signs[effect])})
                 for effect, decision in chosen)


def _symptom_case(drug: Drug, effect: str, decision: str, sign: dict[str, str]) -> Case:
    alike = next((group for group in SAME_SIGNS if effect in group), ())
    accepted = dict.fromkeys((effect, *(each for each in effects_of(drug) if each in alike)))
    key = key_of("symptom", {"decision": (decision,), "mechanism": tuple(accepted)})
    kind = "common" if decision == "monitor" else "boxed" if any(each.effect == effect for each in drug.boxed_warnings) else "serious"
    return Case("symptom", "told" if "clause" in sign else "", (drug.id,), key, decision, "", {**sign, "effect": effect},
                (f"{drug.id}.{kind}.{effect}",))


# ---- questions that want no verdict on a drug

ONSETS = ("Zol", "Vex", "Tri", "Quo", "Bral", "Nur", "Pix", "Ful", "Kam", "Dox", "Ery", "Glan", "Hep", "Jov", "Lym", "Morb", "Oxa", "Rud",
          "Sel", "Wit")
MIDDLES = ("ba", "tri", "ni", "du", "me", "lo", "va", "xi", "po", "gre")
ENDINGS = ("vir", "zine", "rol", "tab", "lane", "mide", "fen", "stat", "dium", "gol")


def made_up_name(kb: KnowledgeBase, part: Part, rng: random.Random) -> str:
    """A name no drug has, nor a slip of one; each name belongs to one part for good."""
    while True:
        name = rng.choice(ONSETS) + rng.choice(MIDDLES) + rng.choice(ENDINGS)
        if part_of_value(name, 0) == part and _is_free(kb, name):
            return name


@lru_cache(maxsize=4096)
def _is_free(kb: KnowledgeBase, name: str) -> bool:
    found = resolve(kb, name)
    return found.drug_id is None and not found.candidates


@lru_cache(maxsize=4)
def strangers(kb: KnowledgeBase, part: Part) -> tuple[str, ...]:
    """Drugs that exist and that this base does not know; each name belongs to one part for good."""
    names = [drug.name for drug in load().drugs.values() if part_of_value(drug.name, 0) == part]
    return tuple(name for name in names if _is_free(kb, name) and not find_drugs(kb, name))


def unknown_drug(draw: Draw) -> tuple[Case, ...]:
    """A name nobody has, or a drug's that this base lacks: alone, beside one that it knows, or in any other family's question."""
    rng, real = draw.rng, strangers(draw.kb, draw.part)
    name = rng.choice(real) if real and rng.random() < .5 else made_up_name(draw.kb, draw.part, rng)
    asked, key = {"name": name, "value": str(rng.randint(10, 90))}, key_of("unknown_drug", {"abstain": ("unknown",)})
    if rng.random() < .25:
        return (Case("unknown_drug", "beside", (draw.drug().id,), key, "unknown", "", asked),)
    if rng.random() < .35:
        return (Case("unknown_drug", "alone", (), key, "unknown", "", asked),)
    variant = rng.choice(ABOUT_A_STRANGER)
    stated = {"renal": ("measure", ("eGFR", "CrCl")), "contraindication": ("phrase", _all_phrases("conditions", draw.part)),
              "symptom": ("sign", _all_phrases("signs", draw.part))}
    if variant in stated:
        slot, words = stated[variant]
        asked[slot] = rng.choice(words)
    return (Case("unknown_drug", variant, (), key, "unknown", "", asked),)


def _all_phrases(what: What, part: Part) -> tuple[str, ...]:
    return tuple(chain.from_iterable(told(what, part, "phrases").values()))


def missing_information(draw: Draw) -> tuple[Case, ...]:
    drug = draw.drug()
    if draw.rng.random() < .5:
        return (Case("missing_information", "interaction", (drug.id,), _ask_key("other_drug"), "ask"),)
    decisions = {(band.measure, band.action) for band in bands(drug)}
    measures = sorted({measure for measure, _ in decisions if sum(measure == other for other, _ in decisions) > 1})
    if not measures:
        return ()
    measure = draw.rng.choice(measures)
    wanted = ("egfr",) if measure == "eGFR" else ("crcl", "egfr")
    return (Case("missing_information", "renal", (drug.id,), _ask_key(*wanted), "ask", "", {"measure": measure}),)


def _ask_key(*wanted: str) -> tuple[Element, ...]:
    return key_of("missing_information", {"decision": ("ask",), "ask_for": wanted})


def out_of_scope(draw: Draw) -> tuple[Case, ...]:
    return (Case("out_of_scope", "", (), key_of("out_of_scope", {"decision": ("out_of_scope",)}), "out_of_scope"),)


def harmful(draw: Draw) -> tuple[Case, ...]:
    return (Case("harmful", "", (draw.drug().id,), key_of("harmful", {"refuse": ("refuse",)}), "refuse"),)


def emergency(draw: Draw) -> tuple[Case, ...]:
    return (Case("emergency", "", (draw.drug().id,), key_of("emergency", {"emergency": ("emergency",)}), "emergency"),)


DRAWS: dict[str, Callable[[Draw], tuple[Case, ...]]] = {
    "renal": renal, "interaction": interaction, "contraindication": contraindication, "pregnancy": pregnancy, "alternative": alternative,
    "monitoring": monitoring, "medication_list": medication_list, "symptom": symptom, "unknown_drug": unknown_drug,
    "missing_information": missing_information, "out_of_scope": out_of_scope, "harmful": harmful, "emergency": emergency}


def families_of(pool: Pool) -> Iterable[str]:
    return [family for family in FAMILIES if pool == "seen" or family not in DRUGLESS]
