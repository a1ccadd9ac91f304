"""The phrases by which people decide: "avoid", "can be used with monitoring", "no need to stop", "I don't know this drug" …

Patterns run in order over a masked sentence (see lexicon.py) and each match is consumed, so that "no dose reduction" is read as `safe`
before "dose reduction" could be read as `reduce`. Negations therefore stand first: negated restriction, then negated permission.
"""

import re
from typing import NamedTuple

from pharmgpt.knowledge.lexicon import DRUG_ENDINGS
from pharmgpt.knowledge.numbers import lowered_doses

DECISIONS = ("avoid", "reduce", "monitor", "safe", "ask", "refuse", "emergency", "unknown", "out_of_scope")
RESTRICTIVE = frozenset({"avoid", "reduce"})
CAUTION = {"safe": 0, "monitor": 1, "reduce": 2, "avoid": 3}  # larger is more cautious
FROM_ACTION = {"avoid": "avoid", "reduce": "reduce", "monitor": "monitor", "none": "safe"}


class Phrase(NamedTuple):
    """A decision found in a sentence, or "deny". `how`: "" for a plain one, "can" for bare permission ("can be used"), "dose" for a limit
    of dose only, "implied" when a replacement is asked for, "none_known" for "no interaction"."""

    decision: str
    how: str
    start: int
    end: int


