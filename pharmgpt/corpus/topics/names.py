"""What a drug is called besides its name: brands, other spellings, slips of the keyboard.

A brand shares nothing with what is known of its drug; only reading both together ties it. The list of names is the densest text for that:
every entry is one more time that a name must be found from another.
"""
from collections.abc import Iterator
from random import Random

from pharmgpt.corpus.facts import FactBook, drug_slots
from pharmgpt.corpus.frames import Case, Topic, Varied, by_name, step
from pharmgpt.corpus.phrasing import listed, slip
from pharmgpt.knowledge.schema import Drug

BRANDS = {
    "monograph": ("{other} is a brand of {drug}.", "{Drug} is sold as {others}."),
    "case_note": ("{person} brought {other}. That is {drug}.", "Chart says {other}, read {drug}. {Drug} is {a_class}."),
    "table_row": ("{other} | {drug}", "{drug} | brands | {others}"),
    "dialogue": ("Caller: I am on {other}. Pharmacist: That is {drug}, {a_class}.",),
    "leaflet": ("{other} contains {drug}.",),
}
SPELLINGS = {
    "case_note": ('The note says "{other}", meaning {drug}.', '"{other}" on the list was read as {drug}. {Drug} is {a_class}.'),
    "dialogue": ("Caller: I take {other}. Pharmacist: You mean {drug}.",),
    "exam_note": ("{other}: another way to write {drug}.", "Written {other}, read {drug}."),
    "table_row": ("{other} | {drug}",),
}
# Several drugs at once. The answers to a call come after all of its names, as in a question about two drugs.
LIST = {
    "exam_note": ("Each name and its drug. {colons}.", "Whose name is it? {colons}."),
    "table_row": ("{equations}", "names | {equations}"),
    "monograph": ("The patient's own words, with the drug in brackets: {brackets}.",),
    "dialogue": ("Caller: I take {asked}. Pharmacist: You take {meant}.", "Nurse: The bag holds {asked}. Pharmacist: That means {meant}."),
}
MOST_LISTED, BRAND_SHARE = 8, 0.75


def topics(book: FactBook) -> dict[str, Topic]:
    drugs = list(book.kb.drugs.values())
    kinds = {"brand": (step("b", BRANDS),), "spelling": (step("s", SPELLINGS),)}
    return by_name(
        Topic("name", [list(_names(book, drug)) for drug in drugs], kinds, _misspelt, frozenset(("other",))),
        Topic("name_list", [[Case("list", (drug.id,), {})] for drug in drugs], {"list": (step("l", LIST),)}, _listed(book),
              frozenset(("colons", "equations", "brackets", "asked", "meant"))),
    )


def _names(book: FactBook, drug: Drug) -> Iterator[Case]:
    slots, facts = drug_slots(book, drug), {"": (f"{drug.id}.name",)}
    for brand in drug.brands:
        yield Case("brand", (drug.id,), {**slots, "others": listed(drug.brands)}, facts, brand)
    for spelling in (each for each in drug.spellings if each != drug.name):
        yield Case("spelling", (drug.id,), slots, facts, spelling)
    yield Case("spelling", (drug.id,), slots)


def _misspelt(case: Case, rng: Random) -> Varied:
    return Varied({"other": case.data or slip(case.slots["drug"], rng)})


def _listed(book: FactBook):
    """The case's drug among two to seven others, each under another name."""
    drugs = tuple(book.kb.drugs.values())

    def vary(case: Case, rng: Random) -> Varied:
        first = book.kb.drugs[case.drugs[0]]
        beside = rng.sample(drugs, min(len(drugs), rng.randint(3, MOST_LISTED - 1)))
        chosen = [first, *(drug for drug in beside if drug is not first)]
        rng.shuffle(chosen)
        others, names = [_other(drug, rng) for drug in chosen], [drug.name for drug in chosen]
        pairs = tuple(zip(others, names, strict=True))
        slots = {"colons": "; ".join(f"{other}: {name}" for other, name in pairs), "asked": listed(others), "meant": listed(names),
                 "equations": " | ".join(f"{other} = {name}" for other, name in pairs),
                 "brackets": ", ".join(f"{other} ({name})" for other, name in pairs)}
        return Varied(slots, tuple(drug.id for drug in chosen), tuple(f"{drug.id}.name" for drug in chosen))
    return vary


def _other(drug: Drug, rng: Random) -> str:
    """A brand, another spelling or a slip of the name."""
    spellings = [each for each in drug.spellings if each != drug.name]
    if drug.brands and rng.random() < BRAND_SHARE:
        return rng.choice(drug.brands)
    return rng.choice([*spellings, slip(drug.name, rng)])
