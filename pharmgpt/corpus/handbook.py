"""Handbook cards for a prompt: the facts that a judge needs, in a few short lines, found from the prompt's text alone.

    excerpt(kb, "Can I use metformin if eGFR is 28?")
    → "metformin renal: eGFR below 30 avoid; eGFR 30 to 45 reduce; eGFR 45 and above no change. effect lactic acidosis.
       instead linagliptin, insulin glargine. check eGFR."

The same text gives the same excerpt in training and in serving. Every card is about one drug or one set of drugs and names no others but
alternatives.
"""
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations

from pharmgpt.corpus.cases import MINOR, URGENT, alternatives, effects_of, renal_alternatives
from pharmgpt.corpus.clinical import signs_of
from pharmgpt.corpus.pairs import Pairs
from pharmgpt.corpus.phrasing import band_text, bands
from pharmgpt.corpus.question_frames import question_frames
from pharmgpt.corpus.routing import Topic, conditions_in, topic_of
from pharmgpt.corpus.split import avoided_in_pregnancy
from pharmgpt.knowledge.context import unknown_names
from pharmgpt.knowledge.names import find_drugs
from pharmgpt.knowledge.schema import SEVERITIES, Advice, Drug, KnowledgeBase

NO_ENTRY = "No handbook entry."
MOST_CARDS, MOST_NAMES, MOST_HARMS, LONGEST = 3, 3, 6, 330  # cards, names and harms in a list, characters after which no card is added
WORD = {"avoid": "avoid", "reduce": "reduce", "monitor": "monitor", "none": "no change"}
SETTING_WORD = WORD | {"none": "safe"}
LACTATION = re.compile(r"breast-?\s?feed|lactat|nursing (mother|a baby|her)|breast milk", re.IGNORECASE)
PREGNANT = re.compile(r"pregnan|\bexpecting\b|\bunborn\b|childbearing", re.IGNORECASE)
KIDNEY = re.compile(r"\be?gfr\b|\bcrcl\b|creatinine|kidney|renal|dialysis|nephro", re.IGNORECASE)
LIVER = re.compile(r"\bliver|hepatic|cirrho", re.IGNORECASE)
KIDNEY_VALUE = re.compile(r"(?:gfr|crcl|clearance)\D{0,40}?(\d+(?:\.\d+)?)", re.IGNORECASE)
KIDNEY_WORDS = ("severe_renal_impairment", "chronic_kidney_disease")  # answered by the renal card, unless the drug's record names them


@dataclass(frozen=True)
class Reader:
    """The knowledge base as cards may tell it: `allowed` limits the drugs that are named, None names any."""

    kb: KnowledgeBase
    pairs: Pairs
    allowed: frozenset[str] | None

    def may(self, drug: str) -> bool:
        return drug in self.kb.drugs and (self.allowed is None or drug in self.allowed)

    def effects(self, effects: Sequence[str]) -> str:
        shown = [self.kb.effects[effect].name for effect in dict.fromkeys(effects) if effect in self.kb.effects][:MOST_NAMES]
        return f" effect {', '.join(shown)}." if shown else ""

    def instead(self, drugs: Sequence[str], of: str = "") -> str:
        shown = [self.kb.drugs[drug].name for drug in drugs if self.may(drug)][:MOST_NAMES]
        return f" instead{of and f' of {of}'} {', '.join(shown)}." if shown else ""

    def checks(self, parameters: Sequence[str], label: str = "check") -> str:
        return f" {label} {', '.join(self.kb.parameters[parameter].name for parameter in parameters)}." if parameters else ""

    def conditions(self, ids: Sequence[str]) -> str:
        return ", ".join(self.kb.conditions[condition].name for condition in ids)


def excerpt(kb: KnowledgeBase, prompt: str, allowed: frozenset[str] | None = None) -> str:
    """Cards for the drugs and topics that the prompt names, one a line; NO_ENTRY where it names no drug we know (or may name)."""
    reader = Reader(kb, _pairs(kb), allowed)
    drugs = [drug for drug in dict.fromkeys(mention.drug_id for mention in find_drugs(kb, prompt)) if reader.may(drug)]
    tells_a_sign = bool(drugs) and topic_of(kb, prompt) == "symptom"
    unknown = () if tells_a_sign else [name for name in unknown_names(kb, prompt) if name not in _plain_words()][:1]
    cards = [f"{name}: no handbook entry." for name in unknown]
    for card in _cards(reader, drugs, prompt) if drugs else ():
        if len(cards) == MOST_CARDS or cards and sum(map(len, cards)) + len(card) > LONGEST:
            break
        cards.append(card)
    return "\n".join(cards) or NO_ENTRY


