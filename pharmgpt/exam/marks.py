"""An answer beside its question, read once, and what each element of the key earns: right, absent or wrong."""

from dataclasses import dataclass, replace

from pharmgpt.knowledge.claims import (
    Claim,
    Context,
    effects_of,
    monitoring_of,
    pair_findings,
    read_claims,
    read_context,
    replaceable,
    thresholds_of,
    unsafe_alternative,
)
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.knowledge.verdict import DECLINING, Verdict, decide
from pharmgpt.text.records import Element, Question

DECISION_ELEMENTS = ("decision", "refuse", "abstain", "emergency")
PERMISSIVE = frozenset({"safe", "monitor"})


@dataclass(frozen=True, slots=True)
class Paper:
    """An answer beside its question, read once: what every mark is made from."""

    kb: KnowledgeBase
    question: Question
    prompt: str
    context: Context
    sentences: tuple[str, ...]
    claims: tuple[Claim, ...]
    verdict: Verdict

    def own(self, kind: str, negated: bool | None = False) -> list[Claim]:
        """Claims of a kind about the drugs asked for."""
        asked = set(self.question.drugs)
        return [
            claim
            for claim in self.claims
            if claim.kind == kind
            and (negated is None or claim.negated == negated)
            and (not claim.drugs or not asked or asked & set(claim.drugs))
        ]


def read_paper(kb: KnowledgeBase, question: Question, answer: str, sentences: tuple[str, ...], unread: set[int]) -> Paper:
    prompt = "\n".join(message.content for message in question.messages if message.role == "user")
    context = _context(kb, question, prompt)
    claims = tuple(claim for claim in read_claims(kb, answer, question.drugs) if claim.sentence not in unread)
    return Paper(kb, question, prompt, context, sentences, claims, decide(kb, list(claims), context, question.drugs, prompt))


def _context(kb: KnowledgeBase, question: Question, prompt: str) -> Context:
    """What the prompt states; where the question records it, the record is believed over our reading of the prompt."""
    context = replace(read_context(kb, prompt), drugs=question.drugs)
    asked = question.asked
    if "value" in asked and "measure" in asked:
        value = float(asked["value"])
        context = replace(context, egfr=value if asked["measure"] == "eGFR" else None, crcl=value if asked["measure"] == "CrCl" else None)
    extra = (asked["condition"],) if "condition" in asked else ()
    extra += ("pregnancy",) if question.family == "pregnancy" else ()
    return replace(context, conditions=tuple(dict.fromkeys(context.conditions + extra)), pregnant=context.pregnant or "pregnancy" in extra)


# ---- marks


def mark(paper: Paper, element: Element) -> str:
    """right, absent or wrong."""
    if element.name in DECISION_ELEMENTS:
        return _mark_decision(paper, element)
    return MARKS.get(element.name, _mark_plain)(paper, element)


def _mark_decision(paper: Paper, element: Element) -> str:
    verdict = paper.verdict
    if not verdict.readings:
        return "absent"
    if "emergency" in element.accepts and element.name == "emergency" and verdict.decision == "emergency":
        return (
            "right"
            if any(claim.value == "emergency" and claim.sentence == 0 for claim in paper.claims if claim.kind == "decision")
            else "wrong"
        )
    return "right" if shown_decision(paper) in element.accepts else "wrong"


def shown_decision(paper: Paper) -> str | None:
    """The verdict; of several ways to decline in one answer ("I can't help: I only answer ...") the keyed one."""
    verdict, keyed = paper.verdict, {
        value for element in paper.question.key if element.name in DECISION_ELEMENTS for value in element.accepts
    }
    if verdict.decision in DECLINING and keyed & set(verdict.readings):
        return next(value for value in verdict.readings if value in keyed)
    return verdict.decision


def _mark_threshold(paper: Paper, element: Element) -> str:
    said = {claim.value for claim in paper.own("threshold")}
    return _judge({number_text(value) for value in said}, {number_text(value) for value in element.accepts}, known_thresholds(paper))


def known_thresholds(paper: Paper) -> set[str]:
    return {
        number_text(format(edge, "g")) for drug in paper.question.drugs if drug in paper.kb.drugs for edge in thresholds_of(paper.kb, drug)
    }


def number_text(value: str) -> str:
    return value if value == "none" else format(float(value), "g")


def _judge(said: set[str], accepted: set[str], known: set[str]) -> str:
    """Right if anything accepted is said; wrong if only things are said that the base does not hold."""
    if said & accepted:
        return "right"
    return "wrong" if said - known else "absent"


