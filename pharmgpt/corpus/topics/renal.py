"""Kidney function: limits, bands, worked comparisons, and drugs that need no adjustment.

A limit is always named with what happens below it, because many drugs have two. A worked case states the limits, compares, then decides:
the order in which an answer has to find things.
"""
from collections.abc import Iterator
from functools import lru_cache
from random import Random

from pharmgpt.corpus.cases import part_of_value, renal_alternatives
from pharmgpt.corpus.facts import FactBook, drug_slots, instead_facts, instead_names, instead_slots
from pharmgpt.corpus.frames import Case, Genres, Topic, Varied, by_name, step
from pharmgpt.corpus.phrasing import DONE, Band, band_text, bands, capital, limits, listed, number
from pharmgpt.corpus.wordings import wordings
from pharmgpt.knowledge.schema import Drug

WORD = {"avoid": "avoid", "reduce": "reduce the dose", "monitor": "monitor", "none": "no change"}
ORDER = {"avoid": "avoid it", "reduce": "reduce the dose", "monitor": "keep it and monitor", "none": "leave the dose unchanged"}
LOWEST, HIGHEST = 4, 120  # values a note would hold

CASE = {
    "case_note": (
        "{person}, {measure} {value}, due for {drug}. {Limits_are}. {compare}, so {drug} is {done}.",
        "Kidney review. Drug: {drug}. {measure}: {value}. {Limits_are} for {drug}; {compare}. Outcome: {word}.",
        "{person} takes {drug}. The {measure} has come back at {value}. For {drug} {limits_are}. {compare}: {order}.",
        "{place}: {drug} on the chart, {measure} {value}. {compare}, and {limits_are} for {drug}. Plan: {order}.",
        "{Drug}, {measure} of {value} today. {Limits_are}: {compare}. {Drug} {done}.",
    ),
    "dialogue": (
        "Nurse: The {measure} is {value}, {drug} is due. Pharmacist: For {drug} {limits_are}. {compare}, so {order}.",
        "Student: {Drug}, {measure} {value}. Registrar: {Limits_are}. {compare}. So {drug} is {done}.",
        "Round: {value} is the {measure}, {drug} is the drug. Answer: {limits_are}, {compare}, {order}.",
    ),
    "exam_note": (
        "Worked example, {drug} at {measure} {value}. Step 1: {limits_are}. Step 2: {compare}. Step 3: {order}.",
        "Practice card. Given {drug} and {measure} {value}: {limits_are}, {compare}, the drug is {done}.",
    ),
    "table_row": (
        "{drug} | {measure} {value} | {limits_are} | {compare} | {word}",
    ),
    "leaflet": (
        "Your kidney value ({measure}) is {value}. For {drug} {limits_are}, and {compare}. This means {drug} is {done}.",
    ),
}
CASE_WHY = ("The worry is {effect}.", "Otherwise {effect} threatens.", "Behind this stands {effect}.")
CASE_DOSE = ("Label dose here: {dose}.", "{capital_dose}.")
INSTEAD = ("Instead: {instead}.", "One could turn to {instead}.", "Think of {instead} in its place.")

LIMIT = {
    "monograph": (
        "Kidneys and {drug}: below {a_measure} of {limit} it is {low_done}; from {limit} upwards it is {high_done}.",
        "{Drug} and renal function: {low_done} when {measure} is below {limit}, {high_done} from {limit} on.",
        "For {drug} the {measure} of {limit} divides: under it the drug is {low_done}, over it {high_done}.",
        "{Drug} is {low_done} if the {measure} is below {limit} and {high_done} above.",
        "Patients whose {measure} falls below {limit} have their {drug} {low_done}.",
    ),
    "label_section": (
        "{Drug}, renal impairment: {low_word} if {measure} is below {limit} {unit}.",
        "Use in renal impairment. {Drug} is {low_done} in patients with {measure} below {limit} {unit}.",
    ),
    "exam_note": (
        "Remember {limit} for {drug}: under this {measure} the drug is {low_done}.",
        "Which {measure} matters for {drug}? Below {limit}, {drug} is {low_done}.",
        "Flash card: {drug}, {low_word} below {measure} {limit}.",
        "{Drug}: the limit to {low_do} is {limit}. The measure is {measure}.",
        "The number for {drug} is {limit}, since {drug} gets {low_done} when the {measure} is below {limit}.",
    ),
    "dialogue": (
        "Student: When is {drug} {low_done} for the kidneys? Pharmacist: Once the {measure} is below {limit}.",
        "Doctor: How low may {measure} go on {drug}? Pharmacist: To {limit}; below {limit} it is {low_done}.",
    ),
    "table_row": (
        "{drug} | {measure} below {limit} | {low_word}",
        "{drug} | limit {limit} ({measure}) | below: {low_word} | above: {high_word}",
    ),
    "leaflet": (
        "{Drug} and your kidneys: when the kidney value {measure} is below {limit}, {drug} is {low_done}.",
        "Tell us if you take {drug} and have weak kidneys: it is {low_done} with {measure} below {limit}.",
    ),
}