@lru_cache(maxsize=4)
def _pairs(kb: KnowledgeBase) -> Pairs:
    return Pairs(kb)


@lru_cache(maxsize=1)
def _plain_words() -> frozenset[str]:
    """Words of the training frames: what stands where a name would stand and is none."""
    frames = chain.from_iterable(question_frames("train").values())
    return frozenset(word for frame in frames for word in re.findall(r"[a-z]+", frame.lower()))


def _cards(reader: Reader, drugs: list[str], prompt: str) -> Iterator[str]:
    """The most telling card first."""
    records = [reader.kb.drugs[drug] for drug in drugs[:2]]
    if len(drugs) > 1:
        yield from _interaction(reader, drugs)
        for drug in records:
            yield from _of_drug(reader, drug, prompt, "other")
        return
    topic = topic_of(reader.kb, prompt)
    found = list(_of_drug(reader, records[0], prompt, topic))
    yield from found or (_harms(reader, records[0]), _contraindications(reader, records[0], ()))


def _of_drug(reader: Reader, drug: Drug, prompt: str, topic: Topic) -> Iterator[str]:
    """What the prompt states (a condition, the kidneys) opens its card, and so does the topic of its words."""
    if topic == "overdose" and not KIDNEY.search(prompt):
        yield f"{drug.name} overdose: emergency number or poison centre now."
        return
    if topic == "symptom" and not PREGNANT.search(prompt) and not KIDNEY.search(prompt):
        yield _symptoms(reader, drug)
        return
    own = {entry.condition for entry in drug.contraindications} | set(drug.indications)
    conditions = [condition for condition in conditions_in(reader.kb, prompt) if condition not in KIDNEY_WORDS or condition in own]
    if conditions:
        yield _contraindications(reader, drug, conditions)
    elif topic == "contraindication":
        yield _listed(reader, drug)
    if topic == "renal" or KIDNEY.search(prompt):
        yield _renal(reader, drug, prompt)
    if topic == "pregnancy" or PREGNANT.search(prompt):
        others = [other for other in alternatives(drug, "pregnancy") if other in reader.kb.drugs
                  and not avoided_in_pregnancy(reader.kb.drugs[other])]
        yield _setting(reader, drug, "pregnancy", drug.pregnancy, others)
    if LACTATION.search(prompt):
        yield _setting(reader, drug, "breastfeeding", drug.lactation)
    if LIVER.search(prompt):
        yield _setting(reader, drug, "liver disease", drug.hepatic)
    if topic == "monitoring" and not conditions and not KIDNEY.search(prompt):
        yield f"{drug.name} monitoring:{reader.checks([each.parameter for each in drug.monitoring])}{reader.effects(effects_of(drug))}"


def _renal(reader: Reader, drug: Drug, prompt: str) -> str:
    """All bands; the effect and the tests of the drug; alternatives that themselves may be used at the prompt's value."""
    found = bands(drug)
    if all(band.action == "none" for band in found):
        return f"{drug.name} renal: no limit, no change."
    states = "; ".join(f"{band_text(band)} {WORD[band.action]}" for band in found)
    harms = [band.effect for band in found if band.effect and band.action != "none"]
    text = f"{drug.name} renal: {states}.{reader.effects(harms)}"
    if any(band.action == "avoid" for band in found):
        text += reader.instead(renal_alternatives(reader.kb, drug, _value_in(prompt)))
    return text + reader.checks(sorted((each.parameter for each in drug.monitoring),
                                       key=lambda parameter: parameter != "egfr")[:MOST_NAMES])


def _value_in(prompt: str) -> float:
    """The kidney value a prompt states; a low one where it states none."""
    found = KIDNEY_VALUE.search(prompt)
    return float(found[1]) if found else 15.0


