"""Facts as words: numbers, bands, lists, actions and signs. Shared by documents, questions and the handbook; sentences are each one's own.

Renal rules are read as *bands* that cover every value from 0 upwards: a gap between rules is a band without a restriction.
"""
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from random import Random

from pharmgpt.knowledge.names import resolve
from pharmgpt.knowledge.schema import Action, Drug, KnowledgeBase, RenalRule

UNITS = {"eGFR": "mL/min/1.73 m²", "CrCl": "mL/min"}
DONE: dict[str, str] = {"avoid": "avoided", "reduce": "reduced", "monitor": "monitored", "none": "unchanged"}
AN_ACRONYM = frozenset("AEFHILMNORSX")
A_WORD = ("uric", "urinary", "eu", "uni", "use", "RAAS", "one")


@dataclass(frozen=True, slots=True)
class Band:
    """What is done while at_least ≤ value < below; `numbers` are the rules' places in the drug's renal rules, none where no rule speaks."""

    measure: str
    at_least: float
    below: float | None
    action: Action
    numbers: tuple[int, ...]
    dose: str = ""
    effect: str | None = None

    @property
    def limits(self) -> tuple[str, ...]:
        """The cut-offs around it, as written."""
        return tuple(number(edge) for edge in (self.at_least, self.below) if edge)


def number(value: float) -> str:
    """30.0 → "30", 4.5 → "4.5"."""
    return f"{value:g}"


def listed(items: Sequence[str], word: str = "and") -> str:
    """"a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"


def capital(text: str) -> str:
    """First letter upper-case, unless the word has its own shape (eGFR, mRNA)."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]


NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
           "fourteen": 14, "fifteen": 15, "sixteen": 16, "eighteen": 18, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
           "seventy": 70, "eighty": 80, "ninety": 90}
NUMBER_WORD = re.compile(rf"(?<![\w-])({'|'.join(NUMBERS)})(?![\w-])", re.IGNORECASE)


def in_digits(text: str) -> str:
    """ "took thirty tablets" as most people type it."""
    return NUMBER_WORD.sub(lambda match: str(NUMBERS[match[0].lower()]), text)


def with_article(noun: str) -> str:
    """"an NSAID", "a statin", "a urinary tract infection"."""
    first = noun.split()[0].split("-")[0]
    if first.startswith(A_WORD):
        return f"a {noun}"
    vowel = first[0] in AN_ACRONYM if first[:2].isupper() else first[0].lower() in "aeiou"
    return f"{'an' if vowel else 'a'} {noun}"


def as_typed(kb: KnowledgeBase, drug: Drug, rng: Random, brand_rate: float, slip_rate: float) -> str:
    """The name as people type it: now and then a brand, now and then a slip that still resolves to the drug."""
    chance = rng.random()
    if chance < brand_rate and drug.brands:
        return rng.choice(drug.brands)
    if chance > 1 - slip_rate and len(drug.name) > 6 and drug.name.isalpha():
        slipped = slip(drug.name, rng)
        return slipped if resolve(kb, slipped).drug_id == drug.id else drug.name
    return drug.name


def slip(name: str, rng: Random) -> str:
    """A typing slip inside the name: two neighbours swapped, a letter lost or a letter doubled; the first two stay, and so no name of
    three letters slips."""
    if len(name) < 4:
        return name
    at = rng.randrange(2, len(name) - 1)
    at -= name[at] == " "
    return rng.choice((name[:at] + name[at + 1] + name[at] + name[at + 2:], name[:at] + name[at + 1:], name[:at] + name[at] + name[at:]))


def plural(noun: str) -> str:
    return noun if noun.endswith("s") else f"{noun}s"


def band_text(band: Band | RenalRule) -> str:
    """"eGFR below 30", "eGFR 30 to 45", "eGFR 45 and above", "any eGFR"."""
    if band.below is None:
        return f"{band.measure} {number(band.at_least)} and above" if band.at_least else f"any {band.measure}"
    if band.at_least:
        return f"{band.measure} {number(band.at_least)} to {number(band.below)}"
    return f"{band.measure} below {number(band.below)}"


def bands(drug: Drug) -> tuple[Band, ...]:
    """The drug's renal bands, lowest value first, measure by measure, without gaps; () when it has no renal rule.

    Neighbouring rules with one action are one band: a cut-off is where what is done changes, not where the dose does.
    """
    return tuple(_merged(list(group)) for _, group in groupby(_rule_bands(drug), key=lambda band: (band.measure, band.action)))


def _merged(group: list[Band]) -> Band:
    doses = {band.dose for band in group}
    effect = next((band.effect for band in group if band.effect), None)
    numbers = tuple(at for band in group for at in band.numbers)
    return replace(group[0], below=group[-1].below, numbers=numbers, dose=doses.pop() if len(doses) == 1 else "", effect=effect)


def _rule_bands(drug: Drug) -> list[Band]:
    """One band a rule, and one for each gap."""
    found: list[Band] = []
    for measure in dict.fromkeys(rule.measure for rule in drug.renal):
        edge: float | None = 0
        rules = sorted((rule.at_least, at) for at, rule in enumerate(drug.renal) if rule.measure == measure)
        for at_least, at in rules:
            rule = drug.renal[at]
            if edge is not None and at_least > edge:
                found.append(Band(measure, edge, at_least, "none", ()))
            found.append(Band(measure, at_least, rule.below, rule.action, (at,), rule.dose, rule.effect))
            edge = rule.below
        if edge is not None:
            found.append(Band(measure, edge, None, "none", ()))
    return found


