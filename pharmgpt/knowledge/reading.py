"""An answer's text → the claims it makes: decisions, thresholds, comparisons, effects, conditions, alternatives, monitoring, doses.

It reads prose, not only our own phrasing, and is a parser by rule: deterministic, fast, and open to inspection. What a claim is about
(`drugs`) is the drug named beside it, else the last one spoken of, else the drugs of the question. Whether a claim is true is checked
elsewhere.
"""

import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from pharmgpt.knowledge.decisions import ASK_QUESTION, RESTRICTIVE, Phrase, find_phrases
from pharmgpt.knowledge.lexicon import Masked, lexicon_of, split_sentences
from pharmgpt.knowledge.polarity import BEFORE_NUMBER, NOT_WATCHED, TREATS, WATCH, WATCHED_AS, is_denied
from pharmgpt.knowledge.numbers import Bound, Numbers, read_numbers
from pharmgpt.knowledge.schema import KnowledgeBase


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing an answer says. `when` are its conditions: "egfr:LOW:HIGH", "condition:ID" or "other"; `how` as in decisions.Phrase; of an
    effect it is the condition that the same word could mean, of a condition "effect" where it could.

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
DLIST = r"(D\d+(?:(?: ?, ?(?:or |and )?| or | and | / | or possibly | or else )(?:also |an? |the )?D\d+)*)"
BE = r"(?:is|are|would be|may be|could be|can be|might be|makes?|seems?|remains?|works? as|serves? as)"
ALTERNATIVES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<!not )\balternatives?(?: (?!to\b|not\b)\w+){0,4}?(?: to (?:D\d+|it|them|this|that|both)(?: and D\d+)*)?(?:(?: here| then"
        r"| for \w+)? (?:is|are|include|includes|would be|might be|could be|such as|like)|:| ?,)? ?(?:an? |the |to use |for example "
        r"|e\.g\. )?" + DLIST,
        DLIST + r" " + BE + r" (?:also |often |usually |generally )?(?:an? |the |one )?(?:(?!not\b|no\b|never\b"
        r"|hardly\b)\w+ ){0,3}?(?:alternatives?|options?|choices?|preferred|preferable|safer|better|substitutes?|replacements?|gentler)\b",
        r"\b(?:options?|choices?|substitutes?)(?: \w+){0,3}? (?:is|are|would be|include|includes):? " + DLIST,
        r"\b(?:instead of|rather than|in place of) D\d+(?: (?:and|or) D\d+)*,?(?: \w+){0,3}? " + DLIST,
        r"(?<!not )(?<!never )(?<!or )\b(?:us(?:e|ing)|take|try|choos(?:e|ing)|prefer|give|consider(?:ing)?|switch(?:ing)?(?: \w+"
        r"| D\d+){0,3}? to|chang(?:e|ing)(?: \w+| D\d+){0,3}? to|replac(?:e|ing)(?: \w+| D\d+){1,3} (?:with|by)"
        r"|swap(?:ping)?(?: \w+| D\d+){0,3}? for|pick|go for|prescribe|opt for|think of|ask (?:\w+ ){0,4}about|suggest|recommend|start"
        r"|move(?: \w+){0,2} to)"
        r"(?: (?!not)(?:an? |the )?\w+){0,2}? " + DLIST + r"(?: instead| in its place)?",
        DLIST + r" (?:can|could|may|might|should|would|will)? ?(?:also )?(?:be )?(?:used|taken|considered|given|tried|chosen|substituted"
        r"|preferred|work)?(?: as| for)? ?(?:instead|in its place|as an? (?:\w+ )?(?:alternative|substitute))",
        r"^(?:then |perhaps |maybe |e\.g\. )?" + DLIST + r"(?: instead| perhaps| maybe| then)? ?[.!]?$",
    )
)
NEGATED_ALTERNATIVE = re.compile(
    DLIST + r" (?:is|are|would be)(?: also)? not (?:an? )?(?:\w+ )?(?:alternative|substitute|replacement" r"|better|safer|preferred)"
)
LESS_BAD = re.compile(r"\b(?:instead of|rather than|in place of|alternatives? to|substitutes? for|than) (D\d+)")
REPLACED = re.compile(r"\b(?:instead of|rather than|in place of|replac(?:e|ing)|swap|switch(?:ing)? from|chang(?:e|ing) from) (D\d+)")
CONDITION_GUARD = re.compile(
    r"\b(?:in|with|if|for|when|during|while|having|has|have|after|and|or|without)\b(?: (?!because\b|due\b|risk\b"
    r"|cause|causing|lead|signs?\b|symptoms?\b|monitor|check)[a-z]+){0,5}? V(\d+)"
)
CHECK_WITH = re.compile(
    r"\b(?:but|if|provided|while|with|as long as|so long as|only|though|when)\b[^.]*\b(?:monitor|check|watch|measur"
    r"|test)\w*\b[^.]*V\d|\b(?:but|if|provided|while|with|as long as|so long as|only|though|when)\b[^.]*V\d+[^.]*\b(?:monitor|check|watch"
    r"|measur|test)\w*"
)
HYPOTHETICAL = re.compile(r"^(?:but |and |so |however,? )?(?:if|when|should you|in case)\b")
REPORTED = re.compile(
    r"\b(?:some|many|people|others?|friends?|websites?|it is (?:often|sometimes|widely|commonly)) (?:\w+ )?(?:think|say"
    r"|says|believe|claim|thought|said|assume|told)\b|\bmyth\b"
)
EMBEDDED = re.compile(r"\b(?:whether|not sure|not certain|unsure|unclear|uncertain|wonder\w*|ask(?:ed|ing)? (?:me )?if)\b[^,;.]*$")
REVERSED = re.compile(
    r"\b(?:not (?:true|the case|correct|right|accurate)|untrue|false|wrong|incorrect)(?: to (?:say|think" r"|claim))?(?: that)?\b[^,;.]*$"
)
REVERSE = {"avoid": "safe", "reduce": "safe", "safe": "avoid", "monitor": "safe"}
HEDGE = re.compile(
    r"\b(?:might|perhaps|maybe|probably|possibly|i think|not sure|not certain|unclear|uncertain|may be (?:safe|fine|ok"
    r"|okay|dangerous|unsafe))\b"
)
BREAKS = re.compile(r"[,;:](?: (?:and|but|or))?|\b(?:but|whereas|although|though|however|yet|while)\b")
SEVERITY = re.compile(
    r"\b(major|serious|severe|moderate|minor|mild|contraindicated)(?: \w+){0,2}? (?:interactions?|combination|pair)"
    r"|\binteractions?(?: \w+){0,3}? (?:is|are) (?:\w+ )?(major|serious|severe|moderate|minor|mild|contraindicated)"
)
SEVERITY_NAMES = {"serious": "major", "severe": "major", "mild": "minor"}
JOINED = re.compile(r"\b(?:with|together|combin|and|interact|plus|both)\w*|[+]")
INTERACTS = re.compile(
    r"\binteract(?:s|ions?|ing)?\b|\b(?:dangerous|risky|problem|worst|harmful|concerning|unsafe|matters?)\w*"
    r"|\b(?:together|combination|combin\w+|pair\w*) (?:\w+ ){0,4}?(?:cause|increase|raise|risk|add)"
)


