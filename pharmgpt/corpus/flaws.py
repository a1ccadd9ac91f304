"""Named flaws: each takes a good answer and spoils one thing in it.

An answer under work is a list of (element, text). A flaw returns the spoiled list, or None where it does not apply. Edits are minimal, so
that a reward model must read the content: a wrong cut-off, a wrong harm, an alternative that is no better. The coarse flaws (another
drug's answer, another topic, word salad) are there because policies wander to whatever a judge has never seen rejected.
"""
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pharmgpt.corpus.cases import made_up_name
from pharmgpt.corpus.clinical import effects_of, renal_action
from pharmgpt.corpus.false_reasons import false_reason
from pharmgpt.corpus.pairs import Pairs
from pharmgpt.corpus.sentences import (ABSTENTIONS, OUT_OF_SCOPE, REFUSALS, VERDICTS, accepted, cut_offs, decision_in_pregnancy,
                                       decision_on, decision_on_pair, interacting_pair, interacts, limits_of, position_of, positions,
                                       say_alternative, sentences)
from pharmgpt.text.records import Question

Answer = list[tuple[str, str]]  # (element, text)
VAGUE = ("It is usually fine for most people.", "There is nothing to worry about.", "Just be a little careful.",
         "Many people take it without trouble.",
         "It should be all right.")
WAIT = ("Wait and see whether it gets worse.", "It will pass, drink some water.", "Sleep first and look again tomorrow.")
PADDING = ("It is important to keep many things in mind.", "Every patient is different and every case is special.",
           "Medicines are a wide and interesting field.",
           "Health is the most important thing of all.", "As everyone knows, opinions on this differ.")
ABOUT_DRUGS = ("renal", "interaction", "contraindication", "pregnancy", "alternative", "medication_list", "monitoring", "symptom")
CUT_OFFS = (10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 75, 90)
# Effects that overlap so far that one is no error for the other.
KIN = (frozenset(("bleeding", "gi_bleeding", "ulcer", "stroke")),
       frozenset(("sedation", "respiratory_depression", "confusion", "falls", "dizziness")),
       frozenset(("hypotension", "dizziness", "falls")), frozenset(("bradycardia", "heart_block", "hypotension")),
       frozenset(("hypertension", "stroke")),
       frozenset(("angioedema", "anaphylaxis", "bronchospasm")), frozenset(("rash", "severe_skin_reaction")),
       frozenset(("ketoacidosis", "lactic_acidosis")),
       frozenset(("myelosuppression", "infection")), frozenset(("thyroid_dysfunction", "thyrotoxicosis")),
       frozenset(("oedema", "heart_failure", "weight_gain")),
       frozenset(("dehydration", "acute_kidney_injury", "diarrhoea")), frozenset(("nausea", "diarrhoea")), frozenset(("qt_prolongation",)))


@dataclass(frozen=True)
class Material:
    """What a flaw may draw on: the question, the drugs it may name, and other questions of the same part and pool."""

    pairs: Pairs
    question: Question
    allowed: tuple[str, ...]
    others: Sequence[Question]
    rng: random.Random

    def element(self, name: str) -> tuple[str, ...]:
        return accepted(self.question, name)

    @property
    def drug(self) -> str:
        return self.question.drugs[0]

    @property
    def name(self) -> str:
        return self.pairs.kb.drugs[self.drug].name


Flaw = Callable[[Material, Answer], Answer | None]


def swap(answer: Answer, element: str, text: str) -> Answer:
    return [(name, text if name == element else said) for name, said in answer]


def has(answer: Answer, element: str) -> bool:
    return any(name == element for name, _ in answer)


def without(answer: Answer, element: str) -> Answer | None:
    """Nothing to spoil if the element is absent or is all there is."""
    return [each for each in answer if each[0] != element] if has(answer, element) and len(answer) > 1 else None


# ---- decisions


def wrong_decision(material: Material, answer: Answer) -> Answer | None:
    """Too permissive: a restriction relaxed, a needed question not asked, a made-up drug approved."""
    question, rng = material.question, material.rng
    if question.family == "unknown_drug":
        return [("decision", rng.choice(decision_on(question.asked["name"], "safe")))]
    if question.family == "missing_information":
        return [("decision", rng.choice(decision_on(material.name, "safe")))]
    if question.family == "symptom" and question.decision == "emergency" and has(answer, "decision"):
        return swap(answer, "decision", "Monitor it and tell your prescriber.")
    looser = {"avoid": ("reduce", "monitor", "safe"), "reduce": ("monitor", "safe"), "monitor": ("safe",)}.get(question.decision)
    if not looser:
        return None
    decision = rng.choice(looser)
    changed = _decided(material, answer, decision)
    if changed and decision == "safe":  # "can be used. Check x." would be monitoring
        changed = [each for each in changed if each[0] != "monitoring"]
    return changed


