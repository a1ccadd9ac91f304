"""What the rules say about every pair of drugs, looked up once.

Questions, answers and flawed answers all ask about the same pairs; the table makes the second question about a pair free.
"""
from functools import lru_cache

from pharmgpt.knowledge.rules import Finding, interactions
from pharmgpt.knowledge.schema import ACTIONS, Action, KnowledgeBase


@lru_cache(maxsize=4)
def pairs_of(kb: KnowledgeBase) -> "Pairs":
    """The one table of a knowledge base."""
    return Pairs(kb)


class Pairs:
    """Findings of unordered pairs, computed on first use."""

    def __init__(self, kb: KnowledgeBase):
        self.kb = kb
        self._findings: dict[tuple[str, str], tuple[Finding, ...]] = {}

    def findings(self, a: str, b: str) -> tuple[Finding, ...]:
        """All findings, the most restrictive action first, then the worst severity."""
        pair = (a, b) if a < b else (b, a)
        if pair not in self._findings:
            found = interactions(self.kb, *pair)
            self._findings[pair] = tuple(sorted(found, key=lambda finding: ACTIONS.index(finding.action)))
        return self._findings[pair]

    def action(self, a: str, b: str) -> Action:
        """The most restrictive action of any finding; "none" where no rule speaks."""
        found = self.findings(a, b)
        return found[0].action if found else "none"

    def unrelated(self, a: str, b: str) -> bool:
        """No rule speaks, and no shared class either: two drugs of one class are a duplication, not a safe pair."""
        shared = set(self.kb.drugs[a].classes) & set(self.kb.drugs[b].classes)
        return a != b and not shared and not self.findings(a, b)

    def severity(self, a: str, b: str) -> str:
        found = self.findings(a, b)
        return found[0].severity if found else "none"

    def alternatives(self, drug: str, other: str) -> tuple[str, ...]:
        """What to take instead of `drug` beside `other`: only drugs that are themselves less restricted beside it."""
        offered = dict.fromkeys(alt for finding in self.findings(drug, other) for alt in finding.alternatives.get(drug, ()))
        limit = ACTIONS.index(self.action(drug, other))
        return tuple(alt for alt in offered if alt in self.kb.drugs and alt != other and ACTIONS.index(self.action(alt, other)) > limit)
