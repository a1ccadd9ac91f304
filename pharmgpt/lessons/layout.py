"""How a sheet looks to a person, and what of it a program gets."""
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pharmgpt.lessons.sheets import Column, Row, Sheet
from pharmgpt.lessons.trace import ASKED, REAL_STAGES, Stop

WIDTH = 100
SAID = "What it says now: true score, question, likeliest answer"
RULE = "(+.25 for each of four elements that is stated, −.25 for any other sentence; the opposite decision −1.5, or −.5 if over-cautious)"
NOT_ADVICE = "Not medical advice: toy models taught on sentences made for a class."


def as_text(sheet: Sheet) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in sheet.config)
    parts = [f"{sheet.lesson}   ({settings})", wrapped(f"Predict first: {sheet.predict}"), "\n".join(table(sheet))]
    if sheet.faults:
        parts.append("\n".join(["What is wrong in what was published", *faults(sheet)]))
    if sheet.answers:
        said = f"{SAID}{', as published' * bool(sheet.faults)}"
        parts.append("\n".join([said, *(wrapped(line, "  ") for line in (*sheet.answers, RULE))]))
    parts.append("\n".join(["Reading", *(wrapped(line, "  - ") for line in sheet.reading)]))
    return "\n\n".join([*parts, NOT_ADVICE])


def table(sheet: Sheet) -> Iterator[str]:
    """Aligned to the right under its headings; every row says which epoch of how many."""
    shown = shown_rows(sheet)
    total = shown[-1]["epoch"]
    lines = [["epoch", *(column.heading for column in sheet.columns)]]
    lines += [[f"{row['epoch']}/{total}", *(cell(row, column) for column in sheet.columns)] for row in shown]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    for line in lines:
        yield "   ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))


def shown_rows(sheet: Sheet) -> list[Row]:
    """The first, the last, and every so many between."""
    last = len(sheet.rows) - 1
    return [row for place, row in enumerate(sheet.rows) if place in (0, last) or row["epoch"] % sheet.every == 0]


def cell(row: Row, column: Column) -> str:
    return format(row[column.key], column.pattern).replace("-", "−") if column.key in row else "·"


def faults(sheet: Sheet) -> Iterator[str]:
    for number, fault in enumerate(sheet.faults, 1):
        yield f"  {number}. {fault.name}"
        yield f"     wrong   {fault.wrong}"
        yield f"     right   {fault.right}"
        yield wrapped(fault.how_to_know, "     seen    ")


def wrapped(text: str, first: str = "") -> str:
    """Folded at WIDTH, a minus before a number written as one."""
    return textwrap.fill(re.sub(r"(?<![\w.-])-(?=\.?\d)", "−", text), WIDTH, initial_indent=first, subsequent_indent=" " * len(first))


def trace_as_text(simulated: list[Stop], real: list[Stop], run: Path | None) -> str:
    """Each simulator's stop, and below it the real stage's."""
    by_stage = {stop.stage: stop for stop in real}
    parts = [f"“{ASKED}”"]
    for stop in simulated:
        parts.append(stop_as_text(f"{stop.stage}, simulated", stop))
        if REAL_STAGES[stop.stage] in by_stage:
            parts.append(stop_as_text(f"{stop.stage}, {run}", by_stage[REAL_STAGES[stop.stage]]))
    if run is None:
        parts.append("No finished run under runs/: after `pharmgpt run tiny` the real stages answer here too.")
    return "\n\n".join([*parts, NOT_ADVICE])


def stop_as_text(heading: str, stop: Stop) -> str:
    return "\n".join([heading, *(wrapped(line, "  ") for line in stop.lines)])


def as_json(sheet: Sheet) -> dict:
    """Every epoch that was measured, rounded to what any machine agrees on."""
    rows = [{key: round(value, 6) for key, value in row.items()} for row in sheet.rows]
    return {"lesson": sheet.lesson, "config": sheet.config.model_dump(), "epochs": rows, "answers": sheet.answers,
            "reading": sheet.reading, "faults": [fault._asdict() for fault in sheet.faults], "note": NOT_ADVICE}