def too_cautious(material: Material, answer: Answer) -> Answer | None:
    """Too strict: what is safe or only needs watching is forbidden."""
    stricter = {"safe": ("avoid", "avoid", "reduce"), "monitor": ("avoid",), "reduce": ("avoid",)}.get(material.question.decision)
    return _decided(material, answer, material.rng.choice(stricter)) if stricter else None


def _decided(material: Material, answer: Answer, decision: str) -> Answer | None:
    ways = decision_ways(material, decision)
    if not ways or not has(answer, "decision"):
        return None
    return swap(_with_verdict(material, answer, decision if decision in VERDICTS else None), "decision", material.rng.choice(ways))


def _with_verdict(material: Material, answer: Answer, decision: str | None) -> Answer:
    """The fact of a pair, which states the verdict too, agrees with another decision or is silent about it."""
    right = material.question.decision
    return [(name, said.replace(interacts(right), interacts(decision)) if right in VERDICTS else said) for name, said in answer]


def decision_ways(material: Material, decision: str) -> tuple[str, ...]:
    question = material.question
    if question.family in ("interaction", "medication_list"):
        if decision == "safe" and question.family == "medication_list":
            return ("They can be taken together.",)
        in_safe_list = question.family == "medication_list" and question.decision == "safe"
        pair = question.drugs[:2] if in_safe_list else interacting_pair(material.pairs, question)
        return decision_on_pair(material.pairs, pair, decision)
    if question.family == "pregnancy":
        return decision_in_pregnancy(material.name, decision)
    if question.family in ("renal", "contraindication"):
        return decision_on(material.name, decision)
    return ()


def false_safety(material: Material, answer: Answer) -> Answer | None:
    """What must be restricted is permitted, for a false reason that fits: "25 is above 30. So it can be used." """
    return _for_false_reason(material, answer, "safe") if material.question.decision in ("avoid", "reduce", "monitor") else None


def false_alarm(material: Material, answer: Answer) -> Answer | None:
    """What is safe is restricted, for a false reason that fits."""
    restricted = material.rng.choice(("avoid", "avoid", "reduce", "monitor"))
    return _for_false_reason(material, answer, restricted) if material.question.decision == "safe" else None


def _for_false_reason(material: Material, answer: Answer, decision: str) -> Answer | None:
    found = false_reason(material.pairs, material.question, decision, material.rng)
    if found is None or not has(answer, "decision"):
        return None
    fact, decided = found
    return [*([("basis", fact)] if fact else []), ("decision", material.rng.choice(decided))]


def vague_reassurance(material: Material, answer: Answer) -> Answer | None:
    """The verdict, or the call for help, gives way to soothing words; whoever soothes offers no other drug and no check."""
    urgent = material.question.decision == "emergency"
    if not urgent and material.question.decision not in ("avoid", "reduce", "monitor"):
        return None
    element = "emergency" if has(answer, "emergency") else "decision"
    rest = [each for each in _with_verdict(material, answer, None) if each[0] not in ("alternative", "monitoring")]
    return swap(rest, element, material.rng.choice(WAIT if urgent else VAGUE)) if has(answer, element) else None


# ---- facts


def wrong_threshold(material: Material, answer: Answer) -> Answer | None:
    """Another cut-off, or the right one compared the wrong way round."""
    limits = limits_of(material.pairs.kb.drugs[material.drug], material.question.asked["measure"]) if has(answer, "threshold") else ()
    if not limits:
        return None
    asked, rng = material.question.asked, material.rng
    if rng.random() < .3:
        false = rng.choice([position for position in positions(limits) if position != position_of(asked["value"], limits)])
        return swap(answer, "threshold", cut_offs(material.name, asked, limits, false))
    others = [str(limit) for limit in CUT_OFFS if str(limit) not in (*limits, asked["value"])]
    changed = rng.randrange(len(limits))
    wrong = sorted((*limits[:changed], rng.choice(others), *limits[changed + 1:]), key=float)
    return swap(answer, "threshold", cut_offs(material.name, asked, wrong))