SECTION = {
    "label_section": ("{Drug}, dosing by {measure}: {band_orders}.", "Renal dosing of {drug}. {band_states}."),
    "monograph": ("{Drug} has {limit_count} {measure} {limit_noun}: {limit_list}. {band_states}.",
                  "{Drug} {a_class_is}, and the kidneys matter. By {measure}: {band_orders}."),
    "table_row": ("{drug} | {band_row}", "renal table | {drug} | {measure} | {band_row}"),
    "dialogue": ("Student: Kidney bands of {drug}? Pharmacist: {band_orders}.",),
    "exam_note": ("List the {measure} bands of {drug}. {band_states}.",),
}

BAND = {
    "label_section": ("{Drug} with {band}: {word}.", "{band}: {drug} is {done}.", "In those who have {band}, {drug} is {done}.",
                      "Guidance on {drug} for {band}: {drug} is {done}."),
    "exam_note": ("What happens to {drug} at {band}? It is {done}.", "{Drug}, {band}, one word: {done}.",
                  "A student who reads about {drug} and {band} notes that {drug} is {done}.",
                  "True or false: with {band}, {drug} is {done}. True."),
    "dialogue": ("Nurse: {Drug} and {band}? Doctor: Then {drug} is {done}.",
                 "Doctor: {band} this morning, and {drug} is on the list. Pharmacist: At {band} we say that {drug} is {done}."),
    "table_row": ("{drug} | {band} | {done}",),
    "case_note": ("{place}: patients on {drug} with {band}. {Drug} is {done}.", "{person} has {band}, which means that {drug} is {done}.",
                  "The team goes through the list at {band} and writes: {drug} is {done}."),
    "leaflet": ("If your kidney test shows {band}, {drug} is {done}.",),
    "monograph": ("As for {band}, {drug} is {done}.", "It is settled that with {band} the drug {drug} is {done}."),
}

FREE = {
    "label_section": ("Renal impairment: {drug} needs no adjustment at any eGFR.",
                      "{Drug}, renal impairment: no limit is listed and the dose is unchanged."),
    "case_note": ("{person}, eGFR {value}, due for {drug}. {Drug} has no eGFR limit, so {drug} is unchanged.",
                  "Kidney review. Drug: {drug}. eGFR: {value}. No limit is listed for {drug}. Outcome: no change.",
                  "{person} takes {drug}. The eGFR has come back at {value}. {Drug} has no renal limit: leave the dose unchanged."),
    "dialogue": ("Nurse: The eGFR is {value}, {drug} is due. Pharmacist: {Drug} has no kidney limit, so leave the dose unchanged.",),
    "exam_note": ("Remember: {drug} has no eGFR limit. At {value}, at {value2}, the dose is unchanged.",),
    "table_row": ("{drug} | any eGFR | no limit | no change",),
    "leaflet": ("{Drug} and your kidneys: no kidney limit is set, and the dose is unchanged at any kidney value.",),
    "monograph": ("{Drug} {a_class_is} without a renal limit. Any eGFR: unchanged.",),
}

DRILL = {
    "exam_note": (
        "Which side of {limit}? {Drug}, {measure}: {v1} is {s1}, {v2} is {s2}, {v3} is {s3}, {v4} is {s4}.",
        "{Drug}, limit {limit}. {measure} {v1}: {s1}, so {d1}. {measure} {v2}: {s2}, so {d2}. {measure} {v3}: {s3}, so {d3}.",
        "Drill on {drug} with its limit of {limit}: {v1}, {s1}, {d1}; {v2}, {s2}, {d2}; {v3}, {s3}, {d3}.",
        "Compare with {limit}, the {measure} limit of {drug}. {v1} is {s1} {limit}. {v2} is {s2} {limit}. {v3} is {s3} {limit}.",
        "{Drug}: {v1} is {s1} {limit}: {d1}. {v2} is {s2} {limit}: {d2}.",
    ),
}


