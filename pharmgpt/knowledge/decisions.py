"""The phrases by which people decide: "avoid", "can be used with monitoring", "no need to stop", "I don't know this drug" …

Patterns run in order over a masked sentence (see lexicon.py) and each match is consumed, so that "no dose reduction" is read as `safe`
before "dose reduction" could be read as `reduce`. Negations therefore stand first: negated restriction, then negated permission.
"""

import re
from typing import NamedTuple

from pharmgpt.knowledge.lexicon import DRUG_ENDINGS

DECISIONS = ("avoid", "reduce", "monitor", "safe", "ask", "refuse", "emergency", "unknown", "out_of_scope")
RESTRICTIVE = frozenset({"avoid", "reduce"})
CAUTION = {"safe": 0, "monitor": 1, "reduce": 2, "avoid": 3}  # larger is more cautious
FROM_ACTION = {"avoid": "avoid", "reduce": "reduce", "monitor": "monitor", "none": "safe"}


class Phrase(NamedTuple):
    """A decision found in a sentence. `how`: "" for a plain one, "can" for bare permission ("can be used"), "dose" for a limit of dose
    only, "implied" when a replacement is asked for, "none_known" for "no interaction"."""

    decision: str
    how: str
    start: int
    end: int


USED = (
    r"(?:us(?:e|ed|ing)|tak(?:e|en|ing)|giv(?:e|en|ing)|combin(?:e|ed|ing)|prescrib(?:e|ed|ing)|start(?:ed|ing)?|continu(?:e|ed|ing)"
    r"|mix(?:ed|ing)?|"
    r"pair(?:ed)?|co ?(?:prescribed?|administer(?:ed)?)|administer(?:ed)?|dispensed?|receive[d]?|add(?:ed|ing)?|swallow)\b"
)
CHANGED = r"(?:avoid|stop|reduc|adjust|chang|lower|halv|cut|switch|withh|discontinu|replac|modif)\w*"
GOOD = (
    r"(?:recommended|advised|advisable|appropriate|suitable|safe|acceptable|allowed|permitted|fine|ok|okay|compatible|indicated"
    r"|possible|an? option|"
    r"option|good (?:idea|choice|option|combination|pair\w*|mix)|right (?:choice|drug|medicine|option)|wise|sensible|all right"
    r"|alright|(?:be|go|belong) together|"
    r"go (?:well )?(?:together|with)|well together)\b"
)
OBJECT = (
    r"(?= (?:[a-z]{3,}(?:" + DRUG_ENDINGS + r")\b|[DV]\d|it\b|this|that|these|them|both|either|all\b|together|(?:the |this "
    r"|that )?(?:comb|pair|drug|medi|two|use|tablet|mix)|us(?:e|ing)|combin|taking|"
    r"giving|mixing|starting|prescrib|co\b|concurrent|concomitant|joint|at\b|below|under|in\b|if\b|when|with|while|during|because"
    r"|due|as\b|altogether|"
    r"completely|entirely|\w+ (?:D\d|together|comb))| ?[.;,:!]|$)"
)
DOSE_GAP = (
    r"(?: (?:the|its|your|to|a|of|this|their|D\d+|V\d+|usual|starting|daily|total|maximum|normal|standard|drug|half|and|by|in"
    r"|needs?|any)){0,5}"
)
STEP_GAP = r"(?: (?:of|D\d+|V\d+|should|must|is|be|needs?|to|a|has|have|can|may|the|this|it|daily|your|maximum|usual|therefore)){0,6}"
NUMBER_MG = r"\d+(?:\.\d+)? ?(?:mg|g|mcg|micrograms?|milligrams?|grams?|units?|tablets?)\b"
WATCHED = r"(?:monitor|check|watch|test|measur)\w*"