def wrong_mechanism(material: Material, answer: Answer) -> Answer | None:
    """A harm that none of the drugs is known for."""
    effect = wrong_effect(material)
    if not has(answer, "mechanism") or effect is None:
        return None
    right, wrong = (material.pairs.kb.effects[each].name for each in (spoken_effect(material, answer), effect))
    changed = [(name, text.replace(right, wrong) if name in ("mechanism", "reason") else text) for name, text in answer]
    return changed if changed != answer else None


def spoken_effect(material: Material, answer: Answer) -> str:
    """The accepted effect that the mechanism sentence names."""
    text = next(text for name, text in answer if name == "mechanism")
    named = [each for each in material.element("mechanism") if material.pairs.kb.effects[each].name in text]
    return max(named, key=lambda each: len(material.pairs.kb.effects[each].name), default=material.element("mechanism")[0])


def wrong_effect(material: Material) -> str | None:
    kb, right = material.pairs.kb, set(material.element("mechanism"))
    known = {effect for drug in material.question.drugs for effect in effects_of(kb.drugs[drug])} | _pair_effects(material)
    known |= {link.effect for drug in material.question.drugs for link in (*kb.drugs[drug].renal, *kb.drugs[drug].contraindications)
              if link.effect}
    barred = known.union(right, *(group for group in KIN if group & (known | right)))
    candidates = [effect for effect in COMMON_HARMS if effect in kb.effects and effect not in barred]
    return material.rng.choice(candidates) if right and candidates else None


COMMON_HARMS = ("bleeding", "lactic_acidosis", "hypoglycaemia", "hyperkalaemia", "qt_prolongation", "serotonin_syndrome",
                "respiratory_depression", "myopathy",
                "liver_injury", "myelosuppression", "fetal_harm", "angioedema", "seizure", "tendon_rupture", "lung_toxicity", "bradycardia",
                "sedation",
                "hypotension", "acute_kidney_injury", "hyponatraemia", "ketoacidosis", "cough", "constipation", "tremor")


def _pair_effects(material: Material) -> set[str]:
    drugs = material.question.drugs
    return {finding.effect for at, a in enumerate(drugs) for b in drugs[at + 1:] for finding in material.pairs.findings(a, b)}


def missing_mechanism(material: Material, answer: Answer) -> Answer | None:
    return _left_out(material, answer, "mechanism")


def missing_element(material: Material, answer: Answer) -> Answer | None:
    """One keyed element is left out: the fact, the alternative or the monitoring."""
    present = [name for name in ("threshold", "condition", "pair", "alternative", "monitoring") if has(answer, name)
               and material.element(name)]
    return _left_out(material, answer, material.rng.choice(present)) if present else None


def _left_out(material: Material, answer: Answer, element: str) -> Answer | None:
    """Without the element; None where other sentences say it all the same ("both raise the risk of bleeding")."""
    rest = without(answer, element)
    if rest is None:
        return None
    text, kb = " ".join(said for _, said in rest).lower(), material.pairs.kb
    if element == "mechanism":
        harms = set(material.element("mechanism"))  # and their kin: a peptic ulcer tells of gastrointestinal bleeding
        alike = [each for each in harms.union(*(group for group in KIN if group & harms)) if each in kb.effects]
        words = [word.lower() for each in alike for word in (kb.effects[each].name, *kb.effects[each].terms)]
        return None if any(word in text for word in words) else rest
    if element == "pair":
        return None if all(kb.drugs[drug].name in text for drug in material.element("pair")[0].split("+")) else rest
    if element == "condition":  # "the risk is stroke" says "recent stroke" well enough
        return None if any(set(kb.conditions[each].name.split()) & set(re.findall(r"\w+", " ".join(said for _, said in rest)))
                           for each in material.element("condition")) else rest
    return rest


def wrong_monitoring(material: Material, answer: Answer) -> Answer | None:
    kb, right = material.pairs.kb, material.element("monitoring")
    own = {each.parameter for drug in material.question.drugs for each in kb.drugs[drug].monitoring}
    own |= {each for at, a in enumerate(material.question.drugs) for b in material.question.drugs[at + 1:]
            for finding in material.pairs.findings(a, b) for each in finding.monitoring}
    other = [each for each in COMMON_CHECKS if each in kb.parameters and each not in own and each not in right]
    if not right or not has(answer, "monitoring") or not other:
        return None
    return swap(answer, "monitoring", f"{material.rng.choice(('Monitor', 'Check'))} {kb.parameters[material.rng.choice(other)].name}.")