def topics(book: FactBook) -> dict[str, Topic]:
    drugs = list(book.kb.drugs.values())
    limited = [drug for drug in drugs if limits(drug)]
    free = [drug for drug in drugs if all(band.action == "none" for band in bands(drug))]
    tails = (step("w", CASE_WHY, 0.45), step("d", CASE_DOSE, 0.15), step("i", INSTEAD, 0.3))
    case_steps = (step("c", CASE), *tails)
    return by_name(
        Topic("renal_case", [list(_case_slots(book, drug)) for drug in limited], {"band": case_steps}, _value_in_band,
              frozenset(("value", "compare"))),
        Topic("renal_limit", [list(_limit_slots(book, drug)) for drug in limited], {"limit": (step("l", LIMIT), *tails[0:1], *tails[2:])}),
        Topic("renal_bands", [list(_band_slots(book, drug)) for drug in limited], {"band": (step("b", BAND), *tails)}),
        Topic("renal_section", [[_section_slots(book, drug)] for drug in limited],
              {"section": (step("s", SECTION), *tails[0:1], *tails[2:])}),
        Topic("renal_drill", [list(_limit_slots(book, drug)) for drug in limited], {"limit": (step("n", DRILL),)}, _four_values,
              frozenset(f"{kind}{at}" for kind in "vsd" for at in (1, 2, 3, 4))),
        Topic("renal_free", [[Case("free", (drug.id,), _drug(book, drug), _free_facts(drug))] for drug in free],
              {"free": (step("f", FREE),)},
              _any_value, frozenset(("value", "value2"))),
        Topic("limit_account", [list(_limit_slots(book, drug)) for drug in limited],
              {"limit": (step("l", _accounts("limit")), *tails[0:1], *tails[2:])}),
        Topic("band_account", [list(_band_slots(book, drug)) for drug in limited], {"band": (step("b", _accounts("band")), *tails)}),
        Topic("side_account", [list(_limit_slots(book, drug)) for drug in limited], {"limit": (step("s", _accounts("side")),)}, _a_side,
              frozenset(("value", "side"))),
    )


def _accounts(fact: str) -> Genres:
    return {"account": wordings("documents", fact)}


def _drug(book: FactBook, drug: Drug) -> dict[str, str]:
    slots = drug_slots(book, drug)
    return {**slots, "a_class_is": f"is {slots['a_class']}"}


def _free_facts(drug: Drug) -> dict[str, tuple[str, ...]]:
    return {"": tuple(f"{drug.id}.renal.{number}" for number in range(len(drug.renal)))}


def _edges(drug: Drug, measure: str) -> list[float]:
    return [band.below for band in bands(drug) if band.measure == measure and band.below is not None]


def _limits_are(drug: Drug, measure: str) -> str:
    edges = [number(edge) for edge in _edges(drug, measure)]
    return f"the limit is {edges[0]}" if len(edges) == 1 else f"the limits are {listed(edges)}"


def _risk(book: FactBook, drug: Drug, band: Band) -> dict[str, str]:
    """Slots that only a restricted band has: what happens otherwise, and what to use instead."""
    if band.action == "none":
        return {}
    slots = instead_slots(book, _instead(book, drug, band))
    if band.effect:
        slots["effect"] = book.name("effects", band.effect)
    if band.dose:
        slots |= {"dose": band.dose, "capital_dose": capital(band.dose)}
    return slots


def _instead(book: FactBook, drug: Drug, band: Band) -> tuple[str, ...]:
    """What to give where the band says avoid: drugs that are not avoided themselves in the middle of the band."""
    inside = (band.at_least + band.below) / 2 if band.below else band.at_least + 1
    return renal_alternatives(book.kb, drug, inside) if band.action == "avoid" else ()


def _facts(drug: Drug, *found: Band) -> dict[str, tuple[str, ...]]:
    return {"": tuple(f"{drug.id}.renal.{at}" for band in found for at in band.numbers),
            "instead": instead_facts(drug, "renal")}


def _case_slots(book: FactBook, drug: Drug) -> Iterator[Case]:
    for band in bands(drug):
        limits_are = _limits_are(drug, band.measure) if _edges(drug, band.measure) else None
        if limits_are:
            slots = {**_drug(book, drug), **_risk(book, drug, band), "measure": band.measure, "limits_are": limits_are,
                     "Limits_are": capital(limits_are),
                     "done": DONE[band.action], "word": WORD[band.action], "order": ORDER[band.action]}
            yield Case("band", (drug.id,), slots, _facts(drug, band), band, instead_names(_instead(book, drug, band)))


