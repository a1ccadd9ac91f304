"""Which sentences of an answer are unfinished, garbled or repeated, which have a function without a claim, and which name what is no drug.

Simple rules on purpose: a reader must be able to say why a sentence lost. Word salad is a doubled word, words that cannot meet ("the is",
"can of"), a dangling last word, or six and more words without a verb or almost without function words (heaped keywords).
"""

import re
from functools import lru_cache

from pharmgpt.knowledge.context import unknown_names
from pharmgpt.knowledge.lexicon import lexicon_of
from pharmgpt.knowledge.schema import KnowledgeBase

BROKEN = ("unfinished", "garbled")  # reasons for which a sentence is not read
DANGLING = re.compile(
    r"\b(?:a|an|the|of|and|or|is|are|was|with|to|for|in|on|at|be|not|can|if|than|from|by|because|your|its|should|must"
    r"|may|below|above|as|so|but|no|very)\W*$"
)
DOUBLED = re.compile(r"\b(?!that\b|had\b|very\b)([a-z]+) \1\b|\b(\w+ \w+ ?\w*) \2\b|\b([DV]\d+) ([DV]\d+) ([DV]\d+)\b")
COLLISION = re.compile(
    r"\b(?:(?:a|an|the) (?:is|are|of|and|or|to|can|be|below|above|it|the|a|avoid|should)|(?:is|are) (?:is|are|can|has|have|of|should|must"
    r"|do)|(?:of|with|for) (?:is|are|can|and|of|or|should)"
    r"|(?:from|by|in|at) (?:can|is|are|of|should|and)|be (?:this|that|of|and|can|should)|(?:can|should|must) (?:is|are|has|the|of|a|an"
    r"|with|for|to|in|\d+)|(?:and|or) (?:and|or|of|is)|it (?:it|the|a)|not not)\b"
    r"|\b(?:the|a|an|of|is|are|with|to|your) ?[.,;:]"
)
STARTER_WITHIN = re.compile(
    r"[a-z] (?:Get|This|That|The|Avoid|Can|Is|It|They|Reduce|Use|Do|Check|A|An|In|No|Call|Stop|With|Not|Are" r"|Should|Must)\b"
)  # cases of letters shuffled
VERB = re.compile(
    r"\b(?:eas(?:e|es|ing)|reliev\w*|brings?|suggests?|divides?|stands?|clash\w*|leave|compare\w*|list(?:s|ed)?|shows?|acts?|acting"
    r"|relax\w*|widen\w*|rises?|drops?|falls?|occurs?"
    r"|happens?|clears?|cleared|pass(?:es)?|find|found|say|says|set|sets|eases|counts?|matters?|includes?|beats?|builds?|feel|feels|want"
    r"|wants|puts?|holds?)\b|"
    r"\b(?:is|are|was|were|be|been|am|has|have|had|can|could|may|might|shall|should|must|will|would|do|does|did|need|needs"
    r"|avoid\w*|us(?:e|es|ed|ing)|tak(?:e|es|en|ing)|giv(?:e|es|en)|"
    r"stop\w*|start\w*|continu\w*|monitor\w*|check\w*|watch\w*|measur\w*|test\w*|call\w*|ask\w*|tell\w*|see|seek\w*|get|go"
    r"|reduc\w*|lower\w*|halve\w*|adjust\w*|cut|caus\w*|rais\w*|increas\w*|"
    r"decreas\w*|lead\w*|interact\w*|depend\w*|consider\w*|switch\w*|choos\w*|try|combin\w*|mix\w*|help\w*|know\w*"
    r"|answer\w*|mean\w*|make\w*|keep\w*|let|contact\w*|consult\w*|talk\w*|speak\w*|contraindicated|"
    r"recommended|replace\w*|treat\w*|inhibit\w*|block\w*|lies|falls|add\w*|affect\w*|worsen\w*|prevent\w*|carr(?:y|ies)"
    r"|withhold\w*|discontinue\w*|thank\w*|share\w*|provide\w*|prefer\w*|works?|builds?|"
    r"accumulat\w*|prolong\w*|slow\w*|harm\w*|damag\w*|report\w*|remain\w*|stay\w*|look\w*|follow\w*|say\w*|require\w*"
    r"|accept\w*|involve\w*|come\w*|like|enjoy\w*|wait\w*|drink\w*|eat\w*|became|think\w*|thins?|seems?)\b"
)
FUNCTION_WORDS = frozenset("""
a an the is are was be been can could may might should must will would do does did not no and or but if so because with without of for to
in on at by from as than it its this that they them these your you i my we their there below above between under over has have before
after when which who how instead only also then too both all any more most very up out about into until unless while since either such
what
""".split())
FUNCTION = re.compile(
    r"\b(?:ask|talk|speak|tell|consult|contact|see|check|discuss|inform|let|call|confirm)\b.*\b(?:doctor|pharmacist|prescriber|nurse|team"
    r"|gp|clinic|midwife|physician|professional|specialist|surgeon|dentist|clinician|provider)s?\b"
    r"|\b(?:doctor|pharmacist|prescriber|specialist)s? (?:can|should|will|may|must)\b|\bnot (?:a )?(?:substitute for )?(?:medical"
    r"|professional) advice\b|\b(?:sorry|thank you|thanks|hello|you are welcome|of course|good question)\b"
    r"|^(?:yes|no|it depends|certainly|absolutely|sure|okay|ok|definitely)\b ?[.!,]*$|\bdo not wait\b|\bseek help\b|\bhelp is available\b"
    r"|\bdo not (?:start|change|stop|take)\b.*\b(?:own|suddenly|abruptly|first|without)\b|\bin my handbook\b"
    r"|\bif (?:you|someone|anyone|symptoms|in doubt)\b|\b(?:take|bring|keep|have) the (?:pack|box|bottle|packet)\b|\b(?:stay"
    r"|remain) (?:calm|with)\b|\bplease\b.*\b(?:check|tell|ask|call|read)\b|\bread the (?:leaflet|label)\b"
    r"|\b(?:reason|risk|danger|concern|effect|level|dose|clearance|kidneys?|liver|blood|interact\w*|cut ?off|breakdown|enzyme)\b.*[DV]\d"
    r"|[DV]\d.*\b(?:reason|risk|levels?|dose|clear\w*|kidneys?|liver|blood|broken down|enzyme|effect|removed|excreted|build)\b"
    r"|\b(?:both|each|these|two|the)\b.*\b(?:drugs?|medicines?|tablets?)\b.*\b(?:risk|blood|liver|kidneys?|enzyme|levels?|effect)"
)