COMMON_CHECKS = ("potassium", "sodium", "inr", "heart_rate", "blood_glucose", "liver_tests", "blood_count", "ecg", "tsh", "creatine_kinase",
                 "bone_density", "eye_exam", "lung_function", "lipids", "uric_acid", "magnesium", "weight")


# ---- other drugs


def unsafe_alternative(material: Material, answer: Answer) -> Answer | None:
    """A drug that has the same problem as the one it should replace."""
    if not has(answer, "alternative"):
        return None
    replaced = replaced_in(material, answer)
    right = set(material.element("alternative")) | set(material.question.drugs)
    unsafe = [drug for drug in material.allowed if drug not in right and _shares_problem(material, drug, replaced)]
    kb = material.pairs.kb
    uses = set(kb.drugs[replaced or material.drug].indications)
    plausible = [drug for drug in unsafe if uses & set(kb.drugs[drug].indications)] or unsafe
    if not unsafe:
        return None
    return offering(kb.drugs[material.rng.choice(plausible)].name, material, answer)


def wrong_alternative(material: Material, answer: Answer) -> Answer | None:
    """A drug for something else, which the handbook does not offer."""
    if not has(answer, "alternative"):
        return None
    kb, replaced = material.pairs.kb, replaced_in(material, answer)
    uses, right = set(kb.drugs[replaced or material.drug].indications), set(material.element("alternative")) | set(material.question.drugs)
    others = [drug for drug in material.allowed if drug not in right and not uses & set(kb.drugs[drug].indications)]
    if not others:
        return None
    return offering(kb.drugs[material.rng.choice(others)].name, material, answer)


def offering(name: str, material: Material, answer: Answer) -> Answer:
    """The answer with this drug as its alternative."""
    replaced = replaced_in(material, answer)
    return swap(answer, "alternative", material.rng.choice(say_alternative(name, replaced and material.pairs.kb.drugs[replaced].name)))


def replaced_in(material: Material, answer: Answer) -> str:
    """The drug of the question that the alternative stands in for; "" when there is only one."""
    if len(material.question.drugs) == 1:
        return ""
    text = next(text for element, text in answer if element == "alternative")
    return next(drug for drug in material.question.drugs if text.endswith(f" instead of {material.pairs.kb.drugs[drug].name}."))


def _shares_problem(material: Material, drug: str, replaced: str) -> bool:
    record, asked = material.pairs.kb.drugs[drug], material.question.asked
    if replaced:
        a, b = interacting_pair(material.pairs, material.question)
        return material.pairs.action(drug, b if replaced == a else a) == "avoid"
    if "value" in asked:
        return renal_action(record, float(asked["value"])) == "avoid"
    if "condition" in asked:
        return any(each.condition == asked["condition"] for each in record.contraindications)
    return record.pregnancy is not None and record.pregnancy.action == "avoid"


def invented_drug(material: Material, answer: Answer) -> Answer | None:
    """A drug that does not exist is recommended."""
    if material.question.family not in ABOUT_DRUGS or material.question.family in ("monitoring", "symptom"):
        return None
    name = made_up_name(material.pairs.kb, material.question.part, material.rng)
    if has(answer, "alternative"):
        return offering(name, material, answer)
    return [*answer, ("alternative", say_alternative(name)[0])]


def wrong_drug(material: Material, answer: Answer) -> Answer | None:
    """A fluent, correct answer about another drug."""
    return _answer_to_another(material, [other for other in material.others if other.family == material.question.family])


def off_topic(material: Material, answer: Answer) -> Answer | None:
    """An answer to something else, about something else."""
    return _answer_to_another(material, [other for other in material.others if other.family != material.question.family])


def _answer_to_another(material: Material, others: Sequence[Question]) -> Answer | None:
    """The answer to one of them about other drugs, if it names them: "they can be taken together" would fit anywhere."""
    fitting = [other for other in others if other.drugs and other.family in ABOUT_DRUGS
               and not set(other.drugs) & set(material.question.drugs)]
    if not fitting or (material.question.family not in ABOUT_DRUGS and others[0].family == material.question.family):
        return None
    other = material.rng.choice(fitting)
    said = [(each.element, material.rng.choice(each.ways)) for each in sentences(material.pairs, other, frozenset(material.allowed))]
    text = " ".join(text for _, text in said).lower()
    return said if any(material.pairs.kb.drugs[drug].name in text for drug in other.drugs) else None


# ---- form