def _setting(reader: Reader, drug: Drug, setting: str, advice: Advice | None, others: Sequence[str] = ()) -> str:
    if advice is None:
        return f"{drug.name} {setting}: nothing listed."
    effects = reader.effects([advice.effect]) if advice.effect else ""
    return f"{drug.name} {setting}: {SETTING_WORD[advice.action]}.{effects}{reader.instead(others) if advice.action == 'avoid' else ''}"


def _contraindications(reader: Reader, drug: Drug, asked: Sequence[str]) -> str:
    """The drug's list, and for each condition asked about whether it is on it."""
    text = f"{drug.name} contraindications: {reader.conditions([each.condition for each in drug.contraindications]) or 'none listed'}."
    for condition in asked[:2]:
        entry = next((each for each in drug.contraindications if each.condition == condition), None)
        name = reader.kb.conditions[condition].name
        if entry is None:
            text += f" {name} not listed, safe."
            continue
        others = [other for other in alternatives(drug, "contraindication")
                  if other in reader.kb.drugs and all(each.condition != condition for each in reader.kb.drugs[other].contraindications)]
        text += f" {name} listed, avoid.{reader.effects([entry.effect]) if entry.effect else ''}{reader.instead(others)}"
    return text


def _listed(reader: Reader, drug: Drug) -> str:
    """The drug's list and what it means, for a condition that the prompt names in words no book can list."""
    entries = drug.contraindications
    if not entries:
        return f"{_contraindications(reader, drug, ())} safe."
    others = [other for other in alternatives(drug, "contraindication") if other in reader.kb.drugs]
    return (f"{_contraindications(reader, drug, ())} listed, avoid.{reader.effects([each.effect for each in entries if each.effect])}"
            f"{reader.instead(others)} not listed, safe.")


def _harms(reader: Reader, drug: Drug) -> str:
    return f"{drug.name}: {reader.kb.classes[drug.classes[0]].name}.{reader.effects(effects_of(drug))}"


def _symptoms(reader: Reader, drug: Drug) -> str:
    """The drug's harms that can be felt, one sign of each and what to do: in which words else a sign may be told, no book can list."""
    grave = {each.effect for each in (*drug.boxed_warnings, *drug.serious_effects)}
    felt = [effect for effect in effects_of(drug)
            if effect in reader.kb.effects and (effect in MINOR or effect in URGENT and effect in grave)]
    told = [f" {signs_of(effect, 'train')[0]} is {reader.kb.effects[effect].name}, "
            f"{'monitor' if effect in MINOR and effect not in grave else 'emergency'}." for effect in felt if signs_of(effect, "train")]
    return f"{drug.name} symptoms:{''.join(told[:MOST_HARMS]) or ' none listed.'}"


def _interaction(reader: Reader, drugs: list[str]) -> Iterator[str]:
    """One card a pair with a rule, worst first, and one for all that have none."""
    ruled = [(a, b) for a, b in combinations(drugs, 2) if reader.pairs.findings(a, b)]
    ruled.sort(key=lambda pair: SEVERITIES.index(reader.pairs.findings(*pair)[0].severity))
    for a, b in ruled:
        yield _pair(reader, a, b)
    if not ruled:
        yield f"{' + '.join(reader.kb.drugs[drug].name for drug in drugs)}: no interaction listed, safe."
    elif len(drugs) > 2:
        yield "other pairs: no interaction listed." if len(ruled) < len(drugs) * (len(drugs) - 1) / 2 else ""


def _pair(reader: Reader, a: str, b: str) -> str:
    found = reader.pairs.findings(a, b)
    worst = [finding for finding in found if finding.action == found[0].action]
    name_a, name_b = reader.kb.drugs[a].name, reader.kb.drugs[b].name
    text = f"{name_a} + {name_b}: {found[0].severity}, {WORD[found[0].action]}.{reader.effects([finding.effect for finding in worst])}"
    text += reader.instead(reader.pairs.alternatives(a, b), name_a) + reader.instead(reader.pairs.alternatives(b, a), name_b)
    return text + reader.checks(list(dict.fromkeys(parameter for finding in worst for parameter in finding.monitoring)))
