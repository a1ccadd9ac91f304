"""A drug by itself: class, use, mechanism, harms, tests and alternatives; and its class as a whole."""
from collections.abc import Iterator

from pharmgpt.corpus.cases import SHOWS, effects_of
from pharmgpt.corpus.facts import FactBook, drug_slots, instead_slots
from pharmgpt.corpus.frames import Case, Topic, by_name, step
from pharmgpt.corpus.phrasing import capital, listed, plural
from pharmgpt.corpus.split import avoided_in_pregnancy
from pharmgpt.knowledge.schema import Drug, Effect

MOST_EFFECTS = 4

PROFILE = {
    "monograph": ("{Drug} is {a_class} for {uses}. It {mechanism}.", "{Drug}, {a_class}, {mechanism}.", "{Drug} is used in {uses}."),
    "exam_note": ("Class of {drug}? {Drug} is {a_class}.", "How does {drug} work? It {mechanism}.",
                  "{Drug} belongs to the {classes} and treats {uses}."),
    "leaflet": ("Your medicine is {drug}, {a_class}. It is taken for {uses}.",),
    "table_row": ("{drug} | {class} | {uses}",),
    "dialogue": ("Student: What is {drug}? Pharmacist: {Drug} is {a_class}, used in {uses}.",),
}
CLASS = {
    "class_overview": ("{Classes} in this handbook: {members}.", "{members} {are} all {classes}.", "The {classes} include {drug}."),
    "table_row": ("{class} | {members}",),
}
MORE_CLASS = ("{Drug} counts as {a_class}.", "Being {a_class}, {drug} behaves as {classes} do.")

HARMS = {
    "hazard": {"monograph": ("{Drug} by itself carries a risk of {effect}.", "{Drug} adds to {effect}.",
                             "{Drug} brings these hazards: {effects}."),
               "exam_note": ("Hazards of {drug}: {effects}.", "{Drug} is among the drugs that add to {effect}."),
               "table_row": ("{drug} | hazards | {effects}",),
               "interaction_bulletin": ("{Drug} with any other drug that causes {effect}: the harm adds up.",)},
    "serious": {"label_section": ("Warnings for {drug}: {effects}.", "{Drug} may lead to {effect}."),
                "leaflet": ("Rarely, {drug} causes {effect}. Get help at once.",),
                "exam_note": ("Serious harms of {drug}: {effects}.", "The serious side of {drug} is {effect}."),
                "table_row": ("{drug} | serious | {effects}",)},
    "boxed": {"label_section": ("Boxed warning of {drug}: {effects}.", "The label of {drug} carries a boxed warning about {effect}."),
              "exam_note": ("What does the box on {drug} say? {effects}.",), "table_row": ("{drug} | boxed warning | {effects}",)},
    "common": {"leaflet": ("Common with {drug}: {effects}.", "Many people on {drug} get {effect}."),
               "table_row": ("{drug} | common | {effects}",),
               "monograph": ("{Drug} often gives {effect}.",)},
    "unboxed": {"label_section": ("{Drug} has no boxed warning.",)},
}
TESTS = {
    "monograph": ("{Drug} calls for checks of {tests}.", "On {drug} one follows {test}."),
    "label_section": ("Monitoring. {Drug}: {tests}.", "Patients on {drug} have {tests} checked."),
    "case_note": ("{place}: on {drug}, so {tests} were ordered.", "{person} on {drug}. Due: {tests}."),
    "dialogue": ("Nurse: What do we check on {drug}? Pharmacist: {tests}.", "Student: {Drug} today. Which tests? Consultant: {tests}."),
    "leaflet": ("While you take {drug} we check your {tests}.",),
    "exam_note": ("Tests that belong to {drug}: {tests}.", "{Drug} and its tests: {tests}."),
    "table_row": ("{drug} | checks | {tests}",),
}
TEST_WHY = ("{Test} is for {effect}.", "With {test} one catches {effect} early.")
PROBLEMS = {"renal": "because of weak kidneys", "pregnancy": "in pregnancy", "interaction": "because of an interaction",
            "contraindication": "because of a contraindication",
            "any": "for any reason"}
WHEN_OUT = {
    "monograph": ("When {drug} is out {problem}, {instead} can step in.",),
    "exam_note": ("Substitute for {drug} {problem}: {instead}.",),
    "table_row": ("{drug} | if out {problem} | {instead}",),
}
OUT = {
    "monograph": (*WHEN_OUT["monograph"], "{Drug} out {problem}: choose {instead}."),
    "exam_note": (*WHEN_OUT["exam_note"], "{Drug} cannot be given {problem}. Then {instead}."),
    "dialogue": ("Doctor: No {drug} {problem}. What now? Pharmacist: {instead}.",),
    "table_row": ("{drug} | out {problem} | {instead}",),
    "case_note": ("{place}: {drug} stopped {problem}, {instead} chosen.",),
}


