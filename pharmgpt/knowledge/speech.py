"""Whose words a clause is: the answer's own, somebody else's ("my cousin says it is fine"), a myth, an open or an answered question.

What others say is not claimed, but it can be denied afterwards: "A friend says it is safe; it is not." The same holds of a question that is
put and answered: "Safe? Not at all."
"""

import re

HYPOTHETICAL = re.compile(r"^(?:but |and |so |however,? )?(?:if|when|should you|in case)\b")
EMBEDDED = re.compile(
    r"\b(?:whether|not sure|not certain|unsure|unclear|uncertain|wonder\w*|ask(?:ed|ing)? (?:me )?if|(?:hard|difficult|impossible) to"
    r" (?:say|tell|know)(?: (?:if|that))?)\b[^,;.]*$"
)
REVERSED = re.compile(
    r"\b(?:not (?:true|the case|correct|right|accurate)|untrue|false|wrong|incorrect|mistaken|nonsense|(?:myth|misconception|rumou?r|error"
    r"|mistake|misunderstanding))(?: to (?:say|think|claim|believe|assume|conclude|suggest))?(?: that)?\b[^,;:.]*$"
)
REVERSE = {"avoid": "safe", "reduce": "safe", "safe": "avoid", "monitor": "safe"}
LAYMEN = (
    r"(?:some|many|most|people|others?|everyone|someone|somebody|friends?|cousin|neighbou?r|sister|brother|mum|mom|mother|father|dad|aunt"
    r"|uncle|colleague|blog(?:ger)?s?|forums?|websites?|internet|facebook|youtube|tiktok|reddit|influencers?|newspapers?|rumou?rs?)"
)
SAYING = (
    r"(?:think|thinks|say|says|said|believe|believes|claims?|claimed|thought|assume|assumes|told|tells|swears?|wrote|writes"
    r"|insists?|has it)"
)
UNTIL_THEY_END = (
    r"\b[^;]*?(?=;|\b(?:but|however)\b|, (?:you|it|avoid|do not|that|this|in fact|actually|nevertheless|D\d+ (?:is|should|must|can))\b|$)"
)
REPORTED = re.compile(
    r"\b" + LAYMEN + r"\b(?: (?!should\b|must\b|can\b|may\b|not\b|need\b)\w+){0,6}? " + SAYING + UNTIL_THEY_END
    + r"|\baccording to (?:\w+ ){0,3}?" + LAYMEN + UNTIL_THEY_END
    + r"|\bit is (?:often|sometimes|widely|commonly) (?:\w+ )?(?:thought|said|assumed|believed|claimed)" + UNTIL_THEY_END
    + r"|\"[^\"]*\" ?,? (?:" + SAYING + r"|is what)\b(?: \w+){0,4}"
)
DENIES = re.compile(
    r"^(?:but |well,? |and )?(?:it|they|that|this|which|he|she|there)(?: combination)? (?:(?:is|are|does|do|was) not(?= ?[.;:,!]|$)"
    r"|(?:is|was) (?:\w+ )?(?:wrong|false|untrue|nonsense|incorrect|mistaken|rubbish|a myth|not (?:true|so|right|correct|the case))\b)"
)
YES = re.compile(r"^(?:yes|yep|yeah|indeed|correct|right|exactly|it is|they are)\b(?=[ ]*[.,!;:]|[ ]*$)")
NO = re.compile(
    r"^(?:no|nope|never|no way|not at all|not really|absolutely not|certainly not|definitely not|by no means|(?:quite "
    r"|on )?the (?:opposite|contrary|reverse)|far from it|hardly"
    r"|(?:i am )?afraid not|(?:sadly|unfortunately|alas),? not?|on no account"
    r"|under no circumstances)\b(?=[ ]*[.,!;:]|[ ]*$)"
)


def reported_spans(text: str) -> list[tuple[int, int]]:
    """The stretches of a masked sentence that are other people's words."""
    return [hit.span() for hit in REPORTED.finditer(text)]
