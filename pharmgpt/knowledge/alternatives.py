"""Drugs that a sentence offers instead of others, or says are no replacement: "use linagliptin instead of metformin".

An offer of the very drug asked for is no alternative but a permission ("use metformin"). Patterns are over masked text (see lexicon.py);
what is read as an offer is blanked out, so that "linagliptin can be used instead" is not read as a decision as well.
"""

import re
from typing import TYPE_CHECKING

from pharmgpt.knowledge.numbers import read_numbers
from pharmgpt.knowledge.speech import EMBEDDED, HYPOTHETICAL, REVERSED

if TYPE_CHECKING:
    from pharmgpt.knowledge.reading import Claim, Sentence

ONE = r"(?:also |an? |the |your |low dose |short courses? of |oral |topical |plain |simple |even )*"
DRUG = r"D\d+(?: ?\([^()]{1,40}\))?"
DLIST = (
    r"(" + DRUG + r"(?:(?: ?, ?(?:or |and )?| or | and | / | or possibly | or else | (?:and|or),? (?:for|in|at|if|with)(?: [a-z]+){1,4}, )"
) + (ONE + DRUG + r")*)")
DOES = r"(?: (?:needs?|does|do|requires?|has|works?|carries|stays?|belongs?)(?: [\w~]+){1,9}?,? (?:and|so|but))?"  # "needs no change and"
BE = r"(?:is|are|would be|may be|could be|can be|might be|makes?|would make|seems?|remains?|works? as|serves? as)"
REPLACED_BY = r"(?:replaced|swapped|substituted|exchanged|changed|switched)"
ALTERNATIVES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<!not )(?<!no )\b(?:alternatives?|(?:other|safer|better) (?:options?|choices?))(?: (?!to\b|not\b)\w+){0,4}?"
        r"(?: to (?:D\d+|it|them|this|that|both)(?: and D\d+)*)?(?:(?: here| then"
        r"| for \w+)? (?:is|are|include|includes|would be|might be|could be|such as|like)|:| ?,)? ?(?:an? |the |to use |for example "
        r"|e\.g\. )?" + DLIST,
        DLIST
        + DOES
        + " "
        + BE
        + r" (?:also |often |usually |generally )?(?:an? |the |one )?(?:(?!not\b|no\b|never\b"
        r"|hardly\b)\w+ ){0,3}?(?:alternatives?|options?|choices?|preferred|preferable|safer|better|substitutes?|replacements?|gentler"
        r"|one to (?:choose|use|take|pick|have)|way to go)\b",
        r"\b(?:options?|choices?|substitutes?|replacements?)(?: \w+){0,3}? (?:is|are|would be|include|includes):? " + DLIST,
        r"\b(?:instead of|rather than|in place of) (?:the |your )?D\d+(?: (?:and|or) D\d+)*,?(?: \w+){0,3}? " + DLIST,
        DLIST + r" ?,? (?:rather than|instead of|in place of) (?:the |your )?~+",
        r"\bother than (?:the )?~+ ?,? ?\(?(?:e\.g\.|i\.e\.|such as|like|for example|for instance|including),? " + DLIST,
        r"\b(?:instead|alternatively|options?|substitutes?|replacements?|safer|try) ?[:,;] ?" + ONE + DLIST,
        REPLACED_BY + r"(?: \w+)? (?:by|with|for|to) " + ONE + DLIST,
        r"(?<!not )(?<!never )(?<!or )(?<!you )(?<!they )(?<!who )(?<!patients )(?<!people )\b(?:us(?:e|ing)|take|try|choos(?:e|ing)"
        r"|prefer|give|consider(?:ing)?|switch(?:ing)?(?: \w+"
        r"| D\d+){0,3}? to|chang(?:e|ing)(?: \w+| D\d+){0,3}? to|replac(?:e|ing)(?: \w+| D\d+){1,3} (?:with|by)"
        r"|swap(?:ping)?(?: \w+| D\d+){0,3}? for|substitut(?:e|ing)(?: \w+| D\d+){0,3}? (?:with|by)|pick|go for|prescribe|opt for"
        r"|think of|stick (?:to|with)"
        r"|ask (?:\w+ ){0,4}about|suggest|recommend|start|reach for|turn to|offer"
        r"|move(?: \w+){0,2} to)"
        r"(?: (?!not)(?:an? |the )?\w+){0,2}? " + DLIST + r"(?: instead| in its place)?",
        DLIST + r" (?:will|would) (?:do|serve|suit|fit)\b",
        DLIST + DOES + r" (?:can|could|may|might|should|would|will)? ?(?:also )?(?:be )?(?:used|taken|considered|given|tried|chosen"
            r"|substituted"
        r"|preferred|work)?(?: as| for)? ?(?:instead|in its (?:place|stead)|as an? (?:\w+ )?(?:alternative|substitute|replacement)"
        r"|takes? (?:the|its) place|replaces? (?:it|D\d+)|stands? in\b)",
        r"^(?:then |perhaps |maybe |e\.g\. )?" + DLIST + r"(?: instead| perhaps| maybe| then)? ?[.!]?$",
    )
)
NEGATED = tuple(
    re.compile(pattern)
    for pattern in (
        DLIST + r" (?:is|are|would be|makes?)(?: also| therefore)? (?:not|no|hardly)(?: an?| the| any)? (?:\w+ )?"
        r"(?:alternative|substitute|replacement|better|safer|preferred|option|choice|answer)\b",
        r"\bneither (D\d+(?: ?, D\d+)* (?:nor|or) D\d+) (?:is|are|would be|makes?)(?: an?| the| any)? (?:\w+ )?"
        r"(?:alternative|substitute|replacement|better|safer|option|choice|answer)\b",
        r"\b(?:not|never) (?:be )?(?:switch\w*|chang\w+|swap\w*|mov\w+|replac\w+)(?: \w+| D\d+){0,3}? (?:to|for|with|by) " + DLIST,
    )
)
OFFSET = r"(?:instead of|rather than|in place of|the place of|other than|alternatives? (?:to|for)|(?:substitutes?|replacements?) for|than"
LESS_BAD = re.compile(
    r"\b" + OFFSET + r"|prefer\w* (?:to|over)|(?:choose|chosen|favou?red)(?: \w+| D\d+){0,2}? over) (?:the |your )?(D\d+)"
)
REPLACED = re.compile(
    r"(?<!can )(?<!could )(?<!may )(?<!might )\b(?:instead of|rather than|in place of|replac(?:e|ing)|swap(?:ping)?|substitut(?:e|ing)"
    r"|exchang(?:e|ing)|switch(?:ing)?(?: \w+)? from|chang(?:e|ing)(?: \w+)? from|mov(?:e|ing)(?: \w+)? from) (?:the |your |this )?(D\d+)"
    r"|switch(?:ing)? (?:the |your )?(D\d+) (?:to|for)\b|(D\d+) (?:should|must|has to|needs to|ought to|is to) be (?:replaced|swapped"
    r"|substituted|exchanged|switched)"
)


