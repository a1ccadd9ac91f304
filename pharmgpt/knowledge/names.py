"""Names as people write them → drugs: generic names, brands, accepted spellings, and near misses.

A near miss is taken only where one drug is near; where two are, both are shown and neither is guessed.
"""
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rapidfuzz import process
from rapidfuzz.distance import OSA

from pharmgpt.knowledge.other_drugs import OTHER_DRUGS
from pharmgpt.knowledge.schema import Drug, KnowledgeBase

How = Literal["name", "brand", "spelling", "combination", "close"]
JOINED = re.compile(r"\s*[/+&]\s*|\s*-\s*|\s+(?:and|with)\s+", re.IGNORECASE)
FORMULATIONS = frozenset("xr er sr xl cr la cd dr ec ir od odt hfa ellipta diskus respimat respiclick flexpen solostar pump patch tablets "
                         "tablet capsules capsule injection cream eye drops oral".split())
TOKEN = re.compile(r"\w+(?:['’]\w+)*")
BETWEEN = re.compile(r"[\s\-‐–_/]+")
WORD = re.compile(r"[A-Za-z'’]+")
INFLECTIONS = ("ing", "ed", "ly", "ize", "ise", "ic", "ment", "tion")
# English words, names of people and chemicals that one slip would make a drug's name (see `misspelt`). To extend it when names are added,
# run `misspelt` over a list of English words.
ENGLISH = frozenset("""
ability accolade allegri arcata astral austral bactria bactrian caffeic cannabinol capote carbene carden cardone carlene celestine
circadian clarinet clarity clegane coffea coffer coffey comtesse concert concerto concerts concetta considine cordura creator creston
cultivate cyclamen cycloserine dalman damson danson dapoxetine dawson decussate demodex differen digitoxin dioxin dufferin enable
enabler enables enclose estaing farmiga fearing florent foliate forster halcyon halima heater heathen heparan hydrazine lanolin lazada
levinas levitan liliana liminal linthicum lovebox lumina luminol magnesian metadata methylamine methylone midtown milltown milton
minidress miramax mitigate moraine morphia morphic morpholine morzine myostatin nicolette nicotiana pentobarbital phoneline preserve
preserver preserves principe principes program promethean promethium prover proverb puritan pyrimidine quinone quintin recast regain
regains regine resistor retina retinyl romaine sabella saxena sectoral senshi sentral serenade sienna singular spectral starlin starlit
sublimate sulcate testbed tetracyclic vertical
""".split())


@dataclass(frozen=True)
class Mention:
    """A drug named in a text, at text[start:end]."""

    drug_id: str
    start: int
    end: int
    how: How


@dataclass(frozen=True)
class Resolution:
    """`drug_id` is None where nothing, or more than one drug, is near; then `candidates` says which. A combination's are its drugs."""

    drug_id: str | None
    how: How | None = None
    candidates: tuple[str, ...] = ()

    @property
    def drugs(self) -> tuple[str, ...]:
        """What the name stands for: one drug, the drugs of a combination, or none."""
        return self.candidates if self.how == "combination" else (self.drug_id,) if self.drug_id else ()


def resolve(kb: KnowledgeBase, name: str) -> Resolution:
    """One name, alone: a drug's, a combination product's, or several joined as in "oxycodone/acetaminophen"."""
    folded = fold(name)
    if folded in _known(kb):
        drug, how = _known(kb)[folded]
        return Resolution(drug, how, (drug,))
    if drugs := _combinations(kb).get(folded) or _joined(kb, name):
        return Resolution(None, "combination", drugs)
    if (words := folded.split(" "))[-1] in FORMULATIONS and len(words) > 1:
        return resolve(kb, " ".join(words[:-1]))
    near = _near(kb, folded)
    return Resolution(near[0], "close", near) if len(near) == 1 else Resolution(None, None, near)


def find_drugs(kb: KnowledgeBase, text: str) -> list[Mention]:
    """Every drug named in a text, in order; the longest name wins where names overlap."""
    tokens, found, at = list(TOKEN.finditer(text)), [], 0
    while at < len(tokens):
        at, mentions = _longest(kb, text, tokens, at) or (at + 1, _misspelt(kb, tokens[at]))
        found += mentions
    return found


def _longest(kb: KnowledgeBase, text: str, tokens: list[re.Match[str]], at: int) -> tuple[int, list[Mention]] | None:
    """The longest known name that begins at a token and where it ends; between its words stand only spaces and hyphens."""
    for end in range(min(at + _longest_name(kb), len(tokens)), at, -1):
        start, stop = tokens[at].start(), tokens[end - 1].end()
        named = _named(kb, fold(text[start:stop]))
        if named and all(BETWEEN.fullmatch(text, tokens[i].end(), tokens[i + 1].start()) for i in range(at, end - 1)):
            return end, [Mention(drug, start, stop, how) for drug, how in named]
    return None


def _named(kb: KnowledgeBase, folded: str) -> list[tuple[str, How]]:
    """The drug of a known name, or the drugs of a combination product."""
    return [_known(kb)[folded]] if folded in _known(kb) else [(drug, "combination") for drug in _combinations(kb).get(folded, ())]


def _joined(kb: KnowledgeBase, name: str) -> tuple[str, ...]:
    """The drugs of a name that is several known names joined; none where a part is unknown."""
    pieces = [fold(piece) for piece in JOINED.split(name)]
    drugs = tuple(_known(kb)[piece][0] for piece in pieces if piece in _known(kb))
    return drugs if len(drugs) == len(pieces) == len(set(drugs)) > 1 else ()