def _limit_slots(book: FactBook, drug: Drug) -> Iterator[Case]:
    for low, high in limits(drug):
        slots = {**_drug(book, drug), **_risk(book, drug, low), "measure": low.measure,
                 "a_measure": "an eGFR" if low.measure == "eGFR" else "a CrCl",
                 "limit": number(low.below), "unit": "mL/min", "low_done": DONE[low.action], "high_done": DONE[high.action],
                 "low_word": WORD[low.action],
                 "high_word": WORD[high.action], "low_do": {"none": "stop"}.get(low.action, low.action)}
        yield Case("limit", (drug.id,), slots, _facts(drug, low, high), (low, high), instead_names(_instead(book, drug, low)))


def _band_slots(book: FactBook, drug: Drug) -> Iterator[Case]:
    for band in bands(drug):
        slots = {**_drug(book, drug), **_risk(book, drug, band), "measure": band.measure, "band": band_text(band),
                 "done": DONE[band.action],
                 "word": WORD[band.action]}
        yield Case("band", (drug.id,), slots, _facts(drug, band), band, instead_names(_instead(book, drug, band)))


def _section_slots(book: FactBook, drug: Drug) -> Case:
    found = bands(drug)
    edges = list(dict.fromkeys(number(edge) for band in found if (edge := band.below) is not None))
    worst = found[0]
    slots = {**_drug(book, drug), **_risk(book, drug, worst), "measure": listed(list(dict.fromkeys(band.measure for band in found))),
             "limit_count": {1: "one", 2: "two", 3: "three", 4: "four"}.get(len(edges), str(len(edges))),
             "limit_noun": "limit" if len(edges) == 1 else "limits",
             "limit_list": listed(edges), "band_orders": "; ".join(f"{band_text(band)}, {WORD[band.action]}" for band in found),
             "band_states": ". ".join(f"{band_text(band)}: {DONE[band.action]}" for band in found),
             "band_row": " | ".join(f"{band_text(band)}: {WORD[band.action]}" for band in found)}
    return Case("section", (drug.id,), slots, _facts(drug, *found), names=instead_names(_instead(book, drug, worst)))


@lru_cache(maxsize=None)
def values_in(drug: str, band: Band) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Whole values strictly inside the band, all and those within ten of an edge. Values of dev and exam questions stay unread."""
    low, high = max(band.at_least, LOWEST), min(band.below or HIGHEST, HIGHEST)
    inside = range(int(low) + 1, max(int(low) + 2, int(high) + (high != int(high))))
    values = tuple(value for value in inside if part_of_value(drug, value) == "train") or tuple(inside)[:1]
    near = tuple(value for value in values if (band.at_least and value - band.at_least <= 10) or (band.below and band.below - value <= 10))
    return values, near or values


def value_in(drug: str, band: Band, rng: Random) -> int:
    return rng.choice(values_in(drug, band)[rng.random() < 0.5])


def comparison(band: Band, value: float) -> str:
    """"28 is below 30", "38 is above 30 and below 45"."""
    sides = [f"above {number(band.at_least)}"] if band.at_least else []
    return f"{number(value)} is {listed(sides + ([f'below {number(band.below)}'] if band.below is not None else []))}"


def _value_in_band(case: Case, rng: Random) -> Varied:
    value = value_in(case.drugs[0], case.data, rng)
    return Varied({"value": number(value), "compare": comparison(case.data, value)})


def _any_value(case: Case, rng: Random) -> Varied:
    return Varied({"value": str(rng.randrange(8, 110)), "value2": str(rng.randrange(8, 110))})


def _four_values(case: Case, rng: Random) -> Varied:
    """Values around one limit, each with its side and what then happens; the last is there only for frames of four."""
    drug, sides = case.drugs[0], rng.sample(((case.data[0], "below"), (case.data[1], "above")) * 2, 4)
    slots, used = {}, set()
    for at, (band, side) in enumerate(sides, start=1):
        value = value_in(drug, band, rng)
        if value in used:
            value = value_in(drug, band, rng)
        used.add(value)
        slots |= {f"v{at}": str(value), f"s{at}": side, f"d{at}": WORD[band.action]}
    return Varied(slots)


def _a_side(case: Case, rng: Random) -> Varied:
    band, side = rng.choice(tuple(zip(case.data, ("below", "above"), strict=True)))
    return Varied({"value": str(value_in(case.drugs[0], band, rng)), "side": side})
