"""An answer's text → the claims it makes: decisions, thresholds, comparisons, effects, conditions, alternatives, monitoring, doses.

It reads prose, not only our own phrasing, and is a parser by rule: deterministic, fast, and open to inspection. What a claim is about
(`drugs`) is the drug named beside it, else the last one spoken of, else the drugs of the question. Whether a claim is true is checked
elsewhere.
"""

import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from pharmgpt.knowledge.alternatives import DLIST, read_offers
from pharmgpt.knowledge.decisions import ASK_QUESTION, CAUTION, RESTRICTIVE, Phrase, find_phrases
from pharmgpt.knowledge.lexicon import Masked, lexicon_of, split_sentences
from pharmgpt.knowledge.numbers import Bound, Numbers, read_numbers
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.knowledge.speech import DENIES, EMBEDDED, HYPOTHETICAL, NO, REVERSE, REVERSED, YES, reported_spans
from pharmgpt.knowledge.terms import read_terms


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing an answer says. `when` are its conditions: "egfr:LOW:HIGH", "condition:ID", "lacking:ID", "drug:ID" or "other"; `how` as in
    decisions.Phrase; of an effect it is the condition that the same word could mean, of a condition "effect" where it could.

    Kinds and values: decision (a DECISIONS id), threshold ("30"), comparison ("28<30"), value (the patient's eGFR), effect, condition,
    alternative, monitoring, class, indication (ids), ask_for (parameter id, pregnancy, age, drug), pair ("a+b"), severity, dose ("500 mg"),
    answer ("yes" or "no" as the first word), close_name (a misspelt drug).
    """

    kind: str
    value: str
    drugs: tuple[str, ...]
    sentence: int
    text: str
    negated: bool = False
    hedged: bool = False
    when: tuple[str, ...] = ()
    how: str = ""


PRONOUN = re.compile(r"(?:it|this one|they|these)\b", re.IGNORECASE)
CONDITION_GUARD = re.compile(
    r"\b(in|with|if|for|when|during|while|having|has|have|after|without)\b(?: (?!because\b|due\b|risk\b"
    r"|cause|causing|lead|signs?\b|symptoms?\b|monitor|check)[a-z]+){0,5}?"
    r"((?: V\d+)(?:(?: ?,)?(?: and| or)?(?: (?:in|with|during|an?|the|history|of|active|severe|recent|acute|chronic|other))* V\d+)*)"
)
REASON = re.compile(r"\b(?:because|due to|owing to|on account of|for fear of|lest)\b")
COMPARED = re.compile(r"\b(?:other than|except(?: for)?|apart from|unlike|(?:in contrast|as opposed|compared) (?:to|with)) (?:the )?(D\d+)")
OTHERS = re.compile(r"\b(?:other than|except(?: for)?) [^;]*$")
FOR_OTHERS = re.compile(r"\b(?:for|in|by) (?:most|other|healthy|many|average|almost all) (?:people|patients|adults|women|users)\b")
HEADING = re.compile(r"(?!.*\b(?:it|this|they)\b)(?:[a-z/]+ ?){1,6}: ?")
NAMES_ONLY = re.compile(DLIST + r" ?[.;,!]?")
UNTIL_KNOWN = re.compile(r"\buntil\b[^;]*\b(?:check|test|measur|know|result|seen|review|ask|spok|talk|confirm|assess|clear|agree)\w*")
DRUG_GUARD = re.compile(  # "in patients taking tizanidine"
    r"\b(?:patients?|people|persons?|those|anyone|adults|individuals|someone|you|who)(?: \w+)? (?:are |is )?(?:also |already |currently )?"
    r"(?:taking|on|receiving|using|treated with|takes?)(?: an?| the)? (D\d+)"
)
CHECK_WITH = re.compile(
    r"\b(?:but|if|provided|while|with|as long as|so long as|only|though|when)\b[^.]*\b(?:monitor|(?:re)?check|watch|measur"
    r"|test)\w*\b[^.]*V\d|\b(?:but|if|provided|while|with|as long as|so long as|only|though|when)\b[^.]*V\d+[^.]*\b(?:monitor"
    r"|(?:re)?check|watch|measur|test)\w*"
)
HEDGE = re.compile(
    r"\b(?:might|perhaps|maybe|probably|possibly|i think|not sure|not certain|unclear|uncertain|may be (?:safe|fine|ok"
    r"|okay|dangerous|unsafe))\b"
)
BREAKS = re.compile(r"[,;:](?: (?:and|but|or))?|\b(?:but|whereas|although|though|however|yet|while)\b")
JOINED = re.compile(r"\b(?:with|together|combin|and|interact|plus|both)\w*|[+]")
INTERACTS = re.compile(
    r"\binteract(?:s|ions?|ing)?\b|\b(?:dangerous|risky|problem|worst|harmful|concerning|unsafe|matters?)\w*"
    r"|\b(?:together|combination|combin\w+|pair\w*) (?:\w+ ){0,4}?(?:cause|increase|raise|risk|add)"
)
SAID_OF_ONESELF = ("ask", "unknown", "refuse", "out_of_scope", "emergency")


class Thread(NamedTuple):
    """What the sentences so far leave behind for the next: the drugs spoken of, those offered as replacements ("it" after an offer is the
    drug offered), decisions heard but not claimed, of a question or of somebody else, and the heading of a list."""

    subject: tuple[str, ...]
    offered: tuple[str, ...] = ()
    heard: tuple[tuple[str, tuple[str, ...]], ...] = ()
    heading: str = ""  # what "Avoid:" says of the names listed below it


def read_claims(kb: KnowledgeBase, text: str, about: tuple[str, ...] = ()) -> list[Claim]:
    """Every claim of a text; `about` are the drugs of the question, meant where none is named."""
    claims: list[Claim] = []
    thread = Thread(about)
    for index, raw in enumerate(split_sentences(text)):
        found, thread = _read_sentence(kb, index, raw, about, thread)
        claims += found
    return resolve_limits(claims)


@lru_cache(maxsize=50_000)
def _read_sentence(kb: KnowledgeBase, index: int, raw: str, about: tuple[str, ...], thread: Thread) -> tuple[tuple[Claim, ...], Thread]:
    subject = thread.offered if thread.offered and PRONOUN.match(raw) else thread.subject
    sentence = Sentence(index, raw, lexicon_of(kb).mask(raw), about, subject, thread)
    claims = tuple(sentence.read())
    offered = tuple(sentence.names[name] for name in sorted(sentence.replacing))
    return claims, Thread(sentence.next_subject, offered, tuple(sentence.heard), sentence.heading)


class Sentence:
    """One sentence while it is read: the masked text and what it is about."""

    def __init__(self, index: int, raw: str, masked: Masked, about: tuple[str, ...], subject: tuple[str, ...], thread: Thread):
        self.index, self.raw, self.masked, self.about, self.subject = index, raw, masked, about, subject
        self.text = masked.text
        self.names = {f"D{i}": spot.meanings["drug"] for i, spot in enumerate(masked.spots) if "drug" in spot.meanings}
        self.hedged = HEDGE.search(self.text) is not None
        self.replacing: set[str] = set()  # placeholders of drugs offered as alternatives
        self.compared = {hit.group(1) for hit in COMPARED.finditer(self.text)}
        self.next_subject = subject
        self.heard_before, self.heard = thread.heard, []
        self.listed = NAMES_ONLY.fullmatch(self.text) is not None
        self.heading = thread.heading if self.listed else self._own_heading()

    def claim(self, kind: str, value: str, drugs: tuple[str, ...], **more) -> Claim:
        return Claim(kind, value, drugs, self.index, self.raw, hedged=self.hedged, **more)

    def read(self) -> list[Claim]:
        if self.raw.endswith("?"):
            return self._question()
        if self.heading and not self.listed:
            return []
        if self.heading:
            return self._names() + [self.claim("decision", self.heading, (drug,)) for drug in self.drugs_of(self.text)]
        numbers = read_numbers(self.masked)
        alternatives, rest = read_offers(self)
        own = self.drugs_in(0, len(self.text))
        self.topic = own or self.subject or self.about
        self.next_subject = own or self.subject
        decisions = self._decisions(find_phrases(rest), numbers)
        return (
            self._names()
            + self._answer_word()
            + self._echo()
            + decisions
            + alternatives
            + self._number_claims(numbers)
            + read_terms(self)
            + self._pairs(decisions)
        )

    def drugs_in(self, start: int, end: int) -> tuple[str, ...]:
        """Drugs named in a stretch of the sentence, other than those offered as replacements, or only compared with others there."""
        found = [name for name in re.findall(r"D\d+", self.text[start:end]) if name not in self.replacing]
        meant = [name for name in found if name not in self.compared] or found
        return tuple(dict.fromkeys(self.names[name] for name in meant))

    def _own_heading(self) -> str:
        """The restriction that a short heading puts on what is listed below it."""
        if not HEADING.fullmatch(self.text):
            return ""
        return next((phrase.decision for phrase in find_phrases(self.text) if phrase.decision in RESTRICTIVE), "")

    def drugs_of(self, words: str) -> tuple[str, ...]:
        """The drugs of a list's placeholders."""
        return tuple(dict.fromkeys(self.names[name] for name in re.findall(r"D\d+", words)))

    def _question(self) -> list[Claim]:
        """A question back to the person asks; a rhetorical echo of theirs says nothing, until it is answered."""
        phrases = find_phrases(self.text.rstrip(" ?"))
        if not ASK_QUESTION.search(self.text) and not any(phrase.decision == "ask" for phrase in phrases):
            drugs = self.drugs_in(0, len(self.text)) or self.subject
            self.next_subject = drugs
            self.heard = [(phrase.decision, drugs) for phrase in phrases if phrase.decision in CAUTION][:1]
            return []
        return [self.claim("decision", "ask", self.subject), *self._asked_for()]

    def _asked_for(self) -> list[Claim]:
        wanted = []
        for spot in self.masked.spots:
            wanted += [spot.meanings[kind] for kind in ("parameter", "condition") if kind in spot.meanings][:1]
        wanted += ["age"] if re.search(r"\b(?:age|old)\b", self.text) else []
        other = re.search(
            r"\b(?:which|what|name of|names? of|other|second|your)(?: \w+){0,3} (?:drug|medicine|medication|tablet"
            r"|painkiller|pill|antibiotic)s?\b",
            self.text,
        )
        wanted += ["other_drug"] if other else []
        wanted += ["dose"] if re.search(r"\bdos(?:e|age)\b|\bhow much\b", self.text) else []
        return [self.claim("ask_for", value, self.subject) for value in dict.fromkeys(wanted)]

    def _names(self) -> list[Claim]:
        return [self.claim("close_name", spot.words, (spot.meanings["drug"],)) for spot in self.masked.spots if spot.how == "close"]

    def _answer_word(self) -> list[Claim]:
        yes, no = YES.match(self.text), NO.match(self.text)
        hit = yes or no
        if hit is None or self.index:
            return []
        alone = re.fullmatch(r"[ .,!;:]*", self.text[hit.end() :]) is not None
        return [self.claim("answer", "yes" if yes else "no", self.about, how="alone" if alone else "")]

    def _echo(self) -> list[Claim]:
        """ "Safe? Not at all." and "My friend says it is safe. It isn't.": what was heard before is affirmed or turned round."""
        if not self.heard_before:
            return []
        decision, drugs = self.heard_before[0]
        denied = NO.match(self.text) or DENIES.match(self.text)
        if not denied and not YES.match(self.text):
            return []
        decision = REVERSE[decision] if denied else decision
        return [self.claim("decision", decision, drugs, how="can" if decision == "safe" else "")]

    def _decisions(self, phrases: list[Phrase], numbers: Numbers) -> list[Claim]:
        claims: list[Claim] = []
        spoken_of: tuple[str, ...] = ()
        said: tuple[str, tuple[str, ...]] | None = None  # the last decision, claimed or reported, which "it is not" denies
        supposed: tuple[str, ...] = ()  # the conditions of the last decision
        reported = reported_spans(self.text)
        for phrase, (start, end) in zip(phrases, self._segments(phrases)):
            spoken_of = self.drugs_in(start, end) or spoken_of
            drugs = spoken_of or self.subject or self.about
            before = self.text[start : phrase.start]
            if phrase.decision in CAUTION and OTHERS.search(before):  # "NSAIDs other than ibuprofen can be used"
                continue
            if phrase.decision == "deny":
                if said and (not supposed or self.text.startswith("but not", phrase.start)):
                    how = "can" if REVERSE[said[0]] == "safe" else ""
                    when = self._guards_of(phrase, start, end, numbers)
                    claims.append(self.claim("decision", REVERSE[said[0]], self.drugs_in(phrase.start, end) or said[1], when=when, how=how))
                continue
            if EMBEDDED.search(before) and phrase.decision not in SAID_OF_ONESELF or not self._is_decision(phrase):
                continue
            decision, how = self._turned(phrase, before)
            when = () if decision in SAID_OF_ONESELF[:4] else self._guards_of(phrase, start, end, numbers)
            if decision in CAUTION:
                said, supposed = (decision, drugs), when
            if decision in CAUTION and any(low <= phrase.start < high for low, high in reported):
                self.heard = [said]
                continue
            if how == "none_known" and decision == "avoid":  # "it is wrong that they do not interact" decides nothing
                continue
            claims.append(self.claim("decision", decision, drugs, when=when, how=how))
            claims += self._asked_for() if decision == "ask" else []
        return claims

    def _turned(self, phrase: Phrase, before: str) -> tuple[str, str]:
        """A phrase's decision and how, with what stands around it: "can be used" with a check is `monitor`, "it is false that" reverses."""
        decision, how = phrase.decision, phrase.how
        if how == "can" and CHECK_WITH.search(self.text[phrase.start :]):
            decision, how = "monitor", ""
        if decision == "ask" and self.text[phrase.start :].startswith("depends"):
            how = "weak"
        return (REVERSE.get(decision, decision) if REVERSED.search(before) else decision), how

    def _is_decision(self, phrase: Phrase) -> bool:
        """ "Avoid alcohol", "to avoid bleeding" and "with care" said of other things decide nothing about a drug."""
        words = self.text[phrase.start : phrase.end]
        after = re.match(r"(?: the| your| his| her)? V(\d+)", self.text[phrase.end :])
        if phrase.decision == "avoid" and re.search(r"avoid(?:ing)?$", words):
            return not after or "class" in self.masked.spots[int(after.group(1))].meanings
        before = self.text[: phrase.start]
        if phrase.decision == "avoid" and words.startswith("be "):  # "can be dangerous" warns, and decides nothing
            return re.search(r"\b(?:can|could|may|might) $", before) is None
        if phrase.decision == "safe" and after and re.search(r"\b(?:reduc|lower|cut|chang|halv"
            r"|adjust)\w*$", words):  # "does not lower the INR"
            return "class" in self.masked.spots[int(after.group(1))].meanings
        if phrase.decision == "safe" and words.startswith(("is ", "are ")):  # "if your potassium is fine", "anaphylaxis is possible"
            last = re.search(r"V(\d+)(?: levels?| tests?)? $", before)
            return last is None or not {"parameter", "effect"} & self.masked.spots[int(last.group(1))].meanings.keys()
        if phrase.decision == "emergency":
            return re.search(r"\b(?:not|no need to|no)(?: an?| call| need)*$", self.text[: phrase.start].rstrip()) is None
        return True

    def _segments(self, phrases: list[Phrase]) -> list[tuple[int, int]]:
        """Each decision's stretch: between two, cut at the first comma, semicolon or "but", else at the last "and"."""
        cuts = [0]
        for left, right in zip(phrases, phrases[1:]):
            between = self.text[left.end : right.start]
            hit = BREAKS.search(between)
            at = hit.start() if hit else between.rfind(" and ")
            cuts.append(left.end + at if at >= 0 else right.start)
        cuts.append(len(self.text))
        return list(zip(cuts, cuts[1:]))

    def _guards_of(self, phrase: Phrase, start: int, end: int, numbers: Numbers) -> tuple[str, ...]:
        """Those of the decision's own clause, else of its whole stretch: "below 15 avoid; from 15 give less"."""
        left = self.text.rfind(";", start, phrase.start) + 1
        right = self.text.find(";", phrase.end, end)
        reason = REASON.search(self.text, phrase.end, end)
        own = self.guards(max(start, left), right if right >= 0 else end, numbers, reason.start() if reason else end)
        return own or self.guards(start, end, numbers, reason.start() if reason else end)

    def guards(self, start: int, end: int, numbers: Numbers, reason: int | None = None) -> tuple[str, ...]:
        """The conditions under which a decision is said to hold; what comes after "because" (`reason`) is none, unless a number."""
        guards = [guard_of(bound) for bound in numbers.bounds if start <= bound.start < end]
        segment = self.text[start:end]
        for hit in CONDITION_GUARD.finditer(self.text, start, end if reason is None else min(end, reason)):
            conditions = [self.masked.spots[int(number)].meanings.get("condition") for number in re.findall(r"V(\d+)", hit.group(2))]
            kind = "lacking" if hit.group(1) == "without" else "condition"
            guards += [f"{kind}:{condition}" for condition in conditions if condition]
        other = [self.names[hit.group(1)] for hit in DRUG_GUARD.finditer(segment)]
        guards += [f"drug:{drug}" for drug in other if drug not in self.about]
        if not guards and (UNTIL_KNOWN.search(segment) or FOR_OTHERS.search(segment)):
            guards.append("other")
        if not guards and HYPOTHETICAL.match(segment.strip(" ,;:")) and not re.match(r".{0,12}(?:your|the|this)? ?V\d+ (?:is|of)", segment):
            guards.append("other")
        return tuple(dict.fromkeys(guards))

    def _number_claims(self, numbers: Numbers) -> list[Claim]:
        claims = [
            self.claim(
                "comparison",
                f"{'' if c.left is None else format(c.left, 'g')}:{c.low:g}:{c.high:g}:{'' if c.right is None else format(c.right, 'g')}",
                self.topic,
            )
            for c in numbers.comparisons
            if c.right is not None or math.isfinite(c.low) and math.isfinite(c.high) or c.left is not None
        ]
        claims += [
            self.claim("threshold", "none" if math.isnan(limit) else format(limit, "g"), self.topic)
            for limit in dict.fromkeys(numbers.limits)
        ]
        claims += [
            self.claim("value", format(value, "g"), self.topic, when=() if stated else (f"egfr:{value:g}:{value:g}",))
            for value, _, stated in numbers.values
        ]
        return claims + [self.claim("dose", f"{number} {unit}", self.topic) for number, unit in numbers.doses]

    def subject_before(self, position: int) -> tuple[str, ...]:
        """The drugs of the clause so far, replacements included ("linagliptin does not cause ..."), else the topic."""
        clause = self.text[:position]
        breaks = [hit.end() for hit in re.finditer(r"[;]|, but|\bbut\b", clause)]
        names = re.findall(r"D\d+", clause[breaks[-1] if breaks else 0 :])
        own = tuple(dict.fromkeys(self.names[name] for name in names if name not in self.replacing))
        return own or tuple(dict.fromkeys(self.names[name] for name in names)) or self.topic

    def _pairs(self, decisions: list[Claim]) -> list[Claim]:
        """Two drugs said to interact, or decided on together."""
        drugs = self.drugs_in(0, len(self.text))
        if len(drugs) != 2 or not JOINED.search(self.text):
            return []
        denied = (
            any(claim.how == "none_known" and claim.value == "safe" for claim in decisions)
            or bool(decisions)
            and all(claim.value == "safe" for claim in decisions)
        )
        asserted = any(claim.value in RESTRICTIVE or claim.value == "monitor" for claim in decisions) or INTERACTS.search(self.text)
        if not denied and not asserted:
            return []
        return [self.claim("pair", "+".join(sorted(drugs)), drugs, negated=denied)]


def guard_of(bound: Bound) -> str:
    return f"egfr:{bound.low:g}:{bound.high:g}"


def resolve_limits(claims: list[Claim]) -> list[Claim]:
    """ "28 is below the cut-off": the limit is the last threshold named before, or the first after."""
    limits = [claim for claim in claims if claim.kind == "threshold"]
    resolved = []
    for claim in claims:
        if claim.kind == "comparison" and claim.value.endswith(":") and claim.value.count("inf"):
            near = [limit for limit in limits if limit.sentence <= claim.sentence][-1:] or limits[:1]
            if not near:
                continue
            left, low, high, _ = claim.value.split(":")
            low, high = (near[0].value if edge == "0" else edge for edge in (low, high))
            claim = replace(claim, value=f"{left}:{low}:{high}:{near[0].value}")
        resolved.append(claim)
    return resolved
