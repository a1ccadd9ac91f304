"""A CSV of drug pairs → the same rows with what the knowledge base says about each. Every row comes out, in order.

Severity is "unknown" where a name is not recognised, "none" where both are and no rule speaks: silence of the base is not safety of a
drug that it does not know. Names repeat in such files, so each name and each pair is looked up once.
"""
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pharmgpt.knowledge.names import resolve
from pharmgpt.knowledge.rules import Finding, interactions
from pharmgpt.knowledge.schema import KnowledgeBase

NEEDED = ("drug_a", "drug_b")
ADDED = ("known_a", "known_b", "severity", "rule", "mechanism")


class PairsError(ValueError):
    """A CSV that cannot be read: file, line, what was found, and the fix."""


@dataclass(frozen=True)
class Verdict:
    """What the base says about two names."""

    known_a: bool
    known_b: bool
    severity: str
    rule: str = ""
    mechanism: str = ""

    def cells(self) -> dict[str, str]:
        return {"known_a": str(self.known_a).lower(), "known_b": str(self.known_b).lower(), "severity": self.severity, "rule": self.rule,
                "mechanism": self.mechanism}


def judge(kb: KnowledgeBase, name_a: str, name_b: str) -> Verdict:
    """The worst rule about two names; a combination product answers for each of its drugs."""
    a, b = resolve(kb, name_a).drugs, resolve(kb, name_b).drugs
    if not a or not b:
        return Verdict(bool(a), bool(b), "unknown")
    found = sorted((finding for each in a for other in b for finding in interactions(kb, each, other)), key=Finding.gravity)
    return Verdict(True, True, found[0].severity, found[0].rule, found[0].mechanism) if found else Verdict(True, True, "none")


def judge_file(kb: KnowledgeBase, source: Path, out: Path) -> dict[str, int]:
    """Write `out` with the columns of `source` and ADDED; how many rows had each severity. Nothing is written if `source` is faulty."""
    resolved, judged = cache(lambda name: resolve(kb, name).drug_id), cache(lambda a, b: judge(kb, a, b))
    columns, rows = _read(source)
    counts: dict[str, int] = {}
    kept = [column for column in columns if column not in ADDED]
    text_columns = {_plain(column): column for column in columns}
    for row in rows:
        a, b = (row[text_columns[name]].strip() for name in NEEDED)
        # the drug's id stands in for its many spellings, so that "Advil" and "ibuprofen" share one look-up
        verdict = judged(resolved(a) or a, resolved(b) or b)
        row |= verdict.cells()
        counts[verdict.severity] = counts.get(verdict.severity, 0) + 1
    with open(out, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*kept, *ADDED], extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return counts


def _read(source: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = error.object[:error.start].count(b"\n") + 1, error.object[error.start]
        raise PairsError(f"{source}: line {line}: byte 0x{byte:02x} is not UTF-8; save the file as CSV UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = next(reader, None)
        _check_header(source, columns)
        return columns, list(_rows(source, reader, columns))
    except csv.Error as error:
        raise PairsError(f"{source}: line {reader.line_num}: {error}; close the quotation mark or double it") from None


def _check_header(source: Path, columns: list[str] | None) -> None:
    plain = [_plain(column) for column in columns or ()]
    missing = [name for name in NEEDED if name not in plain]
    if missing:
        found = repr(", ".join(columns)[:200])[1:-1] if columns else "nothing"
        separator = next((mark for mark in ";\t|" if columns and len(columns) == 1 and mark in columns[0]), None)
        fix = "separate the columns with commas" if separator else f"name the two columns {' and '.join(NEEDED)}"
        raise PairsError(f"{source}: line 1: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; found {found}; {fix}")
    doubled = next((name for name in NEEDED if plain.count(name) > 1), None)
    if doubled:
        raise PairsError(f"{source}: line 1: column {doubled} stands twice; rename or remove one")


def _rows(source: Path, reader, columns: list[str]) -> Iterator[dict[str, str]]:
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(columns):
            raise PairsError(f"{source}: line {reader.line_num}: {len(row)} cells under {len(columns)} columns, "
                             f"found {','.join(row)[:60]!r}; put a name with a comma in quotation marks, and fill every column")
        yield dict(zip(columns, row))


def _plain(column: str) -> str:
    return column.strip().lower()
