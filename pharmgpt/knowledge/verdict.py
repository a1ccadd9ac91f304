"""The decision of a whole answer: which of its decision claims governs, or that two of them contradict each other.

A conditional decision counts only where the question's patient meets the condition. Compatible decisions merge into the one that asks for
more ("can be used" and "reduce the dose" is reduce); incompatible ones leave the answer without a clear decision.
"""

import re
from typing import NamedTuple

from pharmgpt.knowledge.context import Context
from pharmgpt.knowledge.decisions import CAUTION, RESTRICTIVE
from pharmgpt.knowledge.reading import Claim
from pharmgpt.knowledge.schema import KnowledgeBase

DECLINING = ("refuse", "out_of_scope", "unknown", "ask")
PERMISSION_ASKED = re.compile(
    r"\b(?:can|may|could|would|is it|safe|all right|ok|okay|fine|suitable|possible|good|wise|continue|carry on" r"|give)\b", re.IGNORECASE
)
HARM_ASKED = re.compile(
    r"\b(?:interact|problem|risk|reason not|clash|rule out|contraindicat\w*|avoid|worry|need to|should be (?:stopped"
    r"|changed)|harm|mix|changed|stopped|wrong|"
    r"need a change|bad|serious|trouble|objection)\b",
    re.IGNORECASE,
)


class Verdict(NamedTuple):
    """`decision` is None where nothing is decided or where `readings`, the decisions an answer can be read as, contradict each other."""

    decision: str | None
    readings: tuple[str, ...]


def decide(kb: KnowledgeBase, claims: list[Claim], context: Context, about: tuple[str, ...], prompt: str = "") -> Verdict:
    """The governing decision about the drugs asked for."""
    own = [claim for claim in claims if claim.kind == "decision" and _concerns(claim, about)]
    clinical = _applying(kb, [claim for claim in own if claim.value in CAUTION], context)
    values = _merge(_apart(clinical, about))
    values = _with_answer_word(values, claims, prompt)
    special = list(
        dict.fromkeys(
            claim.value
            for claim in own
            if claim.value not in CAUTION and "other" not in claim.when and not (claim.how == "weak" and values)
        )
    )
    if special[:1] == ["emergency"] or "emergency" in special and special[0] not in ("refuse",):
        special = ["emergency"]
    if special:
        readings = tuple(special) + tuple(value for value in values if special[0] != "emergency" or value == "safe")
        return Verdict(special[0] if len(readings) == len(special) else None, readings)
    return Verdict(values[0] if len(values) == 1 else None, tuple(values))


def applies(kb: KnowledgeBase, claim: Claim, context: Context) -> bool:
    """Does the patient of the question meet the conditions under which the claim is made?"""
    if "other" in claim.when:
        return False
    ranges = [guard.split(":")[1:] for guard in claim.when if guard.startswith("egfr:")]
    conditions = [guard.split(":")[1] for guard in claim.when if guard.startswith("condition:")]
    drugs = [guard.split(":")[1] for guard in claim.when if guard.startswith("drug:")]
    lacking = {guard.split(":")[1] for guard in claim.when if guard.startswith("lacking:")}
    if drugs and not set(drugs) & set(context.drugs) or lacking & set(context.conditions):
        return False
    treated = {condition for drug in claim.drugs if drug in kb.drugs for condition in kb.drugs[drug].indications}
    return (not ranges or any(_inside(float(low), float(high), context.kidney_function) for low, high in ranges)) and (
        not conditions or bool(set(conditions) & (set(context.conditions) | _renal_conditions(context) | treated))
    )


def _renal_conditions(context: Context) -> set[str]:
    """What a kidney function means in words (KDIGO: chronic kidney disease from G3 on, below 60)."""
    return {"chronic_kidney_disease"} if context.kidney_function is not None and context.kidney_function < 60 else set()


def _inside(low: float, high: float, value: float | None) -> bool:
    return value is not None and (value == low if low == high else low <= value < high)