def _misspelt(kb: KnowledgeBase, token: re.Match[str]) -> list[Mention]:
    """A word that is near just one drug's name and is no word of the vocabularies."""
    word = token.group()
    if not WORD.fullmatch(word):
        return []
    drug = misspelt(kb, word)
    return [Mention(drug, token.start(), token.end(), "close")] if drug else []


def misspelt(kb: KnowledgeBase, word: str) -> str | None:
    """The one drug that a word of running prose misspells. Stricter than `resolve`, which is given what somebody wrote as a name.

    Brands play on English words (Prograf, Bystolic, Abilify), and an accepted spelling is itself near the name: both forgive one letter, a
    brand only from seven letters. The first letter stands, or is swapped with the second. Measured on the 199,000 commonest English words
    of six letters and more: 798 lay near a name, 229 do so, and of those the ones that people write are in ENGLISH.
    """
    folded = fold(word)
    if folded in _known(kb) or any(stem in ENGLISH or stem in _common_words(kb) for stem in _stems(folded)):
        return None
    near = _near(kb, folded)
    return near[0] if len(near) == 1 and any(_slip(kb, folded, name, gap) for name, gap in _near_names(kb, folded)) else None


def _stems(word: str) -> list[str]:
    """A word, and what it may be a form of: "tested" is no slip of Testred."""
    endings = (end for end in ("s", "es", "d", "ed", "ing", "er", "ers") if word.endswith(end) and len(word) > len(end) + 3)
    return [word, *(word[: -len(end)] for end in endings)]


def _slip(kb: KnowledgeBase, word: str, name: str, gap: float) -> bool:
    if word[0] != name[0] and word[1::-1] != name[:2]:
        return False
    if any(word.endswith(ending) != name.endswith(ending) for ending in INFLECTIONS):  # "aspiring", "regained"
        return False
    how = _known(kb)[name][1]
    return how == "name" or gap == 1 and (how == "spelling" or len(name) >= 7)


def _nearest(names: tuple[tuple[str, float], ...]) -> list[str]:
    least = min((gap for _, gap in names), default=0)
    return [name for name, gap in names if gap == least]


def fold(name: str) -> str:
    """Case, hyphens and repeated spaces do not tell names apart."""
    return re.sub(r"[\s\-‐–_/]+", " ", name.strip().lower().replace("’", "'"))


def allowed_distance(name: str) -> int:
    """Letters that may be wrong: none in a short name, one from six letters, two from nine."""
    return 2 if len(name) >= 9 else 1 if len(name) >= 6 else 0


@lru_cache(maxsize=8)
def _known(kb: KnowledgeBase) -> dict[str, tuple[str, How]]:
    """Folded name → drug; a generic name beats a brand, a brand beats a spelling."""
    known: dict[str, tuple[str, How]] = {}
    kinds = (("spelling", lambda drug: drug.spellings), ("brand", lambda drug: drug.brands), ("name", _generic_names))
    for how, names in kinds:
        known |= {fold(name): (drug.id, how) for drug in kb.drugs.values() for name in names(drug)}
    return known


def _generic_names(drug: Drug) -> tuple[str, ...]:
    return drug.name, drug.id


@lru_cache(maxsize=8)
def _longest_name(kb: KnowledgeBase) -> int:
    return max((len(TOKEN.findall(name)) for name in (*_known(kb), *_combinations(kb))), default=1)


@lru_cache(maxsize=8)
def _combinations(kb: KnowledgeBase) -> dict[str, tuple[str, ...]]:
    """Folded brand of a combination product → its drugs; those that the base lacks are left out."""
    return {fold(brand): tuple(drug for drug in each.drugs if drug in kb.drugs) for each in kb.combinations for brand in each.brands}


@lru_cache(maxsize=65536)
def _near(kb: KnowledgeBase, folded: str) -> tuple[str, ...]:
    """The drugs with a name within the allowed distance (letters inserted, deleted, changed or swapped with their neighbour); only the
    nearest ones. Another real drug's name is near nothing."""
    return tuple(sorted({_known(kb)[name][0] for name in _nearest(_near_names(kb, folded))}))


@lru_cache(maxsize=65536)
def _near_names(kb: KnowledgeBase, folded: str) -> tuple[tuple[str, float], ...]:
    """Every name within the allowed distance, and that distance."""
    limit = 0 if folded in OTHER_DRUGS else allowed_distance(folded)
    if not limit:
        return ()
    names = [name for size in range(len(folded) - limit, len(folded) + limit + 1) for name in _by_length(kb).get(size, ())]
    found = process.extract(folded, names, scorer=OSA.distance, score_cutoff=limit, limit=None)
    return tuple((name, gap) for name, gap, _ in found)


@lru_cache(maxsize=8)
def _by_length(kb: KnowledgeBase) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name in _known(kb):
        found.setdefault(len(name), []).append(name)
    return found


@lru_cache(maxsize=8)
def _common_words(kb: KnowledgeBase) -> frozenset[str]:
    """Words of the vocabularies: "insulin" is near no misspelt drug, though a brand may be two letters away."""
    entries = [*kb.classes.values(), *kb.effects.values(), *kb.conditions.values(), *kb.parameters.values()]
    return frozenset(word for entry in entries for term in (entry.name, *entry.terms) for word in re.findall(r"[a-z']+", term.lower()))