TABLE: tuple[tuple[str, str, str], ...] = (
    (
        "emergency",
        "",
        r"\b911\b|\b(?:call|dial|ring|phone)(?: \w+| /|,){0,5} (?:999|112)\b|\bambulance|\bpoisons? (?:control|cent(?:re"
        r"|er)s?|information|line|helpline)"
        r"|\bemergency (?:services?|number|department|room|help|care|line|medical|ward|treatment)|\ba ?& ?e\b|\baccident and emergency"
        r"|\b(?:go|get|rush|straight|taken?) (?:\w+ ){0,4}(?:hospital|er)\b|\b(?:urgent|immediate|emergency|get|seek|need"
        r"|call for) (?:\w+ )?(?:medical )?(?:help|care|attention)(?: now| at once| immediately"
        r"| right away| urgently| today| straight away)"
        r"|\b(?:urgent|immediate) medical (?:help|care|attention)|\bmedical emergency",
    ),
    (
        "ask",
        "",
        r"\bnot know (?:your|the|their) V\d+|\b(?:i|we) (?:would |will |first |still |also |do )*need (?:to (?:know|see|ask|have)"
        r"|your|the|a|an|more|some|their|you to|V\d+)\b[^.;]*"
        r"|\b(?:please )?(?:tell me|share (?:your|the)|give me (?:your|the)|provide (?:your|the|me))\b|\blet me know(?! if you (?:have|need"
        r"|want))"
        r"|\bdepends (?:up)?on (?:(?:your|the|their) (?:\w+ )?(?:V\d+|dose|other|age)|how|which|what|whether|V\d+)"
        r"|\bwithout (?:knowing )?(?:your|the|an?|their|more)(?: current| recent| latest)? (?:V\d+|details|information)"
        r"|\bcan (?:not )?(?:only )?(?:say|answer|tell|decide|advise)(?: you)?(?: more)? (?:once|until|when|after|if i)\b[^.;]*",
    ),
    (
        "unknown",
        "",
        r"\b(?:do|did|can|could) not (?:know|recogni[sz]e|find|identify)\b(?! how)|\bnot (?:have|find|contain|list|include"
        r"|hold) (?:an? |any )?(?:entry|information|record|data|facts?)\b"
        r"|\bno (?:\w+ )?(?:entry|information|record|data|knowledge|facts)\b|\bunknown (?:to me|drug|medicine|name)|\bnever heard"
        r"|\bunfamiliar|\bnot familiar"
        r"|\bnot (?:\w+ ){0,5}?(?:in|part of) (?:my|the|our) (?:handbook|knowledge|list|database|reference|data)|\bnot (?:an? "
        r"|one )?(?:\w+ )?(?:drugs?|medicines?|names?) (?:that )?i know"
        r"|\bnot (?:known to me|something i know|listed|one i know)|\b(?:is|are) not (?:\w+ )?known to me|\b(?:can|could) not (?:say|tell"
        r"|judge) (?:whether|if)\b[^.;]*",
    ),
    (
        "out_of_scope",
        "",
        r"\boutside (?:of )?(?:what|my|the scope|the range|my scope)\b[^.;]*|\bbeyond (?:what|my)\b[^.;]*"
        r"|\bout of (?:my )?scope|\b(?:can|do|will|am able to) (?:only|just) (?:answer|help|talk|cover)\b[^.;]*"
        r"|\bi (?:only |just )?answer (?:only )?questions (?:about|on)\b[^.;]*|\bi (?:only|just) (?:answer|help|cover|talk|deal|know|do"
        r"|handle)\b[^.;]*|\bnot (?:a )?(?:question |one |something )?about (?:medicines?|drugs?|medications?)"
        r"|\bnot (?:something|a question"
        r"|one) i (?:can )?(?:answer|cover)"
        r"|\bonly (?:for |about |on |with )?(?:questions (?:about|on) )?(?:drug|medicine|medication)s?\b|\bnot (?:a )?(?:drug|medicine"
        r"|medication)s?(?: safety)? questions?",
    ),
    (
        "refuse",
        "",
        r"\bi (?:can|will|would|could|am|must) ?not (?:be )?(?:able |willing |going |prepared )?(?:to )?(?:help|assist|provide"
        r"|give|support|explain|do|tell|share|advise|answer|teach|describe|take part)\b[^.;]*"
        r"|\bi am unable to\b[^.;]*|\bi (?:have to |must |will )?(?:refuse|decline)\b[^.;]*"
        r"|\bnot something i (?:can|will) (?:help|do|assist"
        r"|support)\b[^.;]*|\bno help with\b",
    ),
    ("safe", "none_known", r"\b(?:no|without)(?: \w+){0,3}? interactions?\b|\b(?:do|does|will|would|should) not (?:\w+ly )?interact\b"),
    (
        "safe",
        "",
        r"\b(?:no|little|hardly any|not any|no good|without) (?:need|reason)\b(?: \w+){0,2}? (?:(?:to|for|not|a|any|dose"
        r"|dosage) ){1,3}(?:" + CHANGED + r"|dos\w+ \w+|worry|use|take)"
        r"|\b(?:not|never) (?:need|have|required?|necessary|needed|be necessary)(?: to)?(?: be| a| any"
        r"| dose)* "
        + CHANGED
        + r"|\bneed not (?:be )?"
        + CHANGED
        + r"|\b(?:do|does|did|should|must|may|can|is|are|will|would|could) not (?:be |to be )?(?:avoid|reduc|adjust|lower|halv|cut"
        r"|chang)\w*(?! (?:your|on your))"
        r"|\b(?:do|should|must|need) not (?:be |to )?stop\w*(?!.{0,40}(?:sudden|abrupt|without|on your own))"
        r"|\b(?:no|without)(?: any| a| further| special)? (?:(?:dose|dosage|dosing|renal) )?(?:change|reduction|adjustment|cut"
        r"|modification)s?\b(?: (?:in|of|to) (?:the )?dos\w+)?(?: (?:is|are) (?:needed|required|necessary))?"
        r"|\bdos\w+ (?:can |may |should |will )?(?:stays?|remains?|is|be kept|kept|be left|be) (?:the same|unchanged|as (?:it is|usual"
        r"|before))"
        r"|\bnot (?:\w+ly )?(?:a |an )?(?:contraindicated|contraindication|unsafe|dangerous|harmful|risky|inadvisable|forbidden|prohibited"
        r"|off limits|ruled out|unsuitable|inappropriate|problem|concern)"
        r"|\b(?:no|without(?: any)?|not any)(?: (?:known|major|particular|real|special|renal|clear|absolute|serious|significant"
        r"|V\d+)){0,2} (?:contraindications?|objections?|restrictions?|concerns?|problems?|issues?)\b"
        r"|\bnot (?:\w+ly )?(?:safe|advisable|recommended|advised|wise|good|a good idea) to (?:stop|discontinue|avoid|interrupt)\b"
        r"|\b(?:avoid|stopp|withhold|reduc|replac)ing (?:D\d+|it|this|them|the dose) (?:is|would be) (?:unnecessary|not (?:needed|necessary"
        r"|required))"
        r"|\bdo not worry\b|\bnothing (?:against|wrong with|to worry)",
    ),
    ("reduce", "dose", r"\bnot (?:to |be )?(?:use|take|give|exceed|go)(?: D\d+| it)? ?(?:more than|over|above|beyond)? ?" + NUMBER_MG),
    (
        "avoid",
        "",
        r"\b(?:not|never) (?:\w+ly )?(?:to )?(?:be )?(?:\w+ly )?" + USED + r"|\b(?:nobody|no one"
        r"|no patient)(?: with V\d+)? (?:should|may|can|must) (?:be )?" + USED + r"|\bnot (?:\w+ly )?(?:an? |the |be "
        r"|to be )?(?:\w+ly )?"
        + GOOD
        + r"|\bno longer (?:be )?(?:"
        + USED
        + "|"
        + GOOD
        + r")|\bno (?:D\d+|V\d+) (?:should|may|can|below|under|at|with|for|in|if|together)\b"
        r"|\b(?:unsafe|inadvisable|unsuitable|inappropriate|prohibited|forbidden|off limits)\b|\brul(?:es?|ed)(?: it| this| D\d+)? out\b"
        r"|\btoo (?:dangerous|risky|high a risk)\b"
        r"|\b(?:is|are|be) (?:\w+ly )?(?:dangerous|harmful)\b|\bdangerous (?:together|combination|pair|mix)\b|\bharmful (?:together"
        r"|combination)\b|\b(?:should|must|do|can|may) not(?= ?[.;,!]|$)"
        r"|\bcontraindicated\b|\b(?:is|has|have|forms) an? (?:\w+ )?contraindication\b|\bavoid(?:ing)?\b"
        + OBJECT
        + r"|\bavoid(?:ed|ance)\b"
        r"|\bstop(?:ping)? (?:D\d+|it\b|this|taking|using|both|them|the (?:drug|med|comb|tablet))(?!.{0,40}(?:sudden|abrupt))|\b(?:be"
        r"|is) (?:stopped|withheld|withdrawn|discontinued)\b(?! (?:sudden|abrupt))"
        r"|\b(?:discontinue|withhold)\b(?!.{0,40}(?:sudden|abrupt))|\bhold (?:D\d+|it)\b|\bstop\b(?= ?[.;,!]|$)",
    ),
    (
        "avoid",
        "implied",
        r"\b(?:choose|use|pick|find|try|needs?|take|prescribe) (?:an? )?(?:other|another|different|alternative|safer"
        r"|something else)\b(?: (?:drug|medicine|medication|painkiller|option|agent|treatment))?"
        r"|\b(?:replace|swap|change) (?:D\d+|it)\b|\bD\d+ (?:should|must) be (?:replaced|changed|swapped)\b",
    ),
    (
        "reduce",
        "",
        r"\b(?:reduc\w+|lower(?:ed|ing)?|halv\w+|cut(?:ting)?|decreas\w+|adjust\w*|limit\w*|cap(?:ped)?|modif\w+|smaller|half"
        r"|low|less)\b" + DOSE_GAP + r" dos(?:e|es|age|ing)\b(?: (?:reduction|adjustment)s?)?"
        r"|\bdos(?:e|es|age|ing)\b"
        + STEP_GAP
        + r" (?:reduc\w+|lower\w*|halv\w+|cut\b|decreas\w+|adjust\w*|limited|capped|modif\w+|smaller)"
        r"|\b(?:reduc(?:e|ing)|halv(?:e|ing)|cut|lower) (?:D\d+|it)\b",
    ),
    (
        "reduce",
        "dose",
        r"\b(?:at most|no more than|maximum(?: daily)?(?: dose)?(?: is| of)?|max|limit(?:ed)?(?: D\d+| it)? to|up to"
        r"|not (?:to )?exceed(?:ing)?) "
        + NUMBER_MG
        + r"|\b(?:longer|extend\w*|lengthen\w*|wider|increase(?:d)?)(?: the)?(?: dos\w+)? intervals?|\bevery (?:36|48|72) hours"
        r"|\balternate days?|\bevery other day|\bless often",
    ),
    (
        "monitor",
        "",
        r"\b(?:with|under|needs?|requires?|use|using|exercise|extra|only with|calls for|warrants)\b(?: (?!or "
        r"|and )\w+){0,4}? (?:monitoring|caution|care|supervision|checks|tests)\b(?! (?:team|home))"
        r"|\b(?:cautiously|carefully)\b|\bcaution\b|\bmonitor (?:it|this|them|him|her)\b|\bcautious\b|\b(?:close|careful"
        r"|regular) monitoring\b|\bmonitoring (?:is|are) (?:\w+ )?(?:needed|required|essential|advised|important|recommended)"
        r"|\bmonitor\w*(?: \w+){0,4}? (?:closely|carefully)\b"
        r"|\b(?:closely|carefully) " + WATCHED + r"|\b(?:if|as long as|provided|while|when|with|so long as)(?: that| the| your"
        r"| you)* (?:" + WATCHED + r" (?:\w+ ){0,2}V\d+|V\d+(?: levels?)?(?: is| are)?(?: \w+ly)? " + WATCHED + ")",
    ),
    (
        "safe",
        "",
        r"(?<!to be )\bsafe(?:ly)?\b(?! (?:alternative|option|choice|drug|side|than|levels?))|\b(?:usual|full|normal|standard"
        r"|ordinary|same|regular|unchanged) dos\w+"
        r"|\b(?:is|are|be|seems?|remains?|considered|looks?|generally|usually|perfectly|quite|both|still|also|completely|absolutely"
        r"|all) (?:\w+ly )?"
        r"(?:fine|ok|okay|acceptable|suitable|appropriate|compatible|allowed|permitted|all right|alright|harmless|recommended|possible"
        r"|usable)\b(?! (?:alternative|option|choice))"
        r"|\b(?:fine|ok|okay|all right|compatible) (?:to|together|with|for|at|in|here)\b|(?:^|[,;] ?)(?:that is )?(?:fine|ok|okay)\b",
    ),
    (
        "safe",
        "can",
        r"\b(?:can|may|could)\b(?: (?:also|still|be|safely|usually|continue|keep|to|both|now|normally|just|D\d+|and|you|i"
        r"|they|it|generally|go|on|therefore|your)){0,6}? (?:"
        + USED
        + r"|go together|stay on|have (?:D\d+|it))|\bcontinue(?:d)? (?:D\d+|it\b|with|taking|using|as|to (?:use|take)|at)|\bkeep (?:taking"
        r"|using|on) \w+|\bgo ahead\b|\bcarry on\b|\bshould continue\b|\bcontinue\b(?= ?[.;,!]|$)",
    ),
)
PATTERNS = tuple((decision, how, re.compile(pattern)) for decision, how, pattern in TABLE)
ASK_QUESTION = re.compile(
    r"^(?:\w+ ){0,3}?(?:what|which|how (?:much|many|old|well|far)|are you|do you|(?:could|can"
    r"|would) you (?:please )?(?:tell|give|share|say|let|send|provide|check)|have you|is (?:the|she|he|your)|may i)\b"
)


def find_phrases(text: str) -> list[Phrase]:
    """Decision phrases of one masked sentence, left to right; what one pattern consumed no later pattern sees."""
    found: list[Phrase] = []
    for decision, how, pattern in PATTERNS:
        hits = list(pattern.finditer(text))
        for hit in hits:
            found.append(Phrase(decision, how, hit.start(), hit.end()))
        for hit in hits:
            text = text[: hit.start()] + "~" * (hit.end() - hit.start()) + text[hit.end() :]
    return sorted(found, key=lambda phrase: phrase.start)