OFFERED = re.compile(
    r"\b(?:use|try|consider|switch to|replaced? (?:it )?(?:with|by)|alternatives? (?:is|are|include)|take"
    r"|or) ([a-z]{6,})(?= instead| can| is| or\b| and\b| ?[.,;]|$)"
    r"|^([a-z]{6,})(?= (?:is|would be|can be|may be) (?:an? |the )?(?:\w+ )?(?:alternative|option|choice|used instead))"
)


def broken_sentences(kb: KnowledgeBase, sentences: tuple[str, ...], ended: bool) -> dict[int, str]:
    """Sentence number → unfinished, garbled or repeated."""
    broken: dict[int, str] = {}
    seen: list[frozenset[str]] = []
    for at, sentence in enumerate(sentences):
        last = at == len(sentences) - 1
        closed = sentence.rstrip("\"')").endswith((".", "!", "?", ":"))
        if last and not closed:  # an answer that reached its end token is read all the same
            broken[at] = (
                "no full stop" if ended and not DANGLING.search(sentence.lower()) and not is_garbled(kb, sentence) else "unfinished"
            )
        elif is_garbled(kb, sentence):
            broken[at] = "garbled"
        else:
            words = frozenset(re.findall(r"[a-z]+|\d+", sentence.lower()))
            if any(_alike(words, other) for other in seen):
                broken[at] = "repeated"
            seen.append(words)
    return broken


def _alike(a: frozenset[str], b: frozenset[str]) -> bool:
    """The same words but for one in eight; numbers must agree."""
    same_numbers = {word for word in a if word.isdigit()} == {word for word in b if word.isdigit()}
    return bool(a) and same_numbers and len(a & b) / len(a | b) > 0.875


@lru_cache(maxsize=20_000)
def is_garbled(kb: KnowledgeBase, sentence: str) -> bool:
    """Word salad, by the rules of the module's docstring."""
    if not re.search(r"[A-Za-z]", sentence):
        return True
    text = lexicon_of(kb).mask(sentence).text
    if STARTER_WITHIN.search(sentence):
        return True
    if (
        DOUBLED.search(text)
        or COLLISION.search(text)
        or DANGLING.search(text)
        and not re.search(r"\b(?:is|are|be|so|not|in|on|for|to" r"|with|no|can|should|may|must)\W*$", text)
    ):
        return True
    words = re.findall(r"[DV]\d+|[a-z']+|\d+", re.sub(r"([DV])\d+(?:(?:,| and|,? or) \1\d+)+", r"\g<1>0", text))
    if len(words) < 6:
        return False
    return not VERB.search(text) or sum(word in FUNCTION_WORDS for word in words) / len(words) < 0.1


def has_function(kb: KnowledgeBase, sentence: str, prompt: str) -> bool:
    """A sentence without a claim that still has its place: a referral, a courtesy, an explanation of how a drug acts."""
    masked = lexicon_of(kb).mask(sentence)
    return FUNCTION.search(masked.text) is not None


def unsaid_name(kb: KnowledgeBase, sentence: str, prompt: str) -> str | None:
    """A name like a drug's, or in the place of one that is offered, that is none; the question's own words are free."""
    return next((name for name in unknown_names(kb, sentence, OFFERED) if name not in prompt.lower()), None)
