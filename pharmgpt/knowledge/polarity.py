"""What the words before a term make of it: denied ("no risk of ..."), treated ("used for ..."), or watched ("check ...").

All patterns are over masked text (see lexicon.py) up to the term.
"""

import re

DENIED = re.compile(
    r"(?:\bno(?:r)?(?: (?!because|due|as|since|so|but|and|doubt|longer)[\w']+){0,4}|\bwithout(?: (?!because|due|but|and)\w+){0,3}"
    r"|\bfree (?:of|from)(?: \w+){0,2}|\bnot (?:an? |the |any |in any |of |about |by |for )?"
    r"|\b(?:not|never|neither)(?: \w+ly)? (?:caus|lead|increas|rais|carr|associated|linked|produc|result|affect|worsen|trigger|a risk"
    r"|pose|have|bring|risk|known|expected|likely)\w*(?: (?!because|due|but)\w+){0,5}"
    r"|\b(?:low|lower|less|little|reduc(?:es|ed)|lowers|smaller|minimal)(?: (?:the|its|a|your))?(?: (?:risk|chance|rate"
    r"|likelihood))(?: of)?(?: \w+)?|\bunlikely to(?: \w+){1,3}"
    r"|(?<!to )\b(?:prevents?|protects?)(?: (?:against|from|the|you))*|\brul(?:es?|ed) out(?: \w+)?|\brather than"
    r"|\bless(?: likely to cause)?) ?$"
)
NOT_DENIED = re.compile(r"\b(?:not (?:without|free|unlikely)|no (?:doubt|wonder)|not only|cause of|can not be (?:ruled out|excluded))\b")
TREATS = re.compile(
    r"\b(?:used|indicated|prescribed|given|taken|licensed|approved|drug|medicine|treatment|works?) (?:for|to treat|in"
    r"|of)(?: \w+){0,2} ?$|\b(?:treats?|treating|treat)(?: \w+){0,2} ?$"
)
WATCH = re.compile(
    r"\b(?:monitor|check|watch|measur|test|follow|track|recheck|observ|review|regular|repeat|look out|look for|keep an eye"
    r"|surveil|control(?:s|led)? (?:of|for)|keep track)\w*\b"
)
NOT_WATCHED = re.compile(
    r"\b(?:no|not|without|never)(?: (?:need|necessary|routine|special|extra|required|to|be|any|regular"
    r"|V\d+))* (?:monitor|check|test|watch|measur)\w*"
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


def is_denied(before: str) -> bool:
    """Is the term that follows these words said not to happen? "Not without risk of" affirms it."""
    return DENIED.search(before) is not None and NOT_DENIED.search(before) is None