def read_offers(sentence: "Sentence") -> tuple[list["Claim"], str]:
    """Claims about replacements, and the sentence with the offers blanked out; `sentence.replacing` learns which drugs were offered."""
    text = sentence.text
    claims = _out_of_place(sentence)
    replaced = tuple(sentence.names[hit.group(1)] for hit in LESS_BAD.finditer(text))
    for hit in LESS_BAD.finditer(text):
        text = blank(text, hit.start(1), hit.end(1))
    for pattern in NEGATED:
        for hit in pattern.finditer(text):
            drugs = sentence.drugs_of(hit.group(1))
            if not set(drugs) & set(sentence.about):
                claims += [sentence.claim("alternative", drug, sentence.subject, negated=True) for drug in drugs]
                text = blank(text, hit.start(), hit.end())
    denied = REVERSED.search(text) is not None
    for pattern in ALTERNATIVES:
        for hit in list(pattern.finditer(text)):
            drugs = sentence.drugs_of(hit.group(1))
            supposed = HYPOTHETICAL.match(text[: hit.end()]) and "," not in text[: hit.start()]  # "if you take D0", not "if need be, D0"
            if set(drugs) & set(sentence.about) or EMBEDDED.search(text[: hit.start()]) or supposed:
                claims += _endorsed(sentence, hit, drugs)
                continue
            sentence.replacing.update(re.findall(r"D\d+", hit.group(1)))
            claims += [sentence.claim("alternative", drug, replaced or sentence.about, negated=denied) for drug in drugs]
            text = blank(text, hit.start(), hit.end())
    return claims, text


def blank(text: str, start: int, end: int) -> str:
    return text[:start] + "~" * (end - start) + text[end:]


def _out_of_place(sentence: "Sentence") -> list["Claim"]:
    """ "Replace metformin with ...", "instead of metformin": what is replaced is to be avoided, if nothing else is said of it."""
    drugs = tuple(sentence.names[name] for hit in REPLACED.finditer(sentence.text) for name in hit.groups() if name)
    return [sentence.claim("decision", "avoid", drugs, how="implied")] if set(drugs) & set(sentence.about) else []


def _endorsed(sentence: "Sentence", hit: re.Match, drugs: tuple[str, ...]) -> list["Claim"]:
    """ "Use metformin" in an answer about metformin."""
    text = sentence.text
    if EMBEDDED.search(text[: hit.start()]) or HYPOTHETICAL.match(text) or re.fullmatch(r"D\d+ ?[.!]?", text):
        return []
    permits = re.search(
        r"\b(?:use|take|give|start|prescribe|go for|choose|try|stick|option|choice|preferred|safer|better|gentler)\b", hit.group()
    )
    negated = re.search(
        r"\b(?:not|never|before|avoid|who|people|you|they|to|can|may|could|must|should)(?: \w+)? ?$", text[: hit.start()]
    )
    if re.search(r"\b(?:alternative|substitute|replacement)s?\b", hit.group()):
        return [sentence.claim("alternative", drug, sentence.about) for drug in drugs]
    if permits and not negated and not re.match(r" (?:can|may|should|must|is|are)", text[hit.end() :]):
        return [sentence.claim("decision", "safe", drugs, how="can", when=sentence.guards(0, len(text), read_numbers(sentence.masked)))]
    return []
