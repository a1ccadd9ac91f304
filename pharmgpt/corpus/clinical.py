"""Clinical judgement in tables, and what follows from one drug's facts: bands, alternatives, harms, unrelated conditions, signs.

The knowledge base says what is true of a drug; these tables say what is fair to ask about it. They are cautious by intent.
"""
from functools import lru_cache

from pharmgpt.corpus.phrasing import EFFECT_SIGNS, bands
from pharmgpt.corpus.wordings import told
from pharmgpt.knowledge.schema import Drug, KnowledgeBase
from pharmgpt.text.records import Part

DECISIONS = {"avoid": "avoid", "reduce": "reduce", "monitor": "monitor", "none": "safe"}  # a rule's action → the keyed decision
# A condition is a fair "yes, it can be used" question only where neither label nor practice links it to the drug.
# condition → effect ids, class ids and drug ids that make it more than a formality. Cautious by intent.
UNRELATED: dict[str, frozenset[str]] = {
    "high_cholesterol": frozenset(("corticosteroid", "thiazide", "statin", "hyperglycaemia", "weight_gain")),
    "rheumatoid_arthritis": frozenset(("fluoroquinolone", "nsaid", "corticosteroid", "methotrexate", "azathioprine",
                                       "trimethoprim_sulfamethoxazole", "gi_bleeding")),
    "erectile_dysfunction": frozenset(("nitrate", "beta_blocker", "thiazide", "ssri", "tricyclic", "potassium_sparing_diuretic",
                                       "pde5_inhibitor", "opioid", "digoxin")),
    "neuropathic_pain": frozenset(("neuropathy", "statin", "opioid", "b12_deficiency")),
    "osteoarthritis": frozenset(("fluoroquinolone", "nsaid", "corticosteroid", "anticoagulant", "gi_bleeding")),
    "insomnia": frozenset(("ssri", "corticosteroid", "beta_blocker", "thyroid_hormone", "sedation", "diuretic", "respiratory_depression",
                           "loop_diuretic", "thiazide")),
}
NOT_ASKED = ("pregnancy", "breastfeeding", "heart_surgery", "chronic_kidney_disease")  # other families ask these, or no state one has
# A check → the harms it would show. It pairs what is monitored with the reason.
SHOWS: dict[str, tuple[str, ...]] = {
    "inr": ("bleeding",), "bleeding_signs": ("bleeding", "gi_bleeding"), "potassium": ("hyperkalaemia", "hypokalaemia"),
                                     "sodium": ("hyponatraemia",),
    "blood_glucose": ("hypoglycaemia", "hyperglycaemia"), "hba1c": ("hyperglycaemia", "hypoglycaemia"), "liver_tests": ("liver_injury",),
    "blood_count": ("myelosuppression", "bleeding"), "ecg": ("qt_prolongation", "heart_block", "bradycardia"),
                                     "heart_rate": ("bradycardia", "heart_block"),
    "blood_pressure": ("hypotension", "hypertension"), "creatine_kinase": ("myopathy",), "breathing": ("respiratory_depression",),
    "drug_level": ("lithium_toxicity", "digoxin_toxicity", "accumulation"),
                                     "egfr": ("lactic_acidosis", "acute_kidney_injury", "accumulation"),
    "tsh": ("thyroid_dysfunction", "thyrotoxicosis"), "mood": ("suicidality",), "bone_density": ("bone_loss",),
                                     "lung_function": ("lung_toxicity",),
    "weight": ("weight_gain", "oedema", "heart_failure"), "ketones": ("ketoacidosis",), "skin": ("severe_skin_reaction",),
                                     "vitamin_b12": ("b12_deficiency",),
    "mental_alertness": ("sedation",), "fluid_status": ("dehydration",), "stool_frequency": ("constipation", "diarrhoea"),
                                     "uric_acid": ("gout_attack",),
    "asthma_control": ("bronchospasm",), "serotonin_signs": ("serotonin_syndrome",), "lipids": ()}