def _applying(kb: KnowledgeBase, claims: list[Claim], context: Context) -> list[Claim]:
    """Those that apply; where none does, one said of a point ("at 85") is a patient misread and counts as the verdict."""
    points = [claim for claim in claims if any(guard.startswith("egfr:") and len(set(guard.split(":")[1:])) == 1 for guard in claim.when)]
    return [claim for claim in claims if applies(kb, claim, context)] or points


def _apart(claims: list[Claim], about: tuple[str, ...]) -> list[Claim]:
    """ "Stop ibuprofen. Continue warfarin." and "A and B do not interact. Avoid A with C.": permission for the one drug or pair does not
    lift the restriction of the other, and a smaller dose of the one softens no ban on the other."""
    limited = [set(claim.drugs) for claim in claims if claim.value in RESTRICTIVE and claim.drugs and set(claim.drugs) < set(about)]
    pairs = [claim for claim in claims if claim.how == "none_known" and len(set(claim.drugs)) == 2]
    if len(about) > 2 and set().union(*(claim.drugs for claim in pairs)) < set(about):  # pairs that leave a drug out say nothing of a list
        claims = [claim for claim in claims if claim not in pairs]
    plainly = [claim for claim in claims if claim.value == "avoid" and claim.how != "implied"]
    banned = [set(claim.drugs) for claim in plainly if claim.drugs and set(claim.drugs) < set(about)]
    claims = [claim for claim in claims if not (claim.value == "reduce" and claim.drugs and any(map(set(claim.drugs).isdisjoint, banned)))]
    return [claim for claim in claims if claim.value in RESTRICTIVE or not set(claim.drugs) < set(about) or not _elsewhere(claim, limited)]


def _elsewhere(permission: Claim, limited: list[set[str]]) -> bool:
    """Does a restriction speak of other drugs? A pair without an interaction is another pair as soon as one of its drugs is another."""
    own = set(permission.drugs)
    return any(not drugs <= own if permission.how == "none_known" else drugs.isdisjoint(own) for drugs in limited)


def _concerns(claim: Claim, about: tuple[str, ...]) -> bool:
    """A restriction is about the question if it names one of its drugs, a permission only if it names no other."""
    if not about or not claim.drugs:
        return True
    return set(claim.drugs) <= set(about) if claim.value in ("safe", "monitor") else bool(set(claim.drugs) & set(about))


def _merge(claims: list[Claim]) -> list[str]:
    """The different decisions that remain when compatible ones are merged."""
    plain = {claim.value for claim in claims if not claim.how}
    sentences = {(claim.value, claim.sentence) for claim in claims}
    permitted = any(claim.how in ("can", "none_known") for claim in claims)
    if any(claim.how == "dose" for claim in claims) and "safe" not in plain:
        plain.add("reduce")
    if (
        "safe" in plain and {"monitor", "reduce"} & plain
    ):  # "safe at half the dose" limits; "safe." and elsewhere "reduce the dose." contradict
        together = all(
            any((value, sentence) in sentences for value in ("monitor", "reduce")) for value_, sentence in sentences if value_ == "safe"
        )
        if "reduce" not in plain or together:
            plain.discard("safe")
    if "monitor" in plain and "reduce" in plain:
        plain.discard("monitor")
    if permitted and not plain & {"safe", "monitor", "reduce"}:
        plain.add("safe")
    if not plain and any(claim.how == "implied" for claim in claims):
        plain.add("avoid")
    return sorted(plain, key=CAUTION.__getitem__)


def _with_answer_word(values: list[str], claims: list[Claim], prompt: str) -> list[str]:
    """ "Yes." and "No." answer the question as it was put: where nothing else decides they do, and a whole sentence
    of one word can contradict what follows."""
    word, how = next(((claim.value, claim.how) for claim in claims if claim.kind == "answer"), (None, ""))
    permission, harm = PERMISSION_ASKED.search(prompt), HARM_ASKED.search(prompt)
    if word is None or bool(permission) == bool(harm):
        return values
    said = {("yes", True): "safe", ("no", True): "avoid", ("yes", False): "avoid", ("no", False): "safe"}[word, permission is not None]
    if not values:
        return [said] if permission or word == "no" else []
    return values + [said] if how == "alone" and values == [{"safe": "avoid", "avoid": "safe"}[said]] else values
