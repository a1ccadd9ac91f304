"""Which drugs question answering may meet in training.

A held drug appears in pretraining text only; everything that teaches answering (experts, annotators, PPO prompts) is built from
the seen ones. What the exam then asks about held drugs is whether knowledge read in documents reaches answers.
"""
import random
from collections.abc import Callable
from typing import NamedTuple

from pharmgpt.corpus.pairs import Pairs, pairs_of
from pharmgpt.knowledge.names import find_drugs
from pharmgpt.knowledge.schema import Drug, KnowledgeBase

ALWAYS_SEEN = ("metformin", "warfarin", "ibuprofen")  # the drugs that lessons and first questions are about


class SplitError(ValueError):
    """The knowledge base is too small to hold out that many drugs."""


class Split(NamedTuple):
    held: tuple[str, ...]
    seen: tuple[str, ...]


def split_drugs(kb: KnowledgeBase, held_count: int, seed: int) -> Split:
    """Hold out drugs so that a third each has a renal restriction and a pregnancy warning, and half a pair to avoid."""
    candidates = sorted(set(kb.drugs) - set(ALWAYS_SEEN) - named_by_conditions(kb))
    if held_count > len(candidates) // 2:
        raise SplitError(f"held_drugs is {held_count}, but the knowledge base has {len(kb.drugs)} drugs: "
                         f"hold out at most {len(candidates) // 2}, or add drugs.")
    random.Random(seed).shuffle(candidates)
    held = _fill_quotas(candidates, held_count, _quotas(kb, held_count))
    return Split(tuple(sorted(held)), tuple(sorted(set(kb.drugs) - set(held))))


def _quotas(kb: KnowledgeBase, held_count: int) -> list[tuple[Callable[[str], bool], int]]:
    third, half = -(-held_count // 3), -(-held_count // 2)
    pairs = pairs_of(kb)
    return [(lambda drug: has_renal_restriction(kb.drugs[drug]), third),
            (lambda drug: avoided_in_pregnancy(kb.drugs[drug]), third),
            (lambda drug: has_pair_to_avoid(pairs, drug), half)]


def _fill_quotas(candidates: list[str], held_count: int, quotas: list[tuple[Callable[[str], bool], int]]) -> list[str]:
    held: list[str] = []
    for belongs, wanted in quotas:
        missing = wanted - sum(map(belongs, held))
        fitting = [drug for drug in candidates if drug not in held and belongs(drug)]
        held += fitting[:max(0, min(missing, held_count - len(held)))]
    held += [drug for drug in candidates if drug not in held][:held_count - len(held)]
    return held


def named_by_conditions(kb: KnowledgeBase) -> set[str]:
    """Aspirin: "aspirin allergy" stands on other drugs' cards, so it cannot be kept out of training."""
    return {mention.drug_id for condition in kb.conditions.values() for mention in find_drugs(kb, condition.name)}


def has_renal_restriction(drug: Drug) -> bool:
    return any(rule.action in ("avoid", "reduce") for rule in drug.renal)


def avoided_in_pregnancy(drug: Drug) -> bool:
    return drug.pregnancy is not None and drug.pregnancy.action == "avoid"


def has_pair_to_avoid(pairs: Pairs, drug: str) -> bool:
    return any(pairs.action(drug, other) == "avoid" for other in pairs.kb.drugs if other != drug)
