"""What the words before a term make of it: denied ("no risk of ..."), treated ("used for ..."), or watched ("check ...").

All patterns are over masked text (see lexicon.py) up to the term.
"""

import re

DENIED = re.compile(
    r"(?:\bno(?:r)?(?: (?!because|due|as|since|so|but|and|doubt|longer)[\w']+){0,4}|\bneither(?: \w+){0,2}|\bwithout(?: (?!because|due"
    r"|but|and)\w+){0,3}"
    r"|\bfree (?:of|from)(?: \w+){0,2}|\bnot (?:an? |the |any |in any |of |about |by |for |from )?"
    r"|\b(?:not|never|neither)(?: (?:be )?\w+ly)? (?:caus|lead|increas|rais|carr|associated|linked|produc|result|affect|worsen|trigger"
    r"|a risk|pose|have|bring|risk|known|expected|likely|induc|provok|prolong|slow|depress|contain|belong|used for|meant for"
    r"|licensed for|indicated for|to blame)\w*(?: (?!because|due|but)\w+){0,5}"
    r"|\b(?:low|lower|less|little|reduc(?:es|ed)|lowers|smaller|minimal)(?: (?:the|its|a|your))?(?: (?:risk|chance|rate"
    r"|likelihood))(?: of)?(?: \w+)?|\bunlikely to(?: \w+){1,3}"
    r"|(?<!to )\b(?:prevents?|protects?)(?: (?:against|from|the|you))*|\brul(?:es?|ed) out(?: \w+)?|\brather than"
    r"|\bless(?: likely to cause)?) ?$"
)
NOT_DENIED = re.compile(
    r"\b(?:not (?:without|free|unlikely|uncommon|rare)|no (?:doubt|wonder)|not only|cause of|can not be (?:ruled out|excluded))\b"
)
DENIED_AFTER = re.compile(
    r"^(?:(?:,| and| or) V\d+)* (?:(?:is|are|was|has|have)(?: \w+ly)? not (?:be |been )?(?:(?:an?|one|to|of|its|the|known|recogni[sz]ed"
    r"|listed"
    r"|common|particular|real|major|feature|usual) )*(?:effects?|risks?|problems?|concerns?|worr\w+|issues?|harms?|features?|known|expected"
    r"|seen|caused|reported|associated|linked|due|likely|observed|described|recogni[sz]ed|listed|there)\b"
    r"|(?:is|are) (?:very |highly |most )?unlikely\b|(?:does|do|will|should) not (?:occur|happen|arise|follow|develop|result)\b)"
)
TREATS = re.compile(
    r"\b(?:used|indicated|prescribed|given|taken|licensed|approved|drug|medicine|treatment|works?|helps?|relieves?|remedy) "
    r"(?:for|to treat|in|of|against)(?: \w+){0,2} ?$|\b(?:treats?|treating|treat|relieves?|treatment of)(?: \w+){0,2} ?$"
    r"|V\d+ (?:\w+ )?(?:for|against)(?: (?!develop|get|hav|becom)\w+)? ?$"
)
USED_IN = re.compile(  # "should not be used in asthma", "can be used in asthma": a condition, no indication
    r"\b(?:not|never|no|can|may|could|should|must|avoid\w*|safely|cautio\w+|better|best|nobody|none)\b[^,;]*"
    r"\b(?:used|given|taken|prescribed|works?) in(?: \w+){0,2} ?$"
)
COORDINATED = re.compile(r"(?:V\d+(?: ?,? (?:and|or) | ?, ?)(?:(?:for|of|with|in|by|sometimes|even|also|the|an?) )*)+$")
CHECKING = (
    r"(?:monitor|(?:re)?check|watch|measur|test|follow|track|observ|review|record|examin|assess|screen|supervis|look out|look for"
    r"|keep an eye|keep a (?:close|careful|sharp) (?:eye|watch)|surveil|keep track|ask about|enquire about)"
)
WATCH = re.compile(r"\b(?:" + CHECKING + r"\w*|regular\w*|repeat\w*|control(?:s|led)? (?:of|for)|bloods|blood tests?)\b")
OFTEN = re.compile(
    r"\b(?:every (?:(?:few|other|\d+|\d+ to \d+|two|three|four|six|twelve|couple of) )?(?:weeks?|months?|years?|visit)|every \d+ days"
    r"|weekly|monthly"
    r"|(?:once|twice|\d times) (?:a|every|per) (?:week|month|year)|yearly|quarterly|annual\w*|periodic\w*|at (?:baseline|each visit)"
    r"|before (?:starting|treatment|you start|each))\b"
)
TAKEN = re.compile(r"\b\d+(?:\.\d+)? ?(?:mg|mcg|g|units?)\b|\b(?:dos|tak|inject|shot|giv|tablet"
    r"|capsule)\w*")  # "every week" then is how a drug is taken
