"""Names as people write them → drugs: generic names, brands, accepted spellings, and near misses.

A near miss is taken only where one drug is near; where two are, both are shown and neither is guessed.
"""
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rapidfuzz.distance import OSA

from pharmgpt.knowledge.other_drugs import OTHER_DRUGS
from pharmgpt.knowledge.schema import Drug, KnowledgeBase

How = Literal["name", "brand", "spelling", "close"]
WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*[A-Za-z]|[A-Za-z]")


@dataclass(frozen=True)
class Mention:
    """A drug named in a text, at text[start:end]."""

    drug_id: str
    start: int
    end: int
    how: How


@dataclass(frozen=True)
class Resolution:
    """`drug_id` is None where nothing, or more than one drug, is near; then `candidates` says which."""

    drug_id: str | None
    how: How | None = None
    candidates: tuple[str, ...] = ()


def resolve(kb: KnowledgeBase, name: str) -> Resolution:
    """One name, alone."""
    folded = fold(name)
    if folded in _known(kb):
        drug, how = _known(kb)[folded]
        return Resolution(drug, how, (drug,))
    near = _near(kb, folded)
    return Resolution(near[0], "close", near) if len(near) == 1 else Resolution(None, None, near)


def find_drugs(kb: KnowledgeBase, text: str) -> list[Mention]:
    """Every drug named in a text, in order; the longest name wins where names overlap."""
    found = [Mention(*_known(kb)[fold(match.group())][:1], match.start(), match.end(), _known(kb)[fold(match.group())][1])
             for match in _pattern(kb).finditer(text)]
    taken = [(mention.start, mention.end) for mention in found]
    for match in WORD.finditer(text):
        if any(start < match.end() and match.start() < end for start, end in taken) or match.group().lower() in _common_words(kb):
            continue
        near = _near(kb, fold(match.group()))
        if len(near) == 1:
            found.append(Mention(near[0], match.start(), match.end(), "close"))
    return sorted(found, key=lambda mention: mention.start)


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
def _pattern(kb: KnowledgeBase) -> re.Pattern[str]:
    names = sorted(_known(kb), key=len, reverse=True)
    spelled = ("[\\s\\-‐–_/]+".join(map(re.escape, name.split(" "))) for name in names)
    return re.compile(rf"(?<![\w])(?:{'|'.join(spelled)})(?![\w])", re.IGNORECASE)


@lru_cache(maxsize=65536)
def _near(kb: KnowledgeBase, folded: str) -> tuple[str, ...]:
    """The drugs with a name within the allowed distance (letters inserted, deleted, changed or swapped with their neighbour); only the
    nearest ones. Another real drug's name is near nothing."""
    limit = 0 if folded in OTHER_DRUGS else allowed_distance(folded)
    if not limit:
        return ()
    best: dict[str, int] = {}
    for name, (drug, _) in _known(kb).items():
        if abs(len(name) - len(folded)) <= limit and (gap := OSA.distance(folded, name, score_cutoff=limit)) <= limit:
            best[drug] = min(gap, best.get(drug, gap))
    nearest = min(best.values(), default=0)
    return tuple(sorted(drug for drug, gap in best.items() if gap == nearest))


@lru_cache(maxsize=8)
def _common_words(kb: KnowledgeBase) -> frozenset[str]:
    """Words of the vocabularies: "insulin" is near no misspelt drug, though a brand may be two letters away."""
    entries = [*kb.classes.values(), *kb.effects.values(), *kb.conditions.values(), *kb.parameters.values()]
    return frozenset(word for entry in entries for term in (entry.name, *entry.terms) for word in re.findall(r"[a-z']+", term.lower()))