def topics(book: FactBook) -> dict[str, Topic]:
    drugs = list(book.kb.drugs.values())
    harms = {kind: (step(kind[0], frames),) for kind, frames in HARMS.items()}
    return by_name(
        Topic("profile", [[_profile(book, drug)] for drug in drugs], {"profile": (step("p", PROFILE),)}),
        Topic("class", [[_class(book, drug, cls) for cls in drug.classes] for drug in drugs],
              {"class": (step("c", CLASS), step("m", MORE_CLASS, 0.4))}),
        Topic("harm", [list(_harms(book, drug)) for drug in drugs], harms),
        Topic("monitoring", [_tests(book, drug) for drug in drugs], {"tests": (step("t", TESTS), step("w", TEST_WHY, 0.4))}),
        Topic("alternative", [_others(book, drug) for drug in drugs], {"out": (step("o", OUT),), "when": (step("w", WHEN_OUT),)}),
    )


def _profile(book: FactBook, drug: Drug) -> Case:
    slots = {**drug_slots(book, drug), "uses": listed(book.names("conditions", drug.indications)), "mechanism": drug.mechanism}
    return Case("profile", (drug.id,), slots,
                {"": (f"{drug.id}.class",), "uses": (f"{drug.id}.indication",), "mechanism": (f"{drug.id}.mechanism",)})


def _class(book: FactBook, drug: Drug, cls: str) -> Case:
    members = [other for other in book.kb.drugs.values() if cls in other.classes]
    name = book.name("classes", cls)
    kept = sorted((other.name for other in members), key=lambda other: other != drug.name)[:6]
    slots = {**drug_slots(book, drug), "a_class": f"one of the {plural(name)}", "class": name, "classes": plural(name),
             "Classes": capital(plural(name)),
             "members": listed(kept)}
    if len(kept) > 1:
        slots["are"] = "are"
    return Case("class", (drug.id,), slots, {"": (f"{drug.id}.class",)},
                names={"members": tuple(other.id for other in members if other.name in kept)})


def _harms(book: FactBook, drug: Drug) -> Iterator[Case]:
    """Boxed warnings and hazards carry decisions: they are met twice as often as each common effect."""
    lists: dict[str, tuple[Effect, ...]] = {"hazard": drug.hazards, "serious": drug.serious_effects, "boxed": drug.boxed_warnings,
                                            "common": drug.common_effects}
    for kind, entries in lists.items():
        for at, entry in enumerate(entries):
            shown = (entries[at:] + entries[:at])[:MOST_EFFECTS]
            slots = {**drug_slots(book, drug), "effect": book.name("effects", entry.effect),
                     "effects": listed(book.names("effects", (each.effect for each in shown)))}
            facts = {"": (f"{drug.id}.{kind}.{entry.effect}",), "effects": tuple(f"{drug.id}.{kind}.{each.effect}" for each in shown)}
            yield from [Case(kind, (drug.id,), slots, facts)] * (2 if kind in ("hazard", "boxed") else 1)
    if not drug.boxed_warnings:
        yield Case("unboxed", (drug.id,), drug_slots(book, drug))


def _tests(book: FactBook, drug: Drug) -> list[Case]:
    every = tuple(f"{drug.id}.monitoring.{entry.parameter}" for entry in drug.monitoring)
    tests = listed(book.names("parameters", (entry.parameter for entry in drug.monitoring))) if drug.monitoring else ""
    return [Case("tests", (drug.id,), {**drug_slots(book, drug), **_test(book, drug, entry.parameter), "tests": tests},
                 {"": (f"{drug.id}.monitoring.{entry.parameter}",), "tests": every}) for entry in drug.monitoring]


def _test(book: FactBook, drug: Drug, parameter: str) -> dict[str, str]:
    """One test and, where it can show a harm of the drug, that harm."""
    test = book.name("parameters", parameter)
    shown = next((effect for effect in effects_of(drug) if effect in SHOWS.get(parameter, ())), None)
    return {"test": test, "Test": capital(test)} | ({"effect": book.name("effects", shown)} if shown else {})


def _others(book: FactBook, drug: Drug) -> list[Case]:
    return [Case("out" if _is_out(drug, entry.problem) else "when", (drug.id, *entry.drugs[:2]),
                 {**drug_slots(book, drug), **instead_slots(book, entry.drugs), "problem": PROBLEMS[entry.problem]},
                 {"": (f"{drug.id}.alternative.{entry.problem}",)}) for entry in drug.alternatives if entry.drugs]


def _is_out(drug: Drug, problem: str) -> bool:
    """Whether the problem can rule the drug out: kidneys and pregnancy only where the record says avoid."""
    if problem == "renal":
        return any(rule.action == "avoid" for rule in drug.renal)
    return problem != "pregnancy" or avoided_in_pregnancy(drug)
