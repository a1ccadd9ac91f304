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
from itertools import combinations

from pharmgpt.corpus.cases import MINOR, TOLD_SIGNS, URGENT, alternatives, effects_of, renal_alternatives
from pharmgpt.corpus.pairs import Pairs
from pharmgpt.corpus.phrasing import EFFECT_SIGNS, band_text, bands
from pharmgpt.corpus.split import avoided_in_pregnancy
from pharmgpt.knowledge.context import unknown_names
from pharmgpt.knowledge.names import find_drugs
from pharmgpt.knowledge.schema import SEVERITIES, Advice, Drug, KnowledgeBase

NO_ENTRY = "No handbook entry."
MOST_CARDS, MOST_NAMES, LONGEST = 3, 3, 330  # cards, names in a list, characters after which no further card is added
WORD = {"avoid": "avoid", "reduce": "reduce", "monitor": "monitor", "none": "no change"}
SETTING_WORD = WORD | {"none": "safe"}
TOPICS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in {
    "overdose":
        r"overdos|\bpoison|ingest|suicide attempt|far too (many|much)|took (all|the lot)|taken all|"
        r"\b(ate|eaten|eating|chewed|drank|drunk)\b|got (hold of|into)|emptied|empty|half of the (box|pack)|"
        r"(whole|full|entire) (box|pack|packet|bottle|blister|strip|week|month|supply|lot)|"
        r"(times|double|triple|twice) (over|the|his|her|my|their|as much)|double dose|took too m|too many|handful|fistful|"
        r"like sweets|in one go|over and over|(huge|massive|adult) dose|won'?t wake|(not|cannot|n't) (wake|be woken|breathe)|"
        r"unconscious|hardly (responsive|breathing|awake)|unresponsive|found down|suck(ed|ing) on|chewing|unknown number|"
        r"turning blue|make (him|her|them|my [a-z]+) vomit|out cold|want(ed)? to die|has swallowed|"
        r"(took|taken|swallowed|injected|given|gave|had) ([a-z' ]+ )?(two|three|four|five|six|seven|eight|nine|"
        r"ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|hundred|dozens?|several|loads|lots|\d\d+)\b|"
        r"swallowed (a|all|the|some|every|too|one|his|her|my|our|grand)|(by|in) (accident|mistake)|accidental|mixed up|confused",
    "renal": r"\be?gfr\b|\bcrcl\b|creatinine|kidney|renal|dialysis|nephro|filter",
    "pregnancy":
        r"pregnan|unborn|expecting|expectant|trimester|conceiv|conception|antenatal|prenatal|mother-?\s?to-?\s?be|"
        r"mums?-?\s?to-?\s?be|(a|the|my|our|her|for) (baby|little one|bump)|carrying (?!on)|gravid|miscarr|birth|f[o]?etus|"
        r"f[o]?etal|womb|in utero|midwife|obstet|weeks (along|gone|in|now)|months (along|gone)|test (was|came back|is) positive|"
        r"positive test|twins|placenta|teratogen|due (date|in)|gestation|(ten|twelve|twenty|thirty) weeks",
    "lactation": r"breast-?\s?feed|lactat|nursing (mother|a baby|her)|breast milk",
    "monitoring":
        r"monitor|check|\btest(s|ed|ing)?\b|watch|follow|measur|order\b|review|\blabs?\b|lab values|\bbloods?\b|"
        r"blood (work|results?|taken|draws?)|look out for|keep (an eye|track|tabs)|parameters|surveillance|control visits?|"
        r"appointments?|supervis|screen|observations",
    "hepatic": r"\bliver|hepatic|cirrho",
}.items()}
KIDNEY_WORDS = ("severe_renal_impairment", "chronic_kidney_disease")  # answered by the renal card, unless the drug's record names them
UNMISTAKABLE = 4  # letters a condition's word must have to be looked for in a prompt: "ed" and "hf" are found in too many


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
    unknown = () if _signs_in(prompt) else unknown_names(kb, prompt)[:1]  # signs hold words that no vocabulary lists
    cards = [f"{name}: no handbook entry." for name in unknown]
    for card in _cards(reader, drugs, prompt) if drugs else ():
        if len(cards) == MOST_CARDS or cards and sum(map(len, cards)) + len(card) > LONGEST:
            break
        cards.append(card)
    return "\n".join(cards) or NO_ENTRY


@lru_cache(maxsize=4)
def _pairs(kb: KnowledgeBase) -> Pairs:
    return Pairs(kb)