def limits(drug: Drug) -> tuple[tuple[Band, Band], ...]:
    """Neighbouring bands whose action changes at their common edge: (below the limit, above it)."""
    return tuple((low, high) for low, high in pairwise(bands(drug)) if low.measure == high.measure)


# Signs as a patient tells them → the harm they point to. General clinical knowledge; each list names signs that point to one harm only.
EFFECT_SIGNS: dict[str, tuple[str, ...]] = {
    "bleeding": ("unusual bruising", "nosebleeds that will not stop", "blood in the urine"),
    "gi_bleeding": ("black tarry stools", "vomit like coffee grounds"),
    "lactic_acidosis": ("fast deep breathing with muscle aches", "deep breathing, belly pain and weakness"),
    "hypoglycaemia": ("shaking, sweating and hunger", "cold sweat and a racing heart before meals"),
    "hyperkalaemia": ("weak legs and tall T waves on the ECG", "muscle weakness with peaked T waves"),
    "hypokalaemia": ("leg cramps with flat T waves", "muscle cramps and U waves on the ECG"),
    "hyponatraemia": ("headache and confusion with a sodium of 122", "lethargy and a sodium of 120"),
    "acute_kidney_injury": ("very little urine and a rising creatinine", "passing hardly any urine"),
    "qt_prolongation": ("fainting spells with a long QTc", "palpitations with a QTc of 520"),
    "serotonin_syndrome": ("agitation, tremor and fever", "jerking muscles, sweating and agitation"),
    "respiratory_depression": ("six breaths a minute and pinpoint pupils", "blue lips and very slow breaths"),
    "sedation": ("falling asleep in the daytime", "nodding off in mid-sentence"),
    "hypotension": ("light head on standing up", "near fainting on getting out of bed"),
    "bradycardia": ("a pulse of 38 and tiredness", "a pulse of 40 and faintness"),
    "myopathy": ("muscle pain with dark urine", "sore thighs and cola-coloured urine"),
    "liver_injury": ("yellow eyes and dark urine", "yellow skin and pain under the right ribs"),
    "myelosuppression": ("fever, sore throat and mouth ulcers", "sore throat, bruises and a low white count"),
    "angioedema": ("swollen lips and tongue", "a swollen face and a tight throat"),
    "lithium_toxicity": ("coarse tremor, slurred speech and unsteady gait", "unsteady walk, vomiting and coarse tremor"),
    "digoxin_toxicity": ("yellow-green halos and a slow pulse", "loss of appetite and yellow vision"),
    "tendon_rupture": ("a snap and pain at the heel", "sudden pain in the Achilles tendon"),
    "lung_toxicity": ("dry cough and breathlessness that get worse over weeks",),
    "neuropathy": ("numb, tingling feet", "burning and numbness in both feet"),
    "ketoacidosis": ("fruity breath, vomiting and belly pain", "nausea, thirst and ketones in the blood"),
    "genital_infection": ("genital itching and white discharge",),
    "oedema": ("ankles swollen by the evening",),
    "cough": ("a dry tickly cough for weeks",),
    "constipation": ("no bowel movement for five days",),
    "severe_skin_reaction": ("blistering skin and sore eyes", "peeling skin and mouth sores with fever"),
    "pancreatitis": ("severe upper belly pain that goes through to the back",),
    "c_difficile_infection": ("watery stools ten times a day after an antibiotic",),
    "anaphylaxis": ("hives, wheeze and collapse within minutes",),
    "bronchospasm": ("sudden wheeze and a tight chest",),
    "thyrotoxicosis": ("weight loss, heat intolerance and tremor",),
    "gout_attack": ("a hot, red, swollen big toe",),
    "hyperglycaemia": ("thirst and passing a lot of urine",),
    "seizure": ("a fit with loss of consciousness",),
    "b12_deficiency": ("a sore tongue, tiredness and large red cells",),
}
# Signs → the condition they suggest.
CONDITION_SIGNS: dict[str, tuple[str, ...]] = {
    "type_2_diabetes": ("thirst, frequent urination and tiredness", "blurred vision, thirst and an HbA1c of 9"),
    "hypothyroidism": ("weight gain, feeling cold and dry skin", "tiredness, dry skin and a high TSH"),
    "heart_failure": ("breathlessness lying flat and swollen ankles", "waking breathless at night with swollen legs"),
    "angina": ("chest tightness on climbing stairs", "chest pressure on effort that eases with rest"),
    "atrial_fibrillation": ("an irregular pulse and palpitations", "a fluttering, irregular heartbeat"),
    "urinary_infection": ("burning on passing urine", "stinging urine and a constant urge to go"),
    "pneumonia": ("fever, cough and green sputum", "fever, breathlessness and rusty sputum"),
    "reflux": ("burning behind the breastbone after meals", "sour taste and burning after lying down"),
    "gout": ("sudden pain in a hot, red big toe", "a red, swollen big toe at night"),
    "asthma": ("wheeze and cough at night", "wheeze after exercise that eases with an inhaler"),
    "depression": ("low mood and loss of interest for a month", "no pleasure, poor sleep and low mood"),
    "venous_thrombosis": ("one swollen, painful calf", "a swollen, warm calf after a long flight"),
    "rheumatoid_arthritis": ("stiff, swollen finger joints every morning",),
    "peptic_ulcer": ("gnawing stomach pain that wakes at night",),
    "anxiety": ("constant worry, restlessness and poor sleep",),
    "epilepsy": ("repeated seizures without a trigger",),
    "neuropathic_pain": ("burning, shooting pain where the shingles was",),
}
