"""Text → sentences → vocabulary: the words of a knowledge base found in prose, in one pass over a trie of token sequences.

A sentence is normalised (lower case, contractions opened, hyphens and units removed) and every drug and vocabulary term is masked by a
placeholder: `D0` for the first drug, `V1` for the next vocabulary term. Patterns for decisions, comparisons and alternatives are then
written over masked text, once, for every drug and every effect.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from pharmgpt.knowledge.names import misspelt
from pharmgpt.knowledge.schema import KnowledgeBase

VOCABULARIES = {"effect": "effects", "parameter": "parameters", "condition": "conditions", "class": "classes"}
ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|vs|dr|approx|st|max|incl|cf|esp|resp)\.$", re.IGNORECASE)
SCHEDULE = re.compile(r"\b(?:[bot]\.?d|[bt]\.d\.s|[bqt]\.i\.d|p\.o|i\.v|s\.c|i\.m|p\.r\.n|min|hrs?|wk|tabs?)\.$", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?!(?<=\s[A-Z]\.\s)[a-z])|\n+")  # "C. difficile" is no end
TOKEN = re.compile(r"[a-z][a-z0-9']*|\d+(?:\.\d+)?")

CAPITALS = re.compile(r"\b[A-Z]\w?[A-Z]{1,5}\b")
ALSO_WORDS = frozenset("aids als cab dress ed hit lama muse pad prep".split())  # abbreviations that count only in capitals
DIRECTIONS = frozenset("to below under beneath between within into in short from behind away off outside by on back asleep ill".split())

DRUG_ENDINGS = (
    r"pril|sartan|statin|mycin|oxacin|[az]ole|olol|gliptin|gliflozin|formin|parin|xaban|cillin|cycline|tidine|setron|triptan"
    r"|[ui]mab|[at]inib|vir|pine|zine|zepam|zolam"
    r"|barbital|caine|dronate|fibrate|glitazone|lukast|thiazide|terol|sone|solone|profen|fen|coxib|tabine|platin|amide|mide"
    r"|stat|rol|tab|lane|dium|gol|tin|mine|done|pam"
)
DRUG_LIKE = re.compile(f"(?:{DRUG_ENDINGS})$")  # how names of drugs end, ours and others

REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[’‘`´]", "'"),
        (r"[“”]", '"'),
        (r"\bcan ?'?t\b|\bcannot\b", "can not"),
        (r"\bwon'?t\b", "will not"),
        (r"\b(do|does|did|is|are|was|were|should|could|would|must|need|might|ought|have|has)n'?t\b", r"\1 not"),
        (r"\b(it|that|this|what|there|here|he|she)'s\b", r"\1 is"),
        (r"\bi'm\b", "i am"),
        (r"'re\b", " are"),
        (r"'ve\b", " have"),
        (r"'ll\b", " will"),
        (r"'d\b", " would"),
        (r"'s\b", ""),
        (r"\bml ?(?:/|per) ?min(?:ute)?(?: ?(?:/|per) ?1\.73 ?m(?:²|2|\^2)?)?", ""),
        (r"(?<=\d),(?=\d{3}\b)", ""),
        (r"\bw/o\b", "without"),
        (r"\bw/", "with "),
        (r"½", " half "),
        (r"\bcontra[- ]indicat", "contraindicat"),
        (r"≥|>=|=>", " at least "),
        (r"≤|<=|=<", " at most "),
        (r"<", " below "),
        (r">", " above "),
        (r"(?<=\d) ?[-–—] ?(?=\d)", " to "),
        (r"\s+[-–—]+\s|—", "; "),
        (r"(?<=[a-z0-9])[-–](?=[a-z0-9])", " "),
        (r"(?<=[a-z])/(?=[a-z])", " / "),
        (r"[*_#•]+", " "),
        (r"\s+", " "),
    )
]


MARKER = re.compile(r"^(?:[^\w\"'“‘(<>≥≤=~]+|\d{1,2}[.)]\s+(?=[^\W\d]|\*))+")  # a bullet, a list number, a pictogram


def normalise(text: str) -> str:
    """Lower case, contractions opened, symbols as words, units of kidney function and hyphens gone."""
    text = MARKER.sub("", text.lower())
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return text.strip()


def split_sentences(text: str) -> list[str]:
    """Sentences of a short text; an abbreviation's or a list number's full stop does not end one, "b.i.d." only before a capital."""
    sentences: list[str] = []
    glue = ""
    for piece in SENTENCE_END.split(text):
        if SCHEDULE.search(glue) and piece[:1].isupper():
            sentences.append(glue)
            glue = ""
        piece = f"{glue} {piece.strip()}".strip()
        glue = piece if ABBREVIATION.search(piece) or SCHEDULE.search(piece) or re.fullmatch(r"\d+\.", piece) else ""
        if piece and not glue:
            sentences.append(piece)
    return sentences + [glue] if glue else sentences


@dataclass(frozen=True, slots=True)
class Spot:
    """A masked term: `meanings` maps kind (drug, effect, parameter, condition, class) to id; `how` is exact, close or unknown."""

    meanings: dict[str, str]
    how: str
    words: str


@dataclass(frozen=True, slots=True)
class Masked:
    """A normalised sentence with its terms masked; placeholder D3 or V3 is spots[3]."""

    text: str
    plain: str
    spots: tuple[Spot, ...]


class Lexicon:
    """The trie of one knowledge base."""

    def __init__(self, terms: Iterable[tuple[str, str, str]], closest: Callable[[str], str | None]):
        """`terms`: (kind, id, words), the preferred words of an id before its synonyms. `closest`: a misspelt word's drug id."""
        self.trie: dict[str, list[tuple[tuple[str, ...], dict[str, str]]]] = {}
        self.words: set[str] = set()
        found: dict[tuple[str, ...], dict[str, str]] = {}
        for kind, term_id, words in terms:
            for tokens in variants(words):
                found.setdefault(tokens, {}).setdefault(kind, term_id)
                self.words.update(tokens)
        for tokens, meanings in found.items():
            self.trie.setdefault(tokens[0], []).append((tokens, meanings))
        for entries in self.trie.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        self.closest = lru_cache(maxsize=20_000)(closest)
        self.mask = lru_cache(maxsize=20_000)(self._mask)

    def _mask(self, sentence: str) -> Masked:
        """Mask the terms of one raw sentence, longest first."""
        text = normalise(sentence)
        tokens = list(TOKEN.finditer(text))
        words = [token.group() for token in tokens]
        capitals = {word.lower() for word in CAPITALS.findall(sentence)}
        pieces, spots, done, i = [], [], 0, 0
        while i < len(words):
            length, meanings, how = self._longest(words, i)
            if length == 1 and _means_another_word(words, i, capitals):
                length = 0
            if length:
                start, end = tokens[i].start(), tokens[i + length - 1].end()
                pieces += [text[done:start], f"{'D' if 'drug' in meanings else 'V'}{len(spots)}"]
                spots.append(Spot(meanings, how, text[start:end]))
                done = end
            i += length or 1
        return Masked("".join(pieces) + text[done:], text, tuple(spots))

    def _longest(self, words: list[str], i: int) -> tuple[int, dict[str, str], str]:
        for tokens, meanings in self.trie.get(words[i], ()):
            if tuple(words[i : i + len(tokens)]) == tokens:
                return len(tokens), meanings, "exact"
        word = words[i]
        if len(word) >= 6 and word not in self.words and word not in COMMON and word.isalpha():
            drug = self.closest(word)
            if drug:
                return 1, {"drug": drug}, "close"
        return 0, {}, ""


