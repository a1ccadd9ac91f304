"""Cloze items: sentences cut before their answer, in frames that no document uses: data/cloze/<wordings>/<kind>.txt, one a line.

"exam" frames are ours, and ours sound alike; "foreign" ones were written by one who saw no text of ours; "dev" ones likewise, and
recipes and documents are tuned on those. Greedy continuation must begin with the answer, which follows a frame after a space. A comparison
item states the limit and asks for the side, as an answer has to find it; its values are in no document and no training question.
"""
from collections.abc import Iterator
from random import Random
from typing import get_args

from pharmgpt.corpus.cases import part_of_value
from pharmgpt.corpus.phrasing import DONE, Band, band_text, bands, capital, limits, number
from pharmgpt.corpus.split import Split
from pharmgpt.corpus.topics.settings import STATE
from pharmgpt.corpus.wordings import wordings
from pharmgpt.knowledge.schema import Drug, KnowledgeBase
from pharmgpt.text.records import Cloze, Part, Pool, Wordings

PER_DRUG = 4  # items of one kind for one drug at most


def cloze_items(kb: KnowledgeBase, split: Split, seed: int) -> list[Cloze]:
    """Items of all four kinds in all wordings about every drug that has the fact, in both pools."""
    items = []
    pools: tuple[tuple[Pool, tuple[str, ...]], ...] = (("seen", split.seen), ("held_drugs", split.held))
    for whose in get_args(Wordings):
        for pool, drug_ids in pools:
            for drug_id in drug_ids:
                items += _of_drug(kb.drugs[drug_id], whose, pool, Random(f"cloze {seed} {drug_id}"))
    return items


def _of_drug(drug: Drug, whose: Wordings, pool: Pool, rng: Random) -> Iterator[Cloze]:
    part = "dev" if whose == "dev" else "exam"
    made = {"threshold": list(_thresholds(drug)), "action": list(_actions(drug)), "pregnancy": list(_pregnancy(drug)),
            "comparison": list(_comparisons(drug, part, rng))}
    for kind, facts in made.items():
        frames = wordings("cloze", whose, kind)
        wanted = [(fact, at) for at in range(len(frames)) for fact in facts]
        chosen = wanted if len(wanted) <= PER_DRUG else rng.sample(wanted, PER_DRUG)
        for (slots, answer, fact_ids), at in chosen:
            prefix = frames[at].format(drug=drug.name, Drug=capital(drug.name), **slots)
            yield Cloze(f"cloze.{whose}.{kind}.{drug.id}.{at}.{_tag(slots)}", prefix, f" {answer}", kind, pool, (drug.id,), fact_ids, whose)


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


def _comparisons(drug: Drug, part: Part, rng: Random) -> Iterator[Fact]:
    for low, high in limits(drug):
        for band, side in ((low, "below"), (high, "above")):
            values = [value for value in range(max(5, int(low.below) - 25), int(low.below) + 40)
                      if value != low.below and (value < low.below) == (side == "below") and part_of_value(drug.id, value) == part]
            if values:
                yield {"limit": number(low.below), "value": str(rng.choice(values))}, side, _ids(drug, band)


def _ids(drug: Drug, band: Band) -> tuple[str, ...]:
    return tuple(f"{drug.id}.renal.{at}" for at in band.numbers)
