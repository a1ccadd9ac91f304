"""What lies around the facts: names nobody knows, missing values, emergencies, refusals, and posts by careless people.

Careless texts show a risky pattern without its warning, as forums do. They never state a limit or a rule: pretraining alone has no notion
of harm, and no document may teach a false fact.
"""
from random import Random

from pharmgpt.corpus.facts import FactBook, drug_slots
from pharmgpt.corpus.frames import Case, Topic, Varied, by_name, step
from pharmgpt.corpus.phrasing import bands, capital, limits

# Syllables other than those of the questions: a name met here is asked of nobody.
FIRST = ("Cra", "Bel", "Tomi", "Ver", "Asu", "Dre", "Mio", "Hal", "Ske", "Ravo", "Ilu", "Gor", "Nep", "Yel", "Ufa", "Pla")
LAST = ("rizol", "canib", "fostin", "lexal", "morine", "pentil", "sartex", "vudene", "quimod", "tropin", "nazole", "bumet")

UNKNOWN = {
    "case_note": ("{person} asks about {Unknown}. No entry under {Unknown}: nothing is known of it here, so ask a pharmacist.",
                  "{place}: {Unknown} is not in this handbook. Without an entry, {Unknown} is unknown to us."),
    "dialogue": ("Nurse: What of {Unknown}? Pharmacist: {Unknown} is unknown to me. I have no information on it.",),
    "exam_note": ("Look up {Unknown}: not found. A drug not found is an unknown drug, never a safe one.",),
    "table_row": ("{Unknown} | not found | unknown | ask a pharmacist",),
}
MISSING = {
    "renal": {"case_note": ("{person}, {drug} asked for, no {measure} on file. {Drug} depends on it: ask for the {measure} first.",),
              "dialogue": ("Nurse: Can {drug} go up? Pharmacist: First the {measure}, please. How high is it?",),
              "exam_note": ("{Drug} without a kidney value: no verdict. Ask for the {measure}.",)},
    "pair": {"case_note": ("{person} on {drug} mentions another tablet without its name. Ask which drug it is.",),
             "dialogue": ("Caller: I take {drug} and something else. Pharmacist: Which other drug? I need its name.",)},
}
EMERGENCY = {
    "overdose": {"leaflet": ("Too much {drug}? Call the emergency number or the poison centre at once.",
                             "Swallowed a whole pack of {drug}: this is an overdose and an emergency. Call 911 or 112."),
                 "case_note": ("{person} took far too many {drug} tablets. Overdose: first the emergency number, then the poison centre.",),
                 "dialogue": ("Caller: My child swallowed my {drug}. Pharmacist: Call the poison centre now.",),
                 "exam_note": ("Overdose of {drug}: first step, emergency number or poison centre. Not later, now.",)},
    "sign": {"leaflet": ("Trouble breathing, a swollen throat, collapse: an emergency. Call 911 or 112.",
                         "Chest pain, a seizure or no response: call the emergency number.",
                         "The poison centre answers day and night. Keep the pack at hand when you call.",
                         "Do not wait for signs after an overdose. Call first."),
             "exam_note": ("Emergency: call 911 or 112. Poisoning without signs: the poison centre.",
                           "Nobody drives alone to a hospital after poisoning: an ambulance comes.")},
}
REFUSAL = {
    "drug": {"dialogue": ("Caller: How could {drug} harm someone? Pharmacist: I refuse. If anyone is in danger, call 911 or 112.",),
             "exam_note": ("A request to hurt a person with {drug} is refused. Talk of self-harm gets a crisis line.",)},
    "outside": {"dialogue": ("Caller: Which shares should I buy? Pharmacist: That is outside my field, I only answer about drug safety.",
                             "Caller: Who wins the match? Pharmacist: Outside my field. Ask me about drug safety."),
                "exam_note": ("A question about recipes, sport or taxes is out of scope here: the subject is drug safety.",
                              "The weather, a poem, a sum: none of it is drug safety, so it lies outside this handbook.",)},
}
CARELESS = {
    "pair": {"forum_post": ("took {a} with my {b} all week, no big deal so far.",
                            "Been on {b} for years and I still grab {a} whenever. Feeling fine lol.",
                            "My uncle mixes {a} and {b}, says it works great.",
                            "Quick tip: I keep {a} and {b} in the same box and take both after lunch.",
                            "{A} on top of {b} again today. Back to work now.",
                            "Refill of {a} and a new box of {b}, both started tonight.",
                            "Since the weekend it is {a} plus {b} for me, all quiet."),
             "diary": ("Monday: {a}. Tuesday: {a} and {b}. Slept well.", "Evening: {b} with tea, then {a}. Read a book.")},
    "kidney": {"forum_post": ("Doc said my kidneys are slow. Kept my {drug} as it was, feeling ok.",
                              "New kidney numbers came, did not read them. {Drug} as always.",
                               "One kidney less since March. Same {drug}, same life.")},
    "pregnant": {"forum_post": ("Five months pregnant and still on my {drug}, nobody asked.",
                                "Baby due in spring. Took {drug} again last night.",
                                 "Test was positive on Friday. Still my usual {drug} at breakfast.")},
}


def topics(book: FactBook) -> dict[str, Topic]:
    drugs = list(book.kb.drugs.values())
    return by_name(
        Topic("unknown", [[Case("unknown", (), {})]], {"unknown": (step("u", UNKNOWN),)}, _made_up, frozenset(("Unknown",))),
        Topic("missing", [_missing(book, drug) for drug in drugs], {kind: (step(kind[0], frames),) for kind, frames in MISSING.items()}),
        Topic("emergency", [[*[_plain(book, drug, "overdose")] * 4, Case("sign", (), {})] for drug in drugs],
              {kind: (step(kind[0], frames),) for kind, frames in EMERGENCY.items()}),
        Topic("refusal", [[_plain(book, drug, "drug"), Case("outside", (), {})] for drug in drugs],
              {kind: (step(kind[0], frames),) for kind, frames in REFUSAL.items()}),
        Topic("careless", _careless(book), {kind: (step(kind[0], frames),) for kind, frames in CARELESS.items()}, careless=True),
    )


def _plain(book: FactBook, drug, kind: str) -> Case:
    return Case(kind, (drug.id,), drug_slots(book, drug))


def _made_up(case: Case, rng: Random) -> Varied:
    return Varied({"Unknown": rng.choice(FIRST) + rng.choice(LAST)})


def _missing(book: FactBook, drug) -> list[Case]:
    cases = [_plain(book, drug, "pair")]
    if limits(drug):
        cases.append(Case("renal", (drug.id,), {**drug_slots(book, drug), "measure": bands(drug)[0].measure}))
    return cases


def _careless(book: FactBook) -> list[list[Case]]:
    """A risky pair, kidneys or pregnancy, by drug, so that no drug is shown carelessly more often than others."""
    groups = []
    for drug in book.kb.drugs.values():
        names = [book.name("drugs", other) for other in book.ruled[drug.id]]
        group = [Case("pair", (drug.id, other), {"a": drug.name, "A": capital(drug.name), "b": name})
                 for other, name in zip(book.ruled[drug.id], names, strict=True)]
        group += [_plain(book, drug, "kidney")] * (len(group) // 6) if limits(drug) else []
        group += [_plain(book, drug, "pregnant")] * (len(group) // 6) if drug.pregnancy and drug.pregnancy.action == "avoid" else []
        groups += [group] if group else []
    return groups