# Signs of these harms need help now; the minor ones are watched and told to the prescriber.
URGENT = ("bleeding", "gi_bleeding", "lactic_acidosis", "hypoglycaemia", "serotonin_syndrome", "respiratory_depression", "myopathy",
          "liver_injury", "myelosuppression", "angioedema", "lithium_toxicity", "digoxin_toxicity", "tendon_rupture", "lung_toxicity",
          "ketoacidosis", "severe_skin_reaction", "pancreatitis", "anaphylaxis", "bronchospasm", "seizure", "acute_kidney_injury",
          "c_difficile_infection")
MINOR = ("cough", "constipation", "nausea", "headache", "oedema", "genital_infection", "dizziness")
# Told in place of the signs that documents use.
TOLD_SIGNS = {"nausea": ("a slightly upset stomach", "some queasiness"), "headache": ("a mild headache", "a slight headache now and then"),
               "dizziness": ("some light-headedness", "a slightly swimming head"), "constipation": ("harder stools than usual",),
              "c_difficile_infection": ("watery stools ten times a day", "bloody diarrhoea and fever"),
              "seizure": ("a convulsion", "a fit")}
CLINICAL_WORDS = ("QTc", "waves", "ECG", "creatinine", "count", "red cells", "ketones", "minutes")
SAME_SIGNS = (("bleeding", "gi_bleeding", "ulcer"), ("angioedema", "anaphylaxis"), ("severe_skin_reaction", "rash"),
              ("nausea", "gi_upset"), ("dizziness", "hypotension"))


def renal_action(drug: Drug, value: float) -> str:
    """The strictest action at this value, read in either measure."""
    hit = {band.action for band in bands(drug) if band.at_least <= value and (band.below is None or value < band.below)}
    return next((action for action in DECISIONS if action in hit), "none")


def alternatives(drug: Drug, problem: str) -> tuple[str, ...]:
    """Drugs to think of instead, those for the problem before those for any."""
    listed = [each for wanted in (problem, "any") for each in drug.alternatives if each.problem == wanted]
    return tuple(dict.fromkeys(alt for each in listed for alt in each.drugs))


def renal_alternatives(kb: KnowledgeBase, drug: Drug, value: float) -> tuple[str, ...]:
    return tuple(alt for alt in alternatives(drug, "renal") if alt in kb.drugs and renal_action(kb.drugs[alt], value) != "avoid")


def effects_of(drug: Drug) -> tuple[str, ...]:
    """Every harm linked to the drug, the gravest lists first."""
    links = (*drug.boxed_warnings, *drug.serious_effects, *drug.hazards, *drug.common_effects)
    return tuple(dict.fromkeys(each.effect for each in links))


def unrelated_conditions(drug: Drug) -> list[str]:
    """What the drug treats, and conditions that nothing links to it."""
    listed = {each.condition for each in drug.contraindications} | set(NOT_ASKED)
    traits = {drug.id, *drug.classes, *effects_of(drug)}
    free = [condition for condition, linked in UNRELATED.items() if not linked & traits]
    return [condition for condition in dict.fromkeys((*drug.indications, *free)) if condition not in listed]


@lru_cache(maxsize=4)
def harm_words(kb: KnowledgeBase) -> frozenset[str]:
    """Gout is a condition and a harm: "gout is no contraindication" would read as two claims."""
    return frozenset(word.lower() for effect in kb.effects.values() for word in (effect.name, *effect.terms))


def signs_of(effect: str, part: Part) -> tuple[str, ...]:
    """Signs of a harm as lay people of this part tell it; of ours only those without laboratory words, and in training only."""
    ours = TOLD_SIGNS.get(effect) or EFFECT_SIGNS.get(effect, ()) if part == "train" else ()
    plain = (sign for sign in ours if not any(word in sign for word in CLINICAL_WORDS) and not any(map(str.isdigit, sign)))
    return (*plain, *told("signs", part, "phrases").get(effect, ()))


def check_with_reason(parameters: tuple[str, ...], grave: tuple[str, ...]) -> tuple[str, str | None]:
    """The first check that would show one of the drug's grave effects, and that effect."""
    related = ((parameter, effect) for parameter in parameters for effect in SHOWS.get(parameter, ()) if effect in grave)
    return next(related, (parameters[0], grave[0] if grave else None))