def _cards(reader: Reader, drugs: list[str], prompt: str) -> Iterator[str]:
    """The most telling card first."""
    asked = {name for name, pattern in TOPICS.items() if pattern.search(prompt)}
    if "overdose" in asked and "renal" not in asked and len(drugs) == 1:
        yield f"{reader.kb.drugs[drugs[0]].name} overdose: emergency number or poison centre now."
        return
    if len(drugs) > 1:
        yield from _interaction(reader, drugs)
    for drug in (reader.kb.drugs[each] for each in drugs[:2]):
        yield from _of_drug(reader, drug, prompt, asked, alone=len(drugs) == 1)


def _of_drug(reader: Reader, drug: Drug, prompt: str, asked: set[str], alone: bool) -> Iterator[str]:
    found = list(_asked_of_drug(reader, drug, prompt, asked))
    yield from found
    if alone and not found:
        yield _harms(reader, drug)
        yield _contraindications(reader, drug, ())


def _asked_of_drug(reader: Reader, drug: Drug, prompt: str, asked: set[str]) -> Iterator[str]:
    signs = _signs_in(prompt)
    if signs:
        yield _symptom(reader, drug, signs)
        return
    own = {entry.condition for entry in drug.contraindications} | set(drug.indications)
    conditions = [condition for condition in _conditions_in(reader.kb, prompt) if condition not in KIDNEY_WORDS or condition in own]
    if conditions:
        yield _contraindications(reader, drug, conditions)
    if "renal" in asked:
        yield _renal(reader, drug, prompt)
    if "pregnancy" in asked:
        others = [other for other in alternatives(drug, "pregnancy") if other in reader.kb.drugs
                  and not avoided_in_pregnancy(reader.kb.drugs[other])]
        yield _setting(reader, drug, "pregnancy", drug.pregnancy, others)
    if "lactation" in asked:
        yield _setting(reader, drug, "breastfeeding", drug.lactation)
    if "hepatic" in asked:
        yield _setting(reader, drug, "liver disease", drug.hepatic)
    if "monitoring" in asked and not conditions and not asked & {"renal", "pregnancy", "lactation"}:
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
    found = re.search(r"(?:gfr|crcl|clearance)\D{0,40}?(\d+(?:\.\d+)?)", prompt, re.IGNORECASE)
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


def _harms(reader: Reader, drug: Drug) -> str:
    return f"{drug.name}: {reader.kb.classes[drug.classes[0]].name}.{reader.effects(effects_of(drug))}"


def _symptom(reader: Reader, drug: Drug, signs: dict[str, str]) -> str:
    """What the prompt's signs point to, and whether the drug can do it."""
    grave = {each.effect for each in (*drug.boxed_warnings, *drug.serious_effects)}
    text = f"{drug.name} symptoms:"
    for effect, sign in signs.items():
        if effect in effects_of(drug) and effect in reader.kb.effects:
            act = "emergency" if effect in URGENT and effect in grave else "monitor" if effect in MINOR else "tell the prescriber"
            text += f" {sign} is {reader.kb.effects[effect].name}, {act}."
    return text if text[-1] == "." else f"{text} {', '.join(signs.values())} not listed.{reader.effects(effects_of(drug))}"


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


# ---- what a prompt names


def _signs_in(prompt: str) -> dict[str, str]:
    """Effect → the sign of it that the prompt tells, in the words of our lists."""
    text = prompt.lower()
    return {effect: sign for signs in (EFFECT_SIGNS, TOLD_SIGNS) for effect, told in signs.items() for sign in told if sign.lower() in text}


def _conditions_in(kb: KnowledgeBase, prompt: str) -> tuple[str, ...]:
    """Conditions the prompt names, the longest words first; pregnancy and breastfeeding have cards of their own."""
    found, text = [], prompt
    for pattern, condition in _condition_patterns(kb):
        if pattern.search(text):
            text = pattern.sub(" ", text)
            found.append(condition)
    return tuple(condition for condition in dict.fromkeys(found) if condition not in ("pregnancy", "breastfeeding"))


@lru_cache(maxsize=4)
def _condition_patterns(kb: KnowledgeBase) -> list[tuple[re.Pattern[str], str]]:
    words = [(word, condition.id) for condition in kb.conditions.values() for word in (condition.name, *condition.terms)]
    longest_first = sorted((pair for pair in words if len(pair[0]) >= UNMISTAKABLE), key=lambda pair: -len(pair[0]))
    return [(re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE), condition) for word, condition in longest_first]