def _means_another_word(words: list[str], i: int, capitals: set[str]) -> bool:
    """ "The INR may hit 6", "if the eGFR falls below 30": abbreviations that are words, and nouns that are verbs."""
    word = words[i]
    if word in ALSO_WORDS:
        return word not in capitals
    return word in ("falls", "falling") and i + 1 < len(words) and (words[i + 1] in DIRECTIONS or words[i + 1][0].isdigit())


@lru_cache(maxsize=8)
def lexicon_of(kb: KnowledgeBase) -> Lexicon:
    """The lexicon of a knowledge base, built once."""
    return Lexicon(_terms(kb), lambda word: misspelt(kb, word))


def _terms(kb: KnowledgeBase) -> Iterable[tuple[str, str, str]]:
    """Names before synonyms, so that one id's synonym never takes another id's name."""
    for drug in kb.drugs.values():
        yield "drug", drug.id, drug.name
    for drug in kb.drugs.values():
        yield from (("drug", drug.id, words) for words in (*drug.brands, *drug.spellings))
    for kind, attribute in VOCABULARIES.items():
        terms = getattr(kb, attribute).values()
        yield from ((kind, term.id, term.name) for term in terms)
        yield from ((kind, term.id, words) for term in terms for words in term.terms)


def variants(words: str) -> list[tuple[str, ...]]:
    """The token sequence of a term, and its plural."""
    tokens = tuple(TOKEN.findall(normalise(words)))
    if not tokens or tokens[0] == "is":  # "is bleeding" would take the verb out of "the risk is bleeding"
        return []
    plural = tokens[:-1] + (tokens[-1] + "s",)
    return [tokens] if tokens[-1].endswith("s") or not tokens[-1].isalpha() else [tokens, plural]


# Ordinary words that look like a misspelt drug or an unknown name to a machine that owns no dictionary.
COMMON = frozenset("""
about above according adjust adjusted adjustment advice advised advisable after again alcohol allowed already alternative alternatives
always another answer anything appropriate around avoided avoiding because become before being below better between blood called caution
careful carefully change changed check checked choice choose clearance close closely combination combine combined combining concern
condition consider considered contact continue continued contraindicated cutoff danger dangerous daily decide decrease depends directly
discuss doctor doses dosing drink during easily effect effects eighty either emergency enough especially every everything exactly example
fifty fifteen fine first follow forty general generally given giving handbook having health help herbal hospital however hundred
immediately important impaired impairment increase increased increases infection information instead interact interaction interactions
kidney kidneys known later level levels likely limit little longer looking lower lowered maximum measure medical medication medications
medicine medicines middle minimum minute moderate monitor monitored monitoring months morning mother mouth needed needs never night ninety
normal nothing number nurse often older option options other others painkiller painkillers patient patients people persons pharmacist
please possible possibly pregnant pregnancy prescribed prescriber prevent prevents probably problem problems question raises reaction
reason recommended reduce reduced reducing reduction regular regularly remain renal replace result right risks safely safer safest serious
severe seventy should sickness since sixty slowly someone something sometimes start started starting steady still stopped stopping strong
substitute suddenly suitable supplement supplements surgery switch symptoms syndrome tablet tablets taken taking talk tests their there
these thing things thirty those though threshold together tomorrow treat treated treatment twenty unless until urgent usual usually
vaccine vitamin vitamins warning watch water weeks whether which while without worry would wrong yesterday yourself
""".split())