def read_claims(kb: KnowledgeBase, text: str, about: tuple[str, ...] = ()) -> list[Claim]:
    """Every claim of a text; `about` are the drugs of the question, meant where none is named."""
    claims: list[Claim] = []
    subject, offered = about, ()
    for index, raw in enumerate(split_sentences(text)):
        found, subject, offered = _read_sentence(kb, index, raw, about, subject, offered)
        claims += found
    return resolve_limits(claims)


@lru_cache(maxsize=50_000)
def _read_sentence(kb: KnowledgeBase, index: int, raw: str, about: tuple[str, ...], subject: tuple[str, ...], offered: tuple[str, ...]):
    """(claims, what is spoken of next, drugs offered as replacements); "it" after an offer is the drug offered."""
    reader = _Sentence(index, raw, lexicon_of(kb).mask(raw), about, offered if offered and PRONOUN.match(raw) else subject)
    claims = tuple(reader.read())
    return claims, reader.next_subject, tuple(reader.names[name] for name in sorted(reader.replacing))


class _Sentence:
    """One sentence while it is read: the masked text and what it is about."""

    def __init__(self, index: int, raw: str, masked: Masked, about: tuple[str, ...], subject: tuple[str, ...]):
        self.index, self.raw, self.masked, self.about, self.subject = index, raw, masked, about, subject
        self.text = masked.text
        self.names = {f"D{i}": spot.meanings["drug"] for i, spot in enumerate(masked.spots) if "drug" in spot.meanings}
        self.hedged = HEDGE.search(self.text) is not None
        self.replacing: set[str] = set()  # placeholders of drugs offered as alternatives
        self.next_subject = subject

    def claim(self, kind: str, value: str, drugs: tuple[str, ...], **more) -> Claim:
        return Claim(kind, value, drugs, self.index, self.raw, hedged=self.hedged, **more)

    def read(self) -> list[Claim]:
        if self.raw.endswith("?"):
            return self._question()
        numbers = read_numbers(self.masked)
        alternatives, rest = self._alternatives()
        own = self.drugs_in(0, len(self.text))
        self.topic = own or self.subject or self.about
        self.next_subject = own or self.subject
        decisions = self._decisions(find_phrases(rest), numbers)
        return (
            self._names()
            + self._answer_word()
            + decisions
            + alternatives
            + self._number_claims(numbers)
            + self._terms(decisions)
            + self._pairs(decisions)
        )

    def drugs_in(self, start: int, end: int) -> tuple[str, ...]:
        """Drugs named in a stretch of the sentence, other than those offered as replacements."""
        found = [hit.group() for hit in re.finditer(r"D\d+", self.text[start:end])]
        return tuple(dict.fromkeys(self.names[name] for name in found if name not in self.replacing))

    def _question(self) -> list[Claim]:
        """A question back to the person asks; a rhetorical echo of theirs says nothing."""
        if not ASK_QUESTION.search(self.text) and not any(phrase.decision == "ask" for phrase in find_phrases(self.text)):
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
        hit = re.match(r"(yes|no)\b(?=[ .,!;:]*$|[.,!;:])", self.text)
        alone = hit is not None and re.fullmatch(r"[ .,!;:]*", self.text[hit.end() :]) is not None
        return [self.claim("answer", hit.group(1), self.about, how="alone" if alone else "")] if hit and self.index == 0 else []

    def _alternatives(self) -> tuple[list[Claim], str]:
        """Drugs offered instead, and the sentence with those offers blanked out. An offer of the drug asked for is a permission."""
        text, claims = self.text, []
        replaced = tuple(self.names[hit.group(1)] for hit in LESS_BAD.finditer(text))
        claims += self._out_of_place(text)
        for hit in LESS_BAD.finditer(text):
            text = text[: hit.start(1)] + "~" * len(hit.group(1)) + text[hit.end(1) :]
        for hit in NEGATED_ALTERNATIVE.finditer(text):
            drugs = [self.names[name] for name in re.findall(r"D\d+", hit.group(1))]
            if not set(drugs) & set(self.about):
                claims += [self.claim("alternative", drug, self.subject, negated=True) for drug in drugs]
                text = text[: hit.start()] + "~" * (hit.end() - hit.start()) + text[hit.end() :]
        denied = REVERSED.search(text) is not None
        for pattern in ALTERNATIVES:
            for hit in list(pattern.finditer(text)):
                names = re.findall(r"D\d+", hit.group(1))
                if (
                    any(self.names[name] in self.about for name in names)
                    or EMBEDDED.search(text[: hit.start()])
                    or HYPOTHETICAL.match(text[: hit.end()])
                ):
                    claims += self._endorsed(hit, names)
                    continue
                self.replacing.update(names)
                claims += [self.claim("alternative", self.names[name], replaced or self.about, negated=denied) for name in names]
                text = text[: hit.start()] + "~" * (hit.end() - hit.start()) + text[hit.end() :]
        return claims, text

    def _out_of_place(self, text: str) -> list[Claim]:
        """ "Replace metformin with ...", "instead of metformin": what is replaced is to be avoided, if nothing else is said of it."""
        drugs = tuple(self.names[name] for hit in REPLACED.finditer(text) for name in hit.groups() if name)
        return [self.claim("decision", "avoid", drugs, how="implied")] if set(drugs) & set(self.about) else []

    def _endorsed(self, hit: re.Match, names: list[str]) -> list[Claim]:
        """ "Use metformin" in an answer about metformin."""
        if EMBEDDED.search(self.text[: hit.start()]) or HYPOTHETICAL.match(self.text) or re.fullmatch(r"D\d+ ?[.!]?", self.text):
            return []
        drugs = tuple(self.names[name] for name in names)
        rest = self.text[hit.end() :]
        permits = re.search(r"\b(?:use|take|give|start|prescribe|go for|choose|try)\b", hit.group()) or re.search(
            r"\b(?:option|choice" r"|preferred|safer|better|gentler)\b", hit.group()
        )
        negated = re.search(
            r"\b(?:not|never|before|avoid|who|people|you|they|to|can|may|could|must" r"|should)(?: \w+)? ?$", self.text[: hit.start()]
        )
        if re.search(r"\b(?:alternative|substitute|replacement)s?\b", hit.group()):
            return [self.claim("alternative", drug, self.about) for drug in drugs]
        if permits and not negated and not re.match(r" (?:can|may|should|must|is|are)", rest):
            return [self.claim("decision", "safe", drugs, how="can", when=self._guards(0, len(self.text), read_numbers(self.masked)))]
        return []

    def _decisions(self, phrases: list[Phrase], numbers: Numbers) -> list[Claim]:
        if REPORTED.search(self.text):
            return []
        claims = []
        spoken_of: tuple[str, ...] = ()
        for phrase, (start, end) in zip(phrases, self._segments(phrases)):
            spoken_of = self.drugs_in(start, end) or spoken_of
            if EMBEDDED.search(self.text[start : phrase.start]) and phrase.decision not in (
                "unknown",
                "ask",
                "refuse",
                "out_of_scope",
                "emergency",
            ):
                continue
            if not self._is_decision(phrase):
                continue
            decision, how = phrase.decision, phrase.how
            if how == "can" and CHECK_WITH.search(self.text[phrase.start :]):
                decision, how = "monitor", ""
            if decision == "ask" and self.text[phrase.start :].startswith("depends"):
                how = "weak"
            if REVERSED.search(self.text[start : phrase.start]):
                decision = REVERSE.get(decision, decision)
            drugs = spoken_of or self.subject or self.about
            when = () if decision in ("ask", "unknown", "refuse", "out_of_scope") else self._guards(start, end, numbers)
            claims.append(self.claim("decision", decision, drugs, when=when, how=how))
            claims += self._asked_for() if decision == "ask" else []
        return claims

    def _is_decision(self, phrase: Phrase) -> bool:
        """ "Avoid alcohol", "to avoid bleeding" and "with care" said of other things decide nothing about a drug."""
        words = self.text[phrase.start : phrase.end]
        after = re.match(r" V(\d+)", self.text[phrase.end :])
        if phrase.decision == "avoid" and re.search(r"avoid(?:ing)?$", words):
            return not after or "class" in self.masked.spots[int(after.group(1))].meanings
        before = self.text[: phrase.start]
        if phrase.decision == "avoid" and words.startswith("be "):  # "can be dangerous" warns, and decides nothing
            return re.search(r"\b(?:can|could|may|might) $", before) is None
        if phrase.decision == "safe" and words.startswith(("is ", "are ")):  # "if your potassium is fine"
            last = re.search(r"V(\d+)(?: levels?| tests?)? $", before)
            return last is None or "parameter" not in self.masked.spots[int(last.group(1))].meanings
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

    def _guards(self, start: int, end: int, numbers: Numbers) -> tuple[str, ...]:
        """The conditions under which a decision is said to hold."""
        guards = [guard_of(bound) for bound in numbers.bounds if start <= bound.start < end]
        segment = self.text[start:end]
        for hit in CONDITION_GUARD.finditer(segment):
            condition = self.masked.spots[int(hit.group(1))].meanings.get("condition")
            guards += [f"condition:{condition}"] if condition else []
        if not guards and re.search(r"\buntil\b", segment):
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
        claims += [self.claim("value", format(value, "g"), self.topic) for value, _ in numbers.values]
        return claims + [self.claim("dose", f"{number} {unit}", self.topic) for number, unit in numbers.doses]

    def _terms(self, decisions: list[Claim]) -> list[Claim]:
        """Effects, conditions, parameters and classes, one claim a meaning."""
        claims = []
        watched = None if NOT_WATCHED.search(self.text) else WATCH.search(self.text)
        for hit in re.finditer(r"V(\d+)", self.text):
            meanings = self.masked.spots[int(hit.group(1))].meanings
            before, after = self.text[: hit.start()], self.text[hit.end() :]
            denied = is_denied(before)
            drugs = self._subject_before(hit.start())
            claims += self._condition_claims(meanings, before, denied, drugs)
            if "effect" in meanings and not TREATS.search(before):
                claims.append(self.claim("effect", meanings["effect"], drugs, negated=denied, how=meanings.get("condition", "")))
            if "class" in meanings and re.search(
                r"D\d+ (?:is|are|belongs to)(?: (not))?(?: (?:an?|the|class" r"|of))*(?: \w+)?(?:,? D\d+)? ?$", before
            ):
                claims.append(self.claim("class", meanings["class"], drugs, negated=denied))
            parameter = meanings.get("parameter") or WATCHED_AS.get(meanings.get("effect", ""))
            if parameter and not BEFORE_NUMBER.match(after) and (watched or NOT_WATCHED.search(self.text)):
                claims.append(self.claim("monitoring", parameter, drugs, negated=watched is None))
        hit = SEVERITY.search(self.text)
        severity = hit and (hit.group(1) or hit.group(2))
        return claims + ([self.claim("severity", SEVERITY_NAMES.get(severity, severity), self.topic)] if severity else [])

    def _condition_claims(self, meanings: dict[str, str], before: str, denied: bool, drugs: tuple[str, ...]) -> list[Claim]:
        if "condition" not in meanings:
            return []
        kind = "indication" if TREATS.search(before) else "condition"
        return [self.claim(kind, meanings["condition"], drugs, negated=denied, how="effect" if "effect" in meanings else "")]

    def _subject_before(self, position: int) -> tuple[str, ...]:
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
            any(claim.how == "none_known" for claim in decisions) or bool(decisions) and all(claim.value == "safe" for claim in decisions)
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
