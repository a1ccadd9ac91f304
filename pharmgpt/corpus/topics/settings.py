"""Pregnancy, breastfeeding and liver disease: what is done with a drug there, why, and what else there is."""
from dataclasses import replace

from pharmgpt.corpus.cases import alternatives
from pharmgpt.corpus.facts import FactBook, drug_slots, instead_facts, instead_names, instead_slots
from pharmgpt.corpus.frames import Case, Genres, Topic, by_name, step
from pharmgpt.corpus.split import avoided_in_pregnancy
from pharmgpt.corpus.wordings import wordings
from pharmgpt.knowledge.schema import Advice, Drug

STATE = {"avoid": "avoided", "reduce": "reduced", "monitor": "monitored", "none": "safe"}
WORD = {"avoid": "avoid", "reduce": "reduce the dose", "monitor": "monitor", "none": "safe"}
ORDER = {"avoid": "avoid it", "reduce": "reduce the dose", "monitor": "keep it and monitor", "none": "it is safe to keep"}

SETTINGS = {
    "pregnancy": {"setting": "pregnancy", "Setting": "Pregnancy", "in_setting": "in pregnancy", "In_setting": "In pregnancy",
                  "who": "{woman} who is pregnant",
                  "people": "pregnant women"},
    "lactation": {"setting": "breastfeeding", "Setting": "Breastfeeding", "in_setting": "during breastfeeding",
                  "In_setting": "During breastfeeding",
                  "who": "{woman} who breastfeeds",
                  "people": "breastfeeding mothers"},
    "hepatic": {"setting": "liver disease", "Setting": "Liver disease", "in_setting": "in liver disease", "In_setting": "In liver disease",
                "who": "{person} with liver disease",
                "people": "patients with liver disease"},
}
ADVICE = {
    "label_section": ("{Setting}. {Drug} is {state} {in_setting}.", "Use {in_setting}. {Drug}: {word}.",
                      "{Drug}, use in {people}: {word}.",
                      "Guidance on {setting} says that {drug} is {state}."),
    "monograph": ("{Drug} {in_setting} is {state}.", "{Drug} is {state} {in_setting}.", "{Drug} is {a_class}; {in_setting} it is {state}.",
                  "As for {setting}, {drug} is {state}.", "{In_setting} {drug} is {state}."),
    "case_note": ("WHO takes {drug}. {Drug} is {state} {in_setting}: {order}.", "WHO asks about {drug}. Noted: {drug} is {state}.",
                  "{place}. {Setting}, {drug} on the chart. What holds for {drug}: {word}.",
                  "The team goes through the list {in_setting} and writes: {drug} is {state}."),
    "dialogue": ("Midwife: May she stay on {drug}? Pharmacist: {Drug} is {state} {in_setting}.",
                 "Student: {Drug} and {setting}? Consultant: {word}.",
                 "Nurse: {Setting}, and {drug} is prescribed. Doctor: {Drug} is {state}, so {order}."),
    "leaflet": ("{Setting} and {drug}: {drug} is {state}.", "If you take {drug}: it is {state} {in_setting}.",
                "You should know that {in_setting} {drug} is {state}."),
    "exam_note": ("{Drug} {in_setting}, one word: {state}.", "Remember for {setting}: {drug} is {state}.",
                  "True or false: {in_setting}, {drug} is {state}. True."),
    "table_row": ("{drug} | {setting} | {word}", "{setting} list | {drug} | {state}"),
}
NOT_FOR_LIVER = ("Midwife",)
WHY = ("The reason is {effect}.", "What one fears is {effect}.", "{effect} is the concern with {drug}.")
INSTEAD = ("Instead of {drug}: {instead}.", "{instead} would take its place.", "Change {drug} to {instead}.")


def topics(book: FactBook) -> dict[str, Topic]:
    told = _topic(book, "pregnancy", {"account": wordings("documents", "pregnancy")})
    return by_name(*(_topic(book, setting, _frames(setting)) for setting in SETTINGS), replace(told, name="pregnancy_account"))


def _frames(setting: str) -> Genres:
    words = SETTINGS[setting]
    return {genre: tuple(text.replace("WHO", words["who"]) for text in texts if setting != "hepatic" or not text.startswith(NOT_FOR_LIVER))
            for genre, texts in ADVICE.items()}


def _topic(book: FactBook, setting: str, frames: Genres) -> Topic:
    groups = [[_case(book, drug, setting, getattr(drug, setting))] for drug in book.kb.drugs.values() if getattr(drug, setting)]
    instead = (step("i", INSTEAD, 0.4),) if setting == "pregnancy" else ()
    return Topic(setting, groups, {"advice": (step("a", frames), step("w", WHY, 0.45), *instead)})


def _case(book: FactBook, drug: Drug, setting: str, advice: Advice) -> Case:
    words = {key: text for key, text in SETTINGS[setting].items() if key != "who"}
    names: dict[str, tuple[str, ...]] = {}
    slots = {**drug_slots(book, drug), **words, "state": STATE[advice.action], "word": WORD[advice.action], "order": ORDER[advice.action]}
    if advice.effect and advice.action != "none":
        slots["effect"] = book.name("effects", advice.effect)
    if setting == "pregnancy" and advice.action == "avoid":
        others = [other for other in alternatives(drug, "pregnancy") if not avoided_in_pregnancy(book.kb.drugs[other])]
        slots |= instead_slots(book, others)
        names = instead_names(others)
    return Case("advice", (drug.id,), slots, {"": (f"{drug.id}.{setting}",), "instead": instead_facts(drug, "pregnancy")}, names=names)
