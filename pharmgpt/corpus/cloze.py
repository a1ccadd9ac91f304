"""Cloze items: sentences cut before their answer, in frames that no document uses.

Greedy continuation must begin with the answer. A comparison item states the limit and asks for the side, as an answer has to find it; the
values are those that no document and no training question uses.
"""
from collections.abc import Iterator
from random import Random

from pharmgpt.corpus.cases import part_of_value
from pharmgpt.corpus.phrasing import DONE, Band, band_text, bands, capital, limits, number
from pharmgpt.corpus.split import Split
from pharmgpt.corpus.topics.settings import STATE
from pharmgpt.knowledge.schema import Drug, KnowledgeBase
from pharmgpt.text.records import Cloze, Pool

PER_DRUG = 4  # items of one kind for one drug at most
# The answer follows each frame after a space.
FRAMES: dict[str, tuple[str, ...]] = {
    "threshold": (
        "From the renal desk about {drug}: this drug is {done} as soon as {measure} is below",
        "In short, {drug} is {done} for kidneys whose {measure} is below",
        "Our kidney protocol has {drug} {done} in everyone with {measure} below",
        "{Drug} was looked up, and the page said {done} for {measure} below",
    ),
    "action": (
        "The protocol covers {drug} too: for {band}, {drug} is",
        "A trainee checks {drug} in a person with {band} and learns that {drug} is",
        "Looking at {drug} and at {band}, the team agrees that {drug} is",
        "Today's question was {drug} given {band}; by the book {drug} is",
    ),
    "pregnancy": (
        "She is expecting and {drug} came up; by the book {drug} in pregnancy is",
        "The obstetric team looked up {drug} and read that in pregnancy {drug} is",
        "Before conception we go through {drug}: once in pregnancy, {drug} is",
        "A pregnant colleague wondered about {drug}; in pregnancy {drug} is",
    ),
    "comparison": (
        "Checking {drug} against its limit of {limit}, the team sees that {value} is",
        "The laboratory sent {value}; since {drug} has {limit} as its limit, {value} is",
        "With {limit} as the limit for {drug}, a value of {value} is",
        "{Drug} is under discussion, {limit} is the limit, and this morning's {value} is",
    ),
}


def cloze_items(kb: KnowledgeBase, split: Split, seed: int) -> list[Cloze]:
    """Items of all four kinds about every drug that has the fact, in both pools."""
    items = []
    pools: tuple[tuple[Pool, tuple[str, ...]], ...] = (("seen", split.seen), ("held_drugs", split.held))
    for pool, drug_ids in pools:
        for drug_id in drug_ids:
            items += _of_drug(kb.drugs[drug_id], pool, Random(f"cloze {seed} {drug_id}"))
    return items


def _of_drug(drug: Drug, pool: Pool, rng: Random) -> Iterator[Cloze]:
    made = {"threshold": list(_thresholds(drug)), "action": list(_actions(drug)), "pregnancy": list(_pregnancy(drug)),
            "comparison": list(_comparisons(drug, rng))}
    for kind, facts in made.items():
        wanted = [(fact, at) for at in range(len(FRAMES[kind])) for fact in facts]
        chosen = wanted if len(wanted) <= PER_DRUG else rng.sample(wanted, PER_DRUG)
        for (slots, answer, fact_ids), at in chosen:
            prefix = FRAMES[kind][at].format(drug=drug.name, Drug=capital(drug.name), **slots)
            yield Cloze(f"cloze.{kind}.{drug.id}.{at}.{_tag(slots)}", prefix, f" {answer}", kind, pool, (drug.id,), fact_ids)


def _tag(slots: dict[str, str]) -> str:
    return "-".join(slots.values()).replace(" ", "_") or "0"


Fact = tuple[dict[str, str], str, tuple[str, ...]]  # slots, answer, fact ids


def _thresholds(drug: Drug) -> Iterator[Fact]:
    """Limits by what happens below them, where only one limit has that action below."""
    found = limits(drug)
    for low, _ in found:
        if low.action != "none" and sum(low.action == other.action for other, _ in found) == 1:
            yield {"measure": low.measure, "done": DONE[low.action]}, number(low.below), _ids(drug, low)


def _actions(drug: Drug) -> Iterator[Fact]:
    for band in bands(drug):
        if band.at_least or band.below is not None:
            yield {"band": band_text(band)}, DONE[band.action], _ids(drug, band)


def _pregnancy(drug: Drug) -> Iterator[Fact]:
    if drug.pregnancy:
        yield {}, STATE[drug.pregnancy.action], (f"{drug.id}.pregnancy",)


def _comparisons(drug: Drug, rng: Random) -> Iterator[Fact]:
    for low, high in limits(drug):
        for band, side in ((low, "below"), (high, "above")):
            values = [value for value in range(max(5, int(low.below) - 25), int(low.below) + 40)
                      if value != low.below and (value < low.below) == (side == "below") and part_of_value(drug.id, value) == "exam"]
            if values:
                yield {"limit": number(low.below), "value": str(rng.choice(values))}, side, _ids(drug, band)


def _ids(drug: Drug, band: Band) -> tuple[str, ...]:
    return tuple(f"{drug.id}.renal.{at}" for at in band.numbers)
