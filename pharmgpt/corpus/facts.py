"""Facts as slots: the tables that documents draw from, built once per knowledge base."""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from random import Random

from pharmgpt.corpus.pairs import Pairs
from pharmgpt.corpus.phrasing import as_typed, capital, listed, plural, with_article
from pharmgpt.knowledge.schema import Drug, KnowledgeBase

MOST_ALTERNATIVES = 2
BRAND_RATE, SLIP_RATE = 0.15, 0.05  # of the names in a call: a brand that no text answers by its drug stays unknown


@dataclass(frozen=True)
class FactBook:
    """A knowledge base with its pairs looked up and its ids as names."""

    kb: KnowledgeBase
    pairs: Pairs

    @cached_property
    def ruled(self) -> dict[str, tuple[str, ...]]:
        """Drug → the drugs that some rule sets it against."""
        return {drug: tuple(other for other in self.kb.drugs if other != drug and self.pairs.findings(drug, other))
                for drug in self.kb.drugs}

    @cached_property
    def free(self) -> dict[str, tuple[str, ...]]:
        """Drug → the drugs of other classes with which no rule speaks."""
        return {drug: tuple(other for other in self.kb.drugs if self.pairs.unrelated(drug, other)) for drug in self.kb.drugs}

    def unordered(self, partners: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
        return [(a, b) for a, b in combinations(sorted(self.kb.drugs), 2) if b in partners[a]]

    @cached_property
    def by_name(self) -> dict[str, Drug]:
        return {drug.name: drug for drug in self.kb.drugs.values()}

    def typed(self, name: str, rng: Random) -> str:
        """A drug's name as a caller types it."""
        return as_typed(self.kb, self.by_name[name], rng, BRAND_RATE, SLIP_RATE)

    def name(self, kind: str, term: str) -> str:
        return getattr(self.kb, kind)[term].name

    def names(self, kind: str, terms: Iterable[str]) -> list[str]:
        return [self.name(kind, term) for term in dict.fromkeys(terms)]


def fact_book(kb: KnowledgeBase) -> FactBook:
    return FactBook(kb, Pairs(kb))


def drug_slots(book: FactBook, drug: Drug) -> dict[str, str]:
    """What every frame about a drug may name."""
    cls = book.name("classes", drug.classes[0])
    return {"drug": drug.name, "Drug": capital(drug.name), "a_class": with_article(cls), "class": cls, "classes": plural(cls),
            "Classes": capital(plural(cls))}


def instead_slots(book: FactBook, drugs: Sequence[str]) -> dict[str, str]:
    """Nothing when no alternative is known, so that frames with `instead` are not offered."""
    return {"instead": listed(book.names("drugs", drugs[:MOST_ALTERNATIVES]), "or")} if drugs else {}


def instead_names(drugs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {"instead": tuple(drugs[:MOST_ALTERNATIVES])}


def instead_facts(drug: Drug, problem: str) -> tuple[str, ...]:
    return tuple(f"{drug.id}.alternative.{entry.problem}" for entry in drug.alternatives if entry.problem in (problem, "any"))