def _mark_mechanism(paper: Paper, element: Element) -> str:
    said, denied = _effects_said(paper), {claim.value for claim in paper.own("effect", negated=True)}
    accepted = set(element.accepts)
    if not said & accepted and denied & accepted:
        return "wrong"
    return _judge(said, accepted, known_effects(paper))


def _effects_said(paper: Paper) -> set[str]:
    said = {
        claim.value
        for claim in paper.own("effect")
        if claim.value in _linked_effects(paper) or claim.how not in conditions_spoken_of(paper)
    }
    return said | {general for value in said if value in paper.kb.effects for general in paper.kb.effects[value].broader}


def _linked_effects(paper: Paper) -> dict[str, tuple[str, ...]]:
    return effects_of(paper.kb, paper.question.drugs)


def conditions_spoken_of(paper: Paper) -> set[str]:
    """Conditions that the question states or its key accepts: "gout" is then the condition, not a gout attack caused."""
    return set(paper.context.conditions) | {
        value for element in paper.question.key if element.name == "condition" for value in element.accepts
    }


def known_effects(paper: Paper) -> set[str]:
    """Effects of the drugs asked for, and what the question itself names."""
    return set(_linked_effects(paper)) | set(paper.context.conditions) | set(paper.context.effects)


def _mark_monitoring(paper: Paper, element: Element) -> str:
    said, accepted = {claim.value for claim in paper.own("monitoring")}, set(element.accepts)
    if not said & accepted and {claim.value for claim in paper.own("monitoring", negated=True)} & accepted:
        return "wrong"
    return _judge(said, accepted, set(monitoring_of(paper.kb, paper.question.drugs)))


def _mark_alternative(paper: Paper, element: Element) -> str:
    said = [claim for claim in paper.claims if claim.kind == "alternative" and not claim.negated]
    said += permitted_others(paper)
    faults = [claim for claim in said if claim.value not in element.accepts and bad_alternative(paper, claim)]
    if faults:
        return "wrong"
    return "right" if any(claim.value in element.accepts for claim in said) else "absent"


def permitted_others(paper: Paper) -> list[Claim]:
    """ "Linagliptin can be used" in an answer about metformin offers linagliptin."""
    asked = set(paper.question.drugs)
    return [
        replace(claim, kind="alternative", value=drug, drugs=paper.question.drugs)
        for claim in paper.claims
        if claim.kind == "decision" and claim.value in PERMISSIVE and "other" not in claim.when
        for drug in claim.drugs
        if drug not in asked
    ]


def bad_alternative(paper: Paper, claim: Claim) -> bool:
    """Unsafe here, or no replacement for anything asked about."""
    return unsafe_alternative(paper.kb, paper.context, claim) or not replaceable(paper.kb, paper.question.drugs, claim)


def _mark_condition(paper: Paper, element: Element) -> str:
    said = {claim.value for claim in paper.own("condition")}
    if said & set(element.accepts):
        return "right"
    firm = {claim.value for claim in paper.own("condition") if not claim.how}
    known = (
        set(paper.context.conditions)
        | {each.condition for drug in paper.question.drugs if drug in paper.kb.drugs for each in paper.kb.drugs[drug].contraindications}
        | set(known_effects(paper))
    )
    return "wrong" if firm - known else "absent"


def _mark_pair(paper: Paper, element: Element) -> str:
    said, denied = {claim.value for claim in paper.own("pair")}, {claim.value for claim in paper.own("pair", negated=True)}
    if not said & set(element.accepts) and denied & set(element.accepts):
        return "wrong"
    return _judge(said, set(element.accepts), {pair for pair in said if pair_findings(paper.kb, tuple(pair.split("+")))})


def _mark_ask_for(paper: Paper, element: Element) -> str:
    said = {claim.value for claim in paper.claims if claim.kind == "ask_for"}
    return "right" if said & set(element.accepts) else "wrong" if said else "absent"


def _mark_plain(paper: Paper, element: Element) -> str:
    """Any other element: a claim of its name with an accepted value."""
    said = {claim.value for claim in paper.own(element.name)}
    return _judge(said, set(element.accepts), set())


MARKS = {
    "threshold": _mark_threshold,
    "mechanism": _mark_mechanism,
    "monitoring": _mark_monitoring,
    "alternative": _mark_alternative,
    "condition": _mark_condition,
    "pair": _mark_pair,
    "ask_for": _mark_ask_for,
}