USED = (
    r"(?:us(?:e|ed|ing)|tak(?:e|en|ing)|giv(?:e|en|ing)|combin(?:e|ed|ing)|prescrib(?:e|ed|ing)|(?:re ?)?start(?:ed|ing)|start"
    r"|re ?start(?= (?:D\d|it\b|this|taking|using|the (?:drug|med)))"
    r"|continu(?:e|ed|ing)|resum(?:e|ed|ing)|initiat(?:e|ed|ing)|reintroduced?"
    r"|mix(?:ed|ing)?|"
    r"pair(?:ed)?|co ?(?:prescrib(?:ed?|ing)|administer(?:ed|ing)?)|administer(?:ed)?|dispensed?|receive[d]?|add(?:ed|ing)?|swallow)\b"
)
CHANGED = (
    r"(?:avoid|stop|reduc|adjust|chang|lower|halv|cut|switch|withh|discontinu|replac|modif|quit|com(?:e|ing) off|wean|interrupt|alter"
    r"|titrat"
    r"|ceas|suspend|steer|stay away|skip|tweak|scal)\w*"
)
NEEDS = r"(?:need|have|requir\w+|necessary|needed|be necessary|call(?:s|ed)? for|warrants?|necessitates?|demands?)"
SUDDENLY = r"(?:sudden|abrupt|overnight|cold turkey|on your own|by yourself|all at once|from one day|without)"
HALTED = r"(?:stopped|withheld|withdrawn|discontinued|suspended|ceased|halted|omitted|paused|dropped|barred|banned|refused|held)"
GOOD = (
    r"(?:recommended|ideal|optimal|desirable|(?:the )?best (?:choice|option|idea|drug|medicine|combination|painkiller)|advised"
    r"|advisable|appropriate|suitable|safe|acceptable|allowed|permitted|fine|ok|okay|compatible|indicated"
    r"|possible|suited|an? option|"
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
STEP_GAP = (
    r"(?: (?:of|been|D\d+|V\d+|should|must|is|be|needs?|to|a|has|have|can|may|will|would|might|the|this|it|daily|your|maximum"
    r"|usual|therefore|often|usually|always|sometimes|generally|probably|then|also|ought)){0,6}"
)
NUMBER_MG = r"\d+(?:\.\d+)? ?(?:mg|g|mcg|micrograms?|milligrams?|grams?|units?|tablets?)\b"
WATCHED = r"(?:monitor|(?:re)?check|watch|test|measur|follow|supervis|track)\w*"

TABLE: tuple[tuple[str, str, str], ...] = (
    ("deny", "", r"\b(?:it|they|you|he|she|this|that|D\d+) (?:do|does) not(?= ?[.;:,!]|$)"),
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
    (
        "none",  # what sounds like a decision and is none
        "",
        r"\b(?:not|never|avoid(?:ing)?) (?:\w+ly )?(?:to )?(?:be )?(?:\w+ly )?(?:stop|discontinu|quit|withdraw|com(?:e|ing) off|ceas"
        r"|halt|interrupt"
        r"|chang)\w*[^.;:]{0,40}?\b"
        + SUDDENLY
        + r"\w*|\b(?:sudden|abrupt)(?:ly)? (?:stop|discontinu|withdraw|cessation|interrupt)\w*"
        r"|\b(?:stop|discontinu|quit|withdraw)\w*(?: D\d+| it| this)? (?:sudden|abrupt|overnight|cold turkey)\w*"
        r"|\bnot (?:chang|adjust|alter|stop)\w* [^.;:]{0,30}?\b(?:on your own|yourself)"
        r"|\bcan not be (?:ruled out|excluded)|\b(?:are|is) you (?:saying|suggesting)",
    ),
    (
        "safe",
        "",
        r"\bnothing (?:to (?:stop|prevent|keep)|(?:that )?(?:stops|prevents|keeps))(?: \w+){0,3}? "
        + USED
        + r"|\bnothing (?:(?:that )?(?:needs?|has|have|must|should)(?: to)?(?: be)? "
        + CHANGED
        + r"|(?:stands )?in the way|changes\b|speaks against|against|wrong with|to worry|to stop)"
        r"|\b(?:nobody|no one|no patient|none(?: of (?:them|these|you))?) (?:needs?|has|have|must|should|would|will)(?: to)? (?:be )?"
        + CHANGED
        + r"|\b(?:no|not)\b[^.;]{0,30} why (?:you|he|she|they|it|one|we) (?:should|could|can) not\b(?: be)?(?: "
        + USED
        + r")?|\bdos\w+ (?:adjustment|reduction|change|modification)s? (?:is|are) (?:\w+ly )?(?:not (?:\w+ly )?(?:need\w*|requir\w+"
        r"|necessary"
        r"|called for|warranted|indicated)|unnecessary)"
        r"|\b(?:reduc|adjust|lower|chang|halv)ing (?:the |your )?dos\w+ (?:is|are) (?:not (?:needed|required|necessary)|unnecessary)"
        r"|\bno (?:cause|grounds?) for (?:concern|alarm|worry)|\bno worries\b|\b(?:pos|carr|present)\w* (?:no|little"
        r"|hardly any) (?:\w+ )?(?:risks?|dangers?|threats?|harm|problems?)\b(?! of)"
        r"|\b(?:no|see no|not any|without|little) (?:\w+ )?(?:reason|need) (?:(?:why )?(?:you|he|she|they|it|one) (?:can|should"
        r"|could) not|not to)\b"
        r"(?: be)?(?: " + USED + r")?"
        r"|\bnot (?:such )?an? (?:bad|poor|dangerous|risky|harmful) (?:idea|choice|combination|pair|mix|option)",
    ),
    (
        "avoid",
        "",
        r"\b(?:under|in|on) no (?:circumstances?|case|event|account)\b(?:[^.;]{0,70}? " + USED + r")?"
        r"|\bno (?:situation|case|circumstances?|way|scenario|time|patient|point)\b[^.;]{0,40}?\b(?:may|can|could|should|must|would)\b"
        r"[^.;]{0,25}? " + USED + r"|\b(?:none of (?:them|these|those|the \w+)|neither(?: of (?:them|these|the two))?"
        r"|neither D\d+ nor D\d+)"
        r"(?: \w+)? (?:may|can|should|must|is|are) (?:be )?(?:" + USED + "|" + GOOD + r")"
        r"|\b(?:by no means|anything but|far from|hardly|in no way|nowhere near) (?:be )?(?:\w+ly )?(?:an? |the )?" + GOOD,
    ),
    ("safe", "none_known", r"\b(?:no|without)(?: \w+){0,3}? interactions?\b|\b(?:do|does|will|would|should) not (?:\w+ly )?interact\b"),
    (
        "safe",
        "",
        r"\b(?:no|little|hardly any|not any|no good|without) (?:need|reason)\b(?: \w+){0,2}? (?:(?:to|for|a|any|dose"
        r"|dosage) ){1,3}(?:\w+ (?:or|and) (?:to )?)?(?:be )?(?:" + CHANGED + r"|dos\w+ \w+|worry)"
        r"|\b(?:not|never) (?:\w+ly )?" + NEEDS + r"(?: to)?(?: be| a| an| any"
        r"| dose| dosage| the)* "
        + CHANGED
        + r"|\bneed not (?:be )?"
        + CHANGED
        + r"|\b(?:do|does|did|should|must|may|can|is|are|will|would|could) not (?:be |to be )?(?:avoid|reduc|adjust|lower|halv|cut"
        r"|chang)\w*(?! (?:your|on your))"
        r"|\b(?:(?:do|should|must|need) not|never) (?:be |to be )?(?:stop|discontinu|interrupt|suspend|withhold"
        r"|withheld)\w*(?!.{0,40}(?:sudden|abrupt|without|on your own))"
        r"|\b(?:no|without)(?: any| a| further| special| routine| formal| specific| particular)? (?:(?:dose|dosage|dosing"
        r"|renal) )?(?:change|reduction|adjustment|cut"
        r"|modification)s?\b(?: (?:in|of|to) (?:the )?dos\w+)?(?: (?:is|are) (?:needed|required|necessary))?"
        r"|\bdos\w+ (?:can |may |should |will )?(?:stays?|remains?|is|be kept|kept|be left|be) (?:the same|unchanged|as (?:it is|usual"
        r"|before))"
        r"|\bnot (?:\w+ly )?(?:a |an )?(?:contraindicated|contraindication|unsafe|dangerous|harmful|risky|inadvisable|forbidden|prohibited"
        r"|off limits|ruled out|unsuitable|inappropriate|problem|concern|barred|banned|excluded|restricted|an issue|off the table"
        r"|out of the"
        r"|taboo|a no\b|an absolute contra\w+|necessarily contra\w+|unwise)"
        r"|\b(?:no|without(?: any)?|not any)(?: (?:known|major|particular|real|special|renal|clear|absolute|serious|significant"
        r"|V\d+)){0,2} (?:contraindications?|objections?|restrictions?|concerns?|problems?|issues?)\b"
        r"|\bnot (?:\w+ly )?(?:safe|advisable|recommended|advised|wise|good|a good idea) to (?:stop|discontinue|avoid|interrupt)\b"
        r"|\b(?:avoid|stopp|withhold|reduc|replac)ing (?:D\d+|it|this|them|the dose) (?:is|would be) (?:unnecessary|not (?:needed|necessary"
        r"|required))"
        r"|\bdo not worry\b",
    ),
    ("reduce", "dose", r"\bnot (?:to |be )?(?:use|take|give|exceed|go)(?: D\d+| it)? ?(?:more than|over|above|beyond)? ?"
        + NUMBER_MG
        + r"|\bdos\w+ (?:above|over|exceeding|beyond|higher than|greater than|of more than) " + NUMBER_MG + r"(?: \w+){0,4} (?:avoided"
        r"|not (?:be )?(?:used|taken|given|recommended|exceeded|advised|needed|allowed))\b"
        r"|\bavoid(?:ing)? (?:dos\w+ (?:above|over|exceeding|beyond|higher than|greater than|of more than)|more than|exceeding"
        r"|going above) " + NUMBER_MG,
    ),
    (
        "avoid",
        "",
        r"\b(?:not|never) (?:\w+ly )?(?:to )?(?:be )?(?:\w+ly )?" + USED + r"|\b(?:nobody|no one"
        r"|no patient)(?: \w+){0,2}(?: with V\d+)? (?:should|may|can|must) (?:be )?(?:get|have|" + USED + ")" + r""
        r"|\bnot (?:\w+ly )?(?:an? |the |be "
        r"|to be )?(?:\w+ly )?"
        + GOOD
        + r"|\bno longer (?:be )?(?:"
        + USED
        + "|"
        + GOOD
        + r")|\bno (?:D\d+|V\d+) (?:should|may|can|below|under|at|with|for|in|if|together)\b"
        r"|\b(?:unsafe|inadvisable|unsuitable|inappropriate|prohibited|forbidden|off limits|banned|barred|verboten)\b|\brul(?:es?"
        r"|ed)(?: it| this| D\d+)? out\b"
        r"|\btoo (?:dangerous|risky|high a risk)\b"
        r"|\b(?:is|are|be) (?:\w+ly )?(?:dangerous|harmful|hazardous|unwise|ill advised|reckless)\b|\bdangerous (?:together|combination"
        r"|pair|mix)\b|\bharmful (?:together"
        r"|combination)\b|\b(?:should|must|do|can|may|would) not(?: be)?(?= ?[.;,:!]|$)"
        r"|\b(?:should|must|may|can|could|would) not (?:\w+ly )?(?:have (?:D\d+|it|this|that|both|them|these)\b|be (?:put |kept |left "
        r"|started )?on\b|go on\b)|\bnot (?:be )?together\b"
        r"|\bnot (?:\w+ly )?(?:carry on|go on|keep (?:on|taking|using|D\d)|persist|proceed|(?:stay|remain) on)\b|\bno more (?:D\d+"
        r"|of (?:it|this|them))\b"
        r"|\b(?:is|are) not for (?:you|him|her|them|this patient|patients|people)\b|\b(?:best|better) (?:left (?:alone|out|off|aside)"
        r"|not (?:to )?"
        + USED
        + r"|not(?= ?[.;,!]|$))|\bdiscouraged\b|\bthe one to (?:drop|stop|avoid|skip|leave|omit)\b|\brather (?:you|he|she"
        r"|they) did not\b|\brather not\b"
        r"|\bno good\b(?= (?:for|with|in|at)\b| ?[.;,!]|$)|\b(?:not|never) (?:\w+ly )?(?:recommend|advise|advocate|endorse"
        r"|encourage)\b(?! against)"
        r"|\b(?:steer|stay|keep|remain) (?:well |right )?(?:clear of|away from|off)\b|\b(?:lay|hold) off\b|\brefrain from\b"
        r"|\bgiv(?:e|ing) (?:\w+ ){1,4}a miss\b|\bleave (?:it|D\d+|this|them|that) (?:out|off|alone|well alone|be)\b"
        r"|\b(?:is|are) out(?= (?:at|for|in|with|here|of the question|if|when|once|below|under)\b| ?[.;,:!]|$)|\bout of the question"
        r"|\boff the table"
        r"|\b(?:is|are|was) an? (?:\w+ )?(?:no|no go|no no|non starter|mistake|poor (?:choice|idea|option)|recipe for)\b(?! \w+ (?:to"
        r"|for) worry)"
        r"|\b(?:bad|terrible|poor|awful|dangerous|risky|unsafe|hazardous) (?:idea|combination|combo|mix|mixture|match|pair\w*|choice)\b"
        r"|\b(?:advis|recommend|warn|counsel|caution|argu|speak)\w* (?:strongly |clearly |firmly )?against\b"
        r"|\b(?:com(?:e|ing) off|ceas(?:e|ing)|suspend|omit|pause|quit|ditch|skip) (?:D\d+|it\b|this|taking|using|both|them|the (?:drug"
        r"|med|tablet))"
        r"|\btak(?:e|en) (?:him |her |them |you |the patient )?off (?:D\d+|it\b|this)|D\d+ (?:held|withheld|stopped|suspended|paused"
        r"|omitted)\b(?! (?:sudden|abrupt))"
        r"|\b(?:withheld|suspended)\b"
        r"|\bcontraindicated\b|\b(?:is|has|have|forms) an? (?:\w+ )?contraindication\b|\bavoid(?:ing)?\b"
        + OBJECT
        + r"|\bavoid(?:ed|ance)\b"
        r"|\bstop(?:ping)? (?:D\d+|it\b|this|taking|using|both|them|the (?:drug|med|comb|tablet))(?!.{0,40}(?:sudden|abrupt))|\b(?:be"
        r"|is) " + HALTED + r"\b(?! (?:sudden|abrupt))"
        r"|\b(?:discontinue|withhold)\b(?!.{0,40}(?:sudden|abrupt))|\bhold (?:D\d+|it)\b|(?<!a )(?<!not )\bstop\b(?= ?[.;,!]|$)",
    ),
    (
        "avoid",
        "implied",
        r"\b(?:choose|use|pick|find|try|needs?|take|prescribe|given?|offer(?:ed)?|receive|get|ask for|put on|switch(?:ed)? to"
        r"|look for) (?:an? )?(?:other|another|different|alternative|safer"
        r"|something else)\b(?: (?:drug|medicine|medication|painkiller|option|agent|treatment))?"
        r"|\b(?:replace|swap|change) (?:D\d+|it)\b|\bD\d+ (?:should|must) be (?:replaced|changed|swapped)\b",
    ),
    (
        "reduce",
        "",
        r"\b(?:reduc\w+|lower(?:ed|ing)?|halv\w+|cut(?:ting)?|decreas\w+|adjust\w*|limit\w*|cap(?:ped)?|modif\w+|smaller|half"
        r"|low|less|trim\w*|scal(?:e|ed|ing)(?: (?:back|down))?|weaker|quarter|third|too (?:high|large|big|strong)(?: of)?)\b"
        + DOSE_GAP
        + r" (?:dos(?:e|es|age|ing)|strength)\b(?: (?:reduction|adjustment)s?)?"
        r"|\bdos(?:e|es|age|ing)\b" + STEP_GAP + r" (?:(?:com|brought|go|taken|scaled|titrated|dropp|stepp|cut)\w* (?:right "
        r"|back )?(?:down|back)"
        r"|kept low|lower\b|low\b|less\b|trimmed|tapered|too (?:high|much|large))"
        r"|\b(?:cut|scal\w+|dial\w*|trim\w*|bring|take) (?:it |D\d+ |them )?(?:back|down)\b(?! (?:on|to (?:V|normal)))|\bstart(?:ing"
        r"|ed)? (?:\w+ ){0,2}?low\b"
        r"|\bgo(?:ing)? (?:low|slow)\b|\b(?:reduc|lower|cut|decreas)\w*(?: D\d+| it| this| down)* to (?:about )?\d+(?:\.\d+)? ?(?:mg|g"
        r"|mcg|units?)\b"
        r"|\b(?:half|a third|a quarter|two thirds|\d+(?:\.\d+)? ?(?:%|percent)) (?:of )?(?:the |its |your )?(?:usual|normal|standard"
        r"|recommended|full|previous)\b"
        r"|\b(?:reduc|cut|lower|decreas|brought)\w*(?: D\d+| it| this| down)* (?:by|to|in) (?:a |one |about )*(?:half|third|quarter"
        r"|two thirds|\d+ ?(?:%|percent))"
        r"|\bhalf (?:as much|an? tablet|the (?:amount|tablet))\b|\bhalf of (?:it|that)\b|\b(?:usual|full|normal|standard) dos\w+ (?:is"
        r"|are|may be|can be|would be|will be) (?:\w+ )?(?:too|excessive|dangerous|toxic|unsafe|risky)"
        r"|\bnot (?!exceed|go|more)(?:\w+ ){0,4}(?:full|usual|normal|standard) dos\w+|\bdos\w+ (?:\w+ ){0,3}(?:tailored|adapted|matched"
        r")"
        r"|\bdown titrat\w*|\b(?:mg|mcg|dos\w+)\b(?:i\.e\.|[^.;]){0,40} (?:less|lower|smaller) than (?:the )?(?:normal|usual|standard)\b"
        r"|\bdos(?:e|es|age|ing)\b"
        + STEP_GAP
        + r" (?:reduc\w+|lower\w*|halv\w+|cut\b|decreas\w+|adjust\w*|limited|capped|modif\w+|smaller)"
        r"|\b(?:reduc(?:e|ing)|halv(?:e|ing)|cut|lower) (?:D\d+|it)\b",
    ),
    (
        "reduce",
        "dose",
        r"\bcap(?:ped|ping)?(?: D\d+| it| the (?:daily )?dose)?(?: at| to)? " + NUMBER_MG + r"|\b(?:ceiling of|keep (?:\w+ )?(?:to"
        r"|below|under)|not more than|not go (?:above|over)|(?:stay|remain) (?:at or )?(?:below|under|at)|stick to"
        r"|restrict\w*(?: \w+)? to) "
        + NUMBER_MG
        + r"|\b(?:at most|no more than|max(?:imum)?\.?(?: daily| total)?(?: dose)?(?: is| of| ?:)?|limit(?:ed)?(?: D\d+| it)? to|up to"
        r"|not (?:to )?exceed(?:ing)?) "
        + NUMBER_MG
        + "|" + NUMBER_MG + r"[^.;]{0,30} (?:is|are) the (?:most|max\w*|limit|ceiling|upper)\b|\bintervals? (?:\w+ ){0,4}(?:extended"
        r"|lengthened|longer|increased|prolonged"
        r"|widened|doubled|stretched)|\bdoubl\w+ the (?:gap|interval|time)"
        r"|\b(?:need|take|use|give|require)\w* (?:\w+ )?less (?:than (?:usual|normal|others)|of it)"
        r"|\b(?:longer|extend\w*|lengthen\w*|wider|increase(?:d)?)(?: the)?(?: dos\w+)? intervals?|\bevery (?:\d+ to )?(?:36|48"
        r"|72) ?h(?:ours|rs?)?\b|\bq ?(?:36|48|72) ?h\b|\bevery (?:second|third|two|three) days?\b"
        r"|\bonce (?:a day|daily)?,? ?(?:instead of|rather than|not) (?:twice|three|two)"
        r"|\b(?:doses?|it) (?:further|farther|more widely) apart|\bspac(?:e|ed|ing) (?:\w+ ){0,3}(?:out|apart)|\b(?:giv|tak|dos"
        r"|us)\w* (?:\w+ ){0,3}less frequent(?:ly)?\b"
        r"|\balternate days?|\bevery other day|\bless often",
    ),
    (
        "monitor",
        "",
        r"\b(?:with|under|needs?|requires?|use|using|exercise|extra|only with|calls for|warrants)\b(?: (?!or "
        r"|and )\w+){0,4}? (?:monitoring|caution|care|supervision|checks|tests|surveillance|vigilance|watching)\b"
        r"(?! (?:team|home))"
        r"|\b(?:cautiously|carefully)\b|\bcaution\b|\bmonitor (?:it|this|them|him|her)\b|\bcautious\b|\b(?:close|careful"
        r"|regular) monitoring\b|\bmonitoring (?:is|are) (?:\w+ )?(?:needed|required|essential|advised|important|recommended)"
        r"|\bmonitor\w*(?: \w+){0,4}? (?:closely|carefully)\b"
        r"|\b(?:closely|carefully) " + WATCHED + r"|\b(?:if|as long as|provided|while|when|with|so long as)(?: that| the| your"
        r"| you)* (?:" + WATCHED + r" (?:\w+ ){0,2}V\d+|V\d+(?: levels?)?(?: is| are)?(?: \w+ly)? " + WATCHED + r""
        r"|D\d+ (?:levels? )?(?:is|are) (?:\w+ly )?" + WATCHED + ")",
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
        r"|\b(?:fine|ok|okay|all right|compatible) (?:to|together|with|for|at|in|here)\b|(?:^|[,;] ?)(?:that is )?(?:fine|ok|okay)\b"
        r"|\b(?:get|gets) (?:along|on) (?:fine|well)|\bgood to go\b|\bgreen light\b|\bof (?:first )?choice\b",
    ),
    (
        "safe",
        "can",
        r"\b(?:can|may|could)\b(?: (?:also|still|be|safely|usually|continue|keep|to|both|now|normally|just|D\d+|and|you|i"
        r"|they|it|generally|go|on|therefore|your|certainly|should|happily|perfectly|indeed|normally|then|he|she|for)){0,6}? (?:"
        + USED
        + r"|go together|stay on|have (?:D\d+|it|this|that|both)\b)|\bcontinue(?:d)? (?:D\d+|it\b|with|taking|using|as|to (?:use|take)"
        r"|at)|\bkeep (?:taking"
        r"|using|on) \w+|\b(?:you|they|he|she|it|one|both|D\d+) (?:can|may)(?= ?[.,;!]|$)|D\d+ can be(?= ?[.;,!]|$)|\b(?:should|must"
        r"|can|may|to) be (?:continued|maintained)\b|\bgo ahead\b|^(?:it is |that is )?(?:possible|allowed|acceptable|permissible)(?=,"
        r"| but\b| ?[;.!]|$)|\bcarry on\b|\bshould continue\b|\bcontinue\b(?= ?[.;,!]|$)",
    ),
    (
        "deny",
        "",
        r"\b(?:is|are) not(?= ?[.;:,!]|$)|\bbut not (?=(?:with|for|in|at|if|when|together|below|above|under|over)\b)"
        r"|\b(?:that|this|it|which|he|she|they) (?:is|are|was) (?:\w+ )?(?:wrong|false|untrue|nonsense|incorrect|mistaken"
        r"|rubbish)(?= ?[.;:,!]|$)"
        r"|\bquite the (?:opposite|contrary|reverse)\b",
    ),
)
PATTERNS = tuple((decision, how, re.compile(pattern)) for decision, how, pattern in TABLE)
ASK_QUESTION = re.compile(
    r"^(?:\w+ ){0,3}?(?:what|which|how (?:much|many|old|well|far|good|bad|low|high)"
    r"|are you (?!saying|suggesting|asking|claiming|implying|sure|serious|kidding|telling|really)|do you (?!really|think|believe|mean)"
    r"|(?:could|can"
    r"|would) you (?:please )?(?:tell|give|share|say|let|send|provide|check)|have you|is (?:the|she|he|your)|may i)\b"
)


def find_phrases(text: str) -> list[Phrase]:
    """Decision phrases of one masked sentence, left to right; what one pattern consumed no later pattern sees. "deny" turns round what was
    said before it ("..., ibuprofen is not")."""
    found = [Phrase("reduce", "", start, end) for start, end in lowered_doses(text)]
    for phrase in found:
        text = text[: phrase.start] + "~" * (phrase.end - phrase.start) + text[phrase.end :]
    for decision, how, pattern in PATTERNS:
        hits = list(pattern.finditer(text))
        for hit in hits:
            found.append(Phrase(decision, how, hit.start(), hit.end()))
        for hit in hits:
            text = text[: hit.start()] + "~" * (hit.end() - hit.start()) + text[hit.end() :]
    return sorted((phrase for phrase in found if phrase.decision != "none"), key=lambda phrase: phrase.start)
