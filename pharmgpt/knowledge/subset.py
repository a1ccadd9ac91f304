"""A part of a base as a base of its own: what a small model trains on, and is examined on, when the whole is too much for minutes.

Nothing in it points outside: alternatives that are not among the drugs are left out, and so are rules that no longer speak of anybody.
Its hash is that of its own contents, so that a drug added elsewhere makes no run stale.
"""
import hashlib
from collections.abc import Collection, Iterable
from dataclasses import replace

from pharmgpt.knowledge.cache import as_json
from pharmgpt.knowledge.load import KnowledgeError
from pharmgpt.knowledge.rules import selected
from pharmgpt.knowledge.schema import Drug, Interaction, KnowledgeBase


def named_set(kb: KnowledgeBase, name: str) -> KnowledgeBase:
    """The base narrowed to a set of its sets.toml; the whole base where `name` is empty or the base defines no sets."""
    if not name or not kb.sets:
        return kb
    if name not in kb.sets:
        raise KnowledgeError(f"knowledge.set: no set {name!r} in sets.toml; found {', '.join(kb.sets)}; leave it empty to take every drug")
    return subset(kb, kb.sets[name])


def subset(kb: KnowledgeBase, ids: Iterable[str]) -> KnowledgeBase:
    """Only these drugs, and the rules between them; raises KnowledgeError for an id that the base lacks."""
    kept = frozenset(ids)
    if unknown := sorted(kept - kb.drugs.keys()):
        raise KnowledgeError(f"sets.toml: no drug {unknown[0]!r} in the knowledge base; `pharmgpt kb list` shows the ids")
    drugs = {id: _narrowed_drug(drug, kept) for id, drug in kb.drugs.items() if id in kept}
    products = tuple(each for each in kb.combinations if kept.issuperset(each.drugs))
    rules = tuple(_narrowed_rule(rule, kept) for rule in kb.interactions)
    part = replace(kb, drugs=drugs, combinations=products, interactions=rules, sets={}, content_hash="")
    limits = tuple(each.model_copy(update={"except_drugs": _among(each.except_drugs, kept)})
                   for each in kb.limits if selected(part, each.who))
    part = replace(part, interactions=tuple(rule for rule in part.interactions if _speaks(part, rule)), limits=limits)
    return replace(part, content_hash=hashlib.sha256(as_json(part)).hexdigest())


def _narrowed_drug(drug: Drug, kept: Collection[str]) -> Drug:
    entries = (each.model_copy(update={"drugs": _among(each.drugs, kept)}) for each in drug.alternatives)
    return drug.model_copy(update={"alternatives": tuple(each for each in entries if each.drugs)})


def _narrowed_rule(rule: Interaction, kept: Collection[str]) -> Interaction:
    keys = ("alternatives_a", "alternatives_b", "except_drugs")
    return rule.model_copy(update={key: _among(getattr(rule, key), kept) for key in keys})


def _among(ids: tuple[str, ...], kept: Collection[str]) -> tuple[str, ...]:
    return tuple(id for id in ids if id in kept)


def _speaks(part: KnowledgeBase, rule: Interaction) -> bool:
    """Different drugs of the part stand on its sides."""
    sides = [selected(part, side) - frozenset(rule.except_drugs) for side in (rule.a, rule.b, rule.c) if side]
    return all(sides) and len(frozenset.union(*sides)) >= len(sides)