NOT_WATCHED = re.compile(
    r"\b(?:no|not|without|never)(?: (?:need|necessary|routine|special|extra|required|requires?|to|be|any|regular|have|having|get|your"
    r"|the|an?"
    r"|for|call|V\d+|\w+ly))* (?:monitor|(?:re)?check|test|watch|measur)\w*"
)
WATCHED_AFTER = re.compile(
    r"^(?:(?:,| and| or) (?:an? |the )?V\d+)*(?: \w+s?)? (?:(?:is|are|has to be|have to be|needs? to be|should be|must be|ought to be"
    r"|to be)"
    r" (?:\w+ly )?(?:done|needed|required|recommended|taken|obtained|advised|mandatory|performed|essential|advisable"
    r"|tested)(?! for (?:normal|healthy|growth|f(?:o)?etal))"
    r"|(?:is|are) (?:a must|in order)|due\b(?! to)|needs? (?:doing|" + CHECKING + r"ing))"
)
UNWATCHED_AFTER = re.compile(
    r"^(?:(?:,| and| or) V\d+)*(?: \w+)? (?:(?:is|are|does|do|need) not (?:be |need )?(?:to be )?(?:\w+ly )?(?:needed|required|necessary"
    r"|recommended|called for|" + CHECKING + r")|(?:is|are) (?:unnecessary|superfluous|pointless))"
)
BEFORE_NUMBER = re.compile(
    r"^(?: (?:is|of|cut off|threshold|limit|below|above|under|over|at|least|minimum|must|should|be|has|falls?"
    r"|drops?|value|or))* ?\d|^ (?:cut off|threshold|limit)"
)
WATCHED_AS = {
    "bleeding": "bleeding_signs",
    "gi_bleeding": "bleeding_signs",
    "hypotension": "blood_pressure",
    "hypertension": "blood_pressure",
    "hypoglycaemia": "blood_glucose",
    "hyperglycaemia": "blood_glucose",
    "hyperkalaemia": "potassium",
    "hypokalaemia": "potassium",
    "hyponatraemia": "sodium",
    "respiratory_depression": "breathing",
    "qt_prolongation": "ecg",
    "bradycardia": "heart_rate",
    "liver_injury": "liver_tests",
    "lithium_toxicity": "drug_level",
    "digoxin_toxicity": "drug_level",
    "sedation": "breathing",
    "acute_kidney_injury": "egfr",
    "serotonin_syndrome": "serotonin_signs",
}


def is_watched(text: str, after: str) -> bool:
    """Is something in this sentence checked, or the term before `after` said to be needed?"""
    return bool(WATCH.search(text) or WATCHED_AFTER.match(after) or OFTEN.search(text) and not TAKEN.search(text))


def uncoordinated(before: str) -> str:
    """The words before a list's first term, which govern all of it: "no risk of V1, V2 or" → "no risk of "."""
    return COORDINATED.sub("", before)


def is_denied(before: str, after: str = "") -> bool:
    """Is the term between these words said not to happen? "Not without risk of" affirms it."""
    if NOT_DENIED.search(before):
        return False
    return DENIED.search(before) is not None or DENIED_AFTER.match(after) is not None


def is_treated(before: str) -> bool:
    """Is the term that follows these words what the drug is for?"""
    return TREATS.search(before) is not None and USED_IN.search(before) is None