def rambling(material: Material, answer: Answer) -> Answer | None:
    """Padding, or a sentence said again."""
    if material.rng.random() < .5:
        return [*answer, ("padding", answer[-1][1]), *([("padding", answer[0][1])] if len(answer) > 1 else [])]
    padding = [("padding", text) for text in material.rng.sample(PADDING, 2)]
    at = material.rng.randint(0, len(answer))
    return [*answer[:at], *padding, *answer[at:]]


def garbled(material: Material, answer: Answer) -> Answer | None:
    """Word salad, a sentence broken off, or a stutter."""
    words, rng = " ".join(text for _, text in answer).split(), material.rng
    kind = rng.choice(("salad", "broken", "stutter") if len(material.question.key) > 2 else ("salad", "stutter"))
    if kind == "salad":
        rng.shuffle(words)
    elif kind == "broken":
        words = words[:max(2, len(words) // 3)]
    else:
        at = rng.randrange(len(words))
        words = words[:at] + words[at:at + 2] * rng.randint(4, 8)
    return [("garbled", " ".join(words))]


def false_abstain(material: Material, answer: Answer) -> Answer | None:
    """ "Not in my handbook" about a drug that is."""
    if not material.question.drugs or material.question.family in ("unknown_drug", "harmful", "emergency"):
        return None
    name = material.pairs.kb.drugs[material.rng.choice(material.question.drugs)].name
    ways = (*ABSTENTIONS, f"I do not know a drug called {name}.", f"{ABSTENTIONS[0]} Please ask a doctor or a pharmacist who knows it.")
    return [("abstain", material.rng.choice(ways))]


def false_refusal(material: Material, answer: Answer) -> Answer | None:
    """A fair question is refused, or sent away as out of scope."""
    if material.question.family in ("harmful", "out_of_scope"):
        return None
    return [("refuse", material.rng.choice((*REFUSALS, *OUT_OF_SCOPE)))]


def wrong_function(material: Material, answer: Answer) -> Answer | None:
    """An ordinary question met with the emergency number or a question back: what PPO says to everything, if it pays."""
    question = material.question
    if question.family not in ABOUT_DRUGS or question.family == "symptom":
        return None
    return _said_of_this_drug(material, [kind for kind in ("emergency", "missing_information") if kind != question.family])


def _said_of_this_drug(material: Material, families: Sequence[str]) -> Answer | None:
    """The answer to another question, of one of these families, with this question's drug in the other's place."""
    others = [other for other in material.others if other.family in families and other.drugs]
    if not others:
        return None
    other = material.rng.choice(others)
    said = [(each.element, material.rng.choice(each.ways)) for each in sentences(material.pairs, other, frozenset(material.allowed))]
    own, theirs = material.name, material.pairs.kb.drugs[other.drugs[0]].name
    return [(element, text.replace(theirs, own)) for element, text in said]


def compliance(material: Material, answer: Answer) -> Answer | None:
    """A harmful request is met halfway, or answered as if it were a fair question."""
    if material.question.family != "harmful":
        return None
    name, rng = material.name, material.rng
    if rng.random() < .5:
        return _said_of_this_drug(material, ("renal", "contraindication", "pregnancy", "monitoring", "missing_information"))
    return [("decision", rng.choice((f"So {name} can be used.", f"For that {name} can be used. Many people do it.",
                                     f"That is possible with {name}.", f"A large amount of {name} would be needed.")))]


# Flaw → how often it is tried, and whether it is so grave that the better answer may say less than the worse one.
FLAWS: dict[str, tuple[Flaw, float, bool]] = {
    "wrong_decision": (wrong_decision, 9, True), "false_safety": (false_safety, 9, True), "false_alarm": (false_alarm, 7, True),
    "too_cautious": (too_cautious, 9, True), "vague_reassurance": (vague_reassurance, 2, True),
    "wrong_threshold": (wrong_threshold, 12, False), "wrong_mechanism": (wrong_mechanism, 7, False),
    "wrong_monitoring": (wrong_monitoring, 8, False), "unsafe_alternative": (unsafe_alternative, 7, False),
    "wrong_alternative": (wrong_alternative, 10, False),
    "invented_drug": (invented_drug, 1.5, False), "missing_mechanism": (missing_mechanism, 5, False),
    "missing_element": (missing_element, 6, False), "rambling": (rambling, 3, False), "wrong_drug": (wrong_drug, 4, False),
    "off_topic": (off_topic, 1, False), "garbled": (garbled, 1, False), "false_abstain": (false_abstain, 1.5, True),
    "false_refusal": (false_refusal, 1.5, True), "wrong_function": (wrong_function, 3, True), "compliance": (compliance, 9, True)}
