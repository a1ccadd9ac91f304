"""Interaction tables as people bring them → one ImportedInteraction a pair of drugs.

The two drug columns, severities, effects and sources are known by their headers. Every severity column is one scale; the words stay as they
were, and the worst of them in our five steps is the pair's severity. Tables have a row an event, so a pair repeats: its rows are merged.
Pairs have no order: warfarin with aspirin is aspirin with warfarin. The pairs, not the rows, must fit in memory.
"""
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, Unusable, plain
from pharmgpt.corpus.importers.tables import Row, rows

Severity = Literal["contraindicated", "major", "moderate", "minor", "unknown"]
WORDS: dict[Severity, tuple[str, ...]] = {  # BNF, ANSM's four steps ("not recommended" is its second), Micromedex, Lexicomp's letters
    "contraindicated": ("contraindicated", "contraindication", "contre-indication", "avoid combination", "x"),
    "major": ("major", "severe", "serious", "high", "not recommended", "d"),
    "moderate": ("moderate", "medium", "significant", "precautions for use", "precaution for use", "monitor closely", "c"),
    "minor": ("minor", "mild", "low", "take into consideration", "take into account", "b"),
    "unknown": ("unknown", "none", "n/a", "na"),
}
STEPS: dict[str, Severity] = {word: severity for severity, words in WORDS.items() for word in words}
DRUG_HEADERS = (
    ("drug_a", "drug_b"), ("drug_1", "drug_2"), ("drug1", "drug2"), ("drug_1_concept_name", "drug_2_concept_name"), ("name_a", "name_b"),
    ("drug_1_name", "drug_2_name"), ("drug1_name", "drug2_name"), ("drug_name_1", "drug_name_2"), ("drug_a_name", "drug_b_name"),
    ("object_drug", "precipitant_drug"), ("object", "precipitant"), ("drug", "interacting_drug"), ("ingredient_1", "ingredient_2"),
    ("substance_1", "substance_2"))
SEVERITY_HEADER = re.compile(r"(^|_)(sev|severity|seriousness|ddi_level)(_|$)|^(level|risk|risk_rating|risk_level|interaction_level)$")
EFFECT_HEADER = re.compile(r"^((adverse_)?event|event_concept_name|(clinical_)?effects?|(interaction_)?description|interaction)$")
NO_SCALE = re.compile(r"sev|severity|level|ddi|risk|rating|interaction|seriousness", re.I)
SOURCE_HEADER = re.compile(r"^(event_)?(sources?|references?)$")


@dataclass(frozen=True, slots=True)
class ImportedInteraction:
    """A pair of drugs in alphabetical order. `severities` are as given, "BNF: Severe"; `severity` is the worst of them."""

    id: str
    drug_a: str
    drug_b: str
    severity: Severity
    severities: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Columns(NamedTuple):
    """Where a table holds what; `severities` are (column, scale)."""

    drugs: tuple[int, int]
    severities: tuple[tuple[int, str], ...]
    effects: tuple[int, ...]
    sources: tuple[int, ...]


def interactions(file: Path, layout: str, ledger: Ledger) -> Iterator[ImportedInteraction]:
    """One record a row, not yet merged."""
    table = rows(file, layout, ledger)
    header = next(table, None)
    columns = find_columns(header.cells if header else [], file)
    for row in table:
        ledger.read += 1
        try:
            yield _interaction(row, len(header.cells), columns, ledger)
        except Unusable as reason:
            ledger.drop(str(reason))
        except ImportRefused as error:
            ledger.drop_bad(str(error))


def add_row(pairs: dict[str, ImportedInteraction], row: ImportedInteraction) -> bool:
    """True if the row begins a pair; else it is merged: the worst severity, all words, effects and sources in the order met."""
    is_new = row.id not in pairs
    pairs[row.id] = row if is_new else _merge(pairs[row.id], row)
    return is_new


def find_columns(header: list[str], file: Path) -> Columns:
    """Columns by their headers; raises ImportRefused with the headers found where two drug columns are not among them."""
    names = [fold_header(name) for name in header]
    drugs = next((pair for pair in DRUG_HEADERS if set(pair) <= set(names)), None)
    if drugs is None:
        raise ImportRefused(f"{file}, line 1: no two drug columns among {', '.join(map(plain, header[:12])) or 'no columns'}. "
                            "Rename the two that hold drug names to drug_a and drug_b.")
    return Columns((names.index(drugs[0]), names.index(drugs[1])),
                   tuple((at, _scale(header[at])) for at in _matching(names, SEVERITY_HEADER)),
                   _matching(names, EFFECT_HEADER), _matching(names, SOURCE_HEADER))


def fold_header(name: str) -> str:
    """"Drug 1 (name)" → drug_1_name."""
    return "_".join(re.findall(r"[a-z0-9]+", name.lower()))


def is_interaction_header(header: list[str]) -> bool:
    names = {fold_header(name) for name in header}
    return any(set(pair) <= names for pair in DRUG_HEADERS)


def _matching(names: list[str], pattern: re.Pattern) -> tuple[int, ...]:
    return tuple(at for at, name in enumerate(names) if pattern.search(name) and "evid" not in name)


def _scale(header: str) -> str:
    """BNF_SEV_LEVEL is the scale BNF; a plain "severity" names none."""
    return " ".join(word for word in re.findall(r"[^\W_]+", header) if not NO_SCALE.fullmatch(word))


def _interaction(row: Row, width: int, columns: Columns, ledger: Ledger) -> ImportedInteraction:
    if len(row.cells) != width:
        raise ImportRefused(f"{row.place}: {len(row.cells)} cells under a header of {width}. Put cells that hold the delimiter in quotes.")
    drug_a, drug_b = sorted(row.cells[at].lower() for at in columns.drugs)
    if not drug_a or not drug_b:
        raise Unusable("no drug name")
    if drug_a == drug_b:
        raise Unusable("a drug with itself")
    given = [(scale, row.cells[at]) for at, scale in columns.severities if row.cells[at]]
    return ImportedInteraction(
        f"{drug_a}+{drug_b}", drug_a, drug_b, _worst(_step(word, ledger) for _, word in given),
        tuple(f"{scale}: {word}" if scale else word for scale, word in given),
        tuple(row.cells[at] for at in columns.effects if row.cells[at]), tuple(row.cells[at] for at in columns.sources if row.cells[at]))


def _step(word: str, ledger: Ledger) -> Severity:
    folded = word.lower().strip(" .")
    if folded not in STEPS:
        ledger.notes[f"severity not known: {plain(word[:40])}"] += 1
    return STEPS.get(folded, "unknown")


def _worst(steps: Iterable[Severity]) -> Severity:
    return min(steps, key=list(WORDS).index, default="unknown")


def _merge(one: ImportedInteraction, two: ImportedInteraction) -> ImportedInteraction:
    joined = (tuple(dict.fromkeys(getattr(one, name) + getattr(two, name))) for name in ("severities", "effects", "sources"))
    return ImportedInteraction(one.id, one.drug_a, one.drug_b, _worst((one.severity, two.severity)), *joined)
