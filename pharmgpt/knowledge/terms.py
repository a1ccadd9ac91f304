"""The vocabulary terms of a sentence → claims: effects, conditions, indications, classes, and what is to be watched."""

import re
from typing import TYPE_CHECKING

from pharmgpt.knowledge.polarity import (
    BEFORE_NUMBER,
    NOT_WATCHED,
    UNWATCHED_AFTER,
    WATCHED_AS,
    is_denied,
    is_treated,
    is_watched,
    uncoordinated,
)

if TYPE_CHECKING:
    from pharmgpt.knowledge.reading import Claim, Sentence

IS_CLASS = re.compile(
    r"(?:D\d+|\b(?:it|this|that|they|these)(?: (?:drug|medicine|one))?) (?:is|are|belongs? to)(?: also)?(?: (?:not|no))?"
    r"(?: (?:an?|the|class|family|group|of|called|known as|one|type|kind|sort))*(?: [a-z]+){0,2}?(?:,? D\d+)? ?$"
)
SEVERITY = re.compile(
    r"\b(major|serious|severe|moderate|minor|mild|contraindicated)(?: \w+){0,2}? (?:interactions?|combination|pair)"
    r"|\binteractions?(?: \w+){0,3}? (?:is|are) (?:\w+ )?(major|serious|severe|moderate|minor|mild|contraindicated)"
)
SEVERITY_NAMES = {"serious": "major", "severe": "major", "mild": "minor"}


def read_terms(sentence: "Sentence") -> list["Claim"]:
    """One claim a meaning of each term, and the severity of an interaction."""
    claims = []
    for hit in re.finditer(r"V(\d+)", sentence.text):
        claims += _term_claims(sentence, sentence.masked.spots[int(hit.group(1))].meanings, hit.start(), hit.end())
    hit = SEVERITY.search(sentence.text)
    severity = hit and (hit.group(1) or hit.group(2))
    return claims + ([sentence.claim("severity", SEVERITY_NAMES.get(severity, severity), sentence.topic)] if severity else [])


def _term_claims(sentence: "Sentence", meanings: dict[str, str], start: int, end: int) -> list["Claim"]:
    claims = []
    before, after = uncoordinated(sentence.text[:start]), sentence.text[end:]
    denied, treated = is_denied(before, after), is_treated(before)
    drugs = sentence.subject_before(start)
    if "condition" in meanings:
        kind = "indication" if treated else "condition"
        claims.append(sentence.claim(kind, meanings["condition"], drugs, negated=denied, how="effect" if "effect" in meanings else ""))
    if "effect" in meanings and not treated:
        claims.append(sentence.claim("effect", meanings["effect"], drugs, negated=denied, how=meanings.get("condition", "")))
    if "class" in meanings and IS_CLASS.search(before):
        claims.append(sentence.claim("class", meanings["class"], drugs, negated=denied))
    parameter = meanings.get("parameter") or WATCHED_AS.get(meanings.get("effect", ""))
    if parameter and not BEFORE_NUMBER.match(after):
        unwatched = NOT_WATCHED.search(sentence.text) is not None or UNWATCHED_AFTER.match(after) is not None
        if unwatched or is_watched(sentence.text, after):
            claims.append(sentence.claim("monitoring", parameter, drugs, negated=unwatched))
    return claims
