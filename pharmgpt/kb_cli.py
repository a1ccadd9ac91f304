"""`pharmgpt kb`: read, check and ask the knowledge base, without any model. Heavy imports wait until a command runs.

Exit codes: 0 done; 1 the audit found errors; 2 bad input, also where a name was not recognised, since the answer is then incomplete.
"""
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False,
                  help="The knowledge base: list, show, audit, screen, pairs. Not medical advice.")

NOT_ADVICE = "Not medical advice: ask a pharmacist or doctor before acting on it."
FAILED, WRONG_USE = 1, 2
COLOURS = {"contraindicated": "bold red", "major": "red", "moderate": "yellow", "minor": "cyan"}
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
BaseOption = Annotated[Path | None, typer.Option("--base", help="Your own knowledge base instead of ours: a folder in its schema.")]
ExtraOption = Annotated[Path | None, typer.Option("--extra", help="A folder laid over the base: its drugs, rules and terms are added.")]


@app.command("list")
def list_drugs(base: BaseOption = None, extra: ExtraOption = None, as_json: JsonOption = False) -> None:
    """Every drug with its classes and brands."""
    with clear_errors():
        kb = _load(base, extra)
        if as_json:
            _print_json([{"id": drug.id, "name": drug.name, "classes": drug.classes, "brands": drug.brands} for drug in kb.drugs.values()])
            return
        rows = [(drug.name, ", ".join(kb.name(each) for each in drug.classes), ", ".join(drug.brands)) for drug in kb.drugs.values()]
        _print_table(f"{len(kb.drugs)} drugs, {len(kb.interactions)} interaction rules", ("drug", "classes", "brands"), rows)


@app.command()
def show(drug: Annotated[str, typer.Argument(help="A generic name, brand or spelling.")], base: BaseOption = None,
         extra: ExtraOption = None, as_json: JsonOption = False) -> None:
    """All that the base says about one drug, each fact with its source."""
    with clear_errors():
        from pharmgpt.knowledge.medication_list import read_list

        kb = _load(base, extra)
        entries = read_list(kb, drug)
        if len(entries) != 1 or entries[0].drug_id is None:
            near = _did_you_mean(kb, entries[0]) if entries else ""
            _complain(f"{drug!r} is not one drug of this base{near}; `pharmgpt kb list` shows them all")
            raise typer.Exit(WRONG_USE)
        entry, found = entries[0], kb.drugs[entries[0].drug_id]
        if as_json:
            _print_json({"asked": entry.text, "how": entry.how, **found.model_dump(mode="json")})
            return
        _print_table(f"{found.name} ({_recognised(entry)})", ("about", "what", "source"), _facts(kb, found))


@app.command()
def audit(base: BaseOption = None, extra: ExtraOption = None, as_json: JsonOption = False) -> None:
    """Look for errors and gaps; exit code 1 if there are errors."""
    with clear_errors():
        from pharmgpt.knowledge.audit import audit as look

        kb = _load(base, extra)
        found = look(kb).beside(look(_load(base, None))) if extra else look(kb)
        if as_json:
            _print_json({"errors": [vars(each) for each in found.errors], "warnings": [vars(each) for each in found.warnings],
                         "coverage": {name: {"filled": filled, "drugs": total} for name, (filled, total) in found.coverage.items()},
                         "content_hash": kb.content_hash})
        else:
            _print_audit(kb, found)
        if found.errors:
            raise typer.Exit(FAILED)


@app.command()
def new(
    drug: Annotated[str, typer.Argument(help="The generic name of a drug.")],
    out: Annotated[Path, typer.Option(help="The folder of your own knowledge; the file goes into its drugs/.")] = Path("my_knowledge"),
    as_json: JsonOption = False,
) -> None:
    """Write a commented file for a drug of your own, to fill in."""
    with clear_errors():
        from pharmgpt.knowledge.template import write_template

        file = write_template(drug, out)
        if as_json:
            _print_json({"file": str(file)})
            return
        print(f"{file}: fill it in, then\n  pharmgpt kb audit --extra {out}\n  pharmgpt kb show {drug!r} --extra {out}\n"
              f"  pharmgpt run --set knowledge.extra={out}")


@app.command()
def screen(
    drugs: Annotated[str, typer.Argument(help='A medication list, such as "warfarin, ibuprofen".')],
    egfr: Annotated[float | None, typer.Option(help="eGFR in mL/min/1.73 m².")] = None,
    crcl: Annotated[float | None, typer.Option(help="Creatinine clearance (Cockcroft-Gault) in mL/min.")] = None,
    age: Annotated[float | None, typer.Option(help="Age in years.")] = None,
    qtc: Annotated[float | None, typer.Option(help="QTc in milliseconds.")] = None,
    potassium: Annotated[float | None, typer.Option(help="Serum potassium in mmol/L.")] = None,
    pregnant: Annotated[bool, typer.Option("--pregnant")] = False,
    breastfeeding: Annotated[bool, typer.Option("--breastfeeding")] = False,
    condition: Annotated[list[str] | None, typer.Option(help='A condition, such as "heart failure"; repeat it for more.')] = None,
    base: BaseOption = None, extra: ExtraOption = None, as_json: JsonOption = False,
) -> None:
    """Screen a medication list for a patient: findings, worst first."""
    with clear_errors():
        from pharmgpt.knowledge.medication_list import find_term, read_list
        from pharmgpt.knowledge.screen import Patient
        from pharmgpt.knowledge.screen import screen as look

        kb = _load(base, extra)
        entries = read_list(kb, drugs)
        if not entries:
            _complain('no drug named; give a list such as "warfarin, ibuprofen"')
            raise typer.Exit(WRONG_USE)
        terms = [(name, *find_term(kb.conditions, name)) for name in condition or ()]
        patient = Patient(egfr, crcl, age, qtc, potassium, pregnant, breastfeeding, tuple(id for _, id, _ in terms if id))
        findings = look(kb, [entry.drug_id for entry in entries if entry.drug_id], patient)
        notes = list(_notes(kb, entries, terms, age))
        if as_json:
            _print_json({"drugs": [vars(entry) for entry in entries],
                         "unrecognised_conditions": [name for name, id, _ in terms if id is None],
                         "patient": vars(patient), "findings": [_as_dict(finding) for finding in findings], "notes": notes})
        else:
            _print_screening(kb, entries, findings, notes)
        if any(entry.drug_id is None for entry in entries) or any(id is None for _, id, _ in terms):
            raise typer.Exit(WRONG_USE)


@app.command()
def pairs(
    file: Annotated[Path, typer.Argument(help="CSV with the columns drug_a and drug_b.")],
    out: Annotated[Path, typer.Option(help="CSV to write: the same rows with severity, rule and mechanism.")],
    base: BaseOption = None, extra: ExtraOption = None, as_json: JsonOption = False,
) -> None:
    """Judge every pair of a CSV file."""
    with clear_errors():
        from pharmgpt.knowledge.pairs import judge_file

        counts = judge_file(_load(base, extra), file, out)
        if as_json:
            _print_json({"out": str(out), "pairs": sum(counts.values()), "severity": counts})
            return
        order = [*COLOURS, "none", "unknown"]
        _print_table(f"{sum(counts.values())} pairs → {out}", ("severity", "pairs"),
                     [(name, str(counts[name])) for name in order if name in counts])


@contextmanager
def clear_errors() -> Iterator[None]:
    """Bad input ends in one line and exit code 2, a failing disk in one line and 1; never in a traceback."""
    from pharmgpt.knowledge.load import KnowledgeError
    from pharmgpt.knowledge.pairs import PairsError
    from pharmgpt.knowledge.screen import ScreenError

    try:
        yield
    except (KnowledgeError, PairsError, ScreenError) as error:
        _complain(str(error))
        raise typer.Exit(WRONG_USE) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}; check the path and its folder")
        raise typer.Exit(WRONG_USE if isinstance(error, (FileNotFoundError, IsADirectoryError)) else FAILED) from None


def _load(base: Path | None, extra: Path | None):
    from pharmgpt.knowledge.load import load

    return load(base, extra)


def _complain(message: str) -> None:
    print(f"pharmgpt kb: {message}", file=sys.stderr)


def _print_json(value) -> None:
    print(json.dumps(value, ensure_ascii=False))


def _print_table(title: str, columns: tuple[str, ...], rows, ends: bool = True) -> None:
    """A table with one colour a severity, then the line that it is not medical advice."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console, table = Console(), Table(title=escape(title), title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "severity")
    for row in rows:
        table.add_row(*(f"[{COLOURS[cell]}]{cell}[/]" if cell in COLOURS else escape(cell) for cell in row))
    console.print(table)
    if ends:
        console.print(NOT_ADVICE, style="dim")


def _recognised(entry) -> str:
    return {"name": "by its name", "brand": f"brand {entry.text}", "spelling": f"written {entry.text}",
            "combination": f"part of {entry.text}", "close": f"taken for a misspelling: {entry.text}"}[entry.how]


def _did_you_mean(kb, entry) -> str:
    names = tuple(dict.fromkeys(kb.name(each) for each in entry.candidates))
    return f": did you mean {' or '.join(names)}?" if names else ""


def _notes(kb, entries, terms, age: float | None) -> Iterator[str]:
    """What a reader must know before trusting the table."""
    from pharmgpt.knowledge.names import fold
    from pharmgpt.knowledge.other_drugs import OTHER_DRUGS

    for entry in entries:
        if entry.drug_id is None:
            known = "a drug that this base does not cover" if fold(entry.text) in OTHER_DRUGS else "not recognised"
            yield f"NOT SCREENED: {entry.text!r} is {known}{_did_you_mean(kb, entry)}"
    for name, id, near in terms:
        if id is None:
            yield f"NOT SCREENED: condition {name!r} is not recognised" + (f" (nearest: {', '.join(near)})" if near else "")
    named: dict[str, list[str]] = {}
    for entry in entries:
        named.setdefault(entry.drug_id, []).append(entry.text)
    for drug, texts in named.items():
        if drug is not None and len(texts) > 1:
            yield f"NAMED TWICE: {', '.join(texts)} are all {kb.name(drug)}"
    if age is not None and age < 18:
        yield f"Age {age:g}: the doses of this base are for adults, and its rules for children are few"


def _as_dict(finding) -> dict:
    return {**vars(finding), "alternatives": dict(finding.alternatives)}


def _print_screening(kb, entries, findings, notes: list[str]) -> None:
    rows = [(entry.text, kb.name(entry.drug_id) if entry.drug_id else "?",
             _recognised(entry) if entry.drug_id else "not recognised") for entry in entries]
    _print_table("Read as", ("written", "drug", "how"), rows, ends=False)
    table = [(each.severity, " + ".join(kb.name(drug) for drug in each.drugs), f"{each.kind}: {each.mechanism} ({each.rule})",
              _what_to_do(kb, each)) for each in findings]
    if table:
        _print_table(f"{len(table)} finding{'s' * (len(table) > 1)}, worst first", ("severity", "drugs", "why (rule)", "what to do"),
                     table, ends=False)
    from rich.console import Console

    console = Console()
    if not table:
        console.print("No finding in this base. That it knows of none does not prove that there is none.")
    for note in notes:
        console.print(note, style="bold red" if note.startswith("NOT") else "yellow", markup=False)
    console.print(NOT_ADVICE, style="dim")


def _what_to_do(kb, finding) -> str:
    watch = f" Watch: {', '.join(kb.name(each) for each in finding.monitoring)}." if finding.monitoring else ""
    risk = f" Risk: {kb.name(finding.effect)}." if finding.effect else ""
    instead = (f" Instead of {kb.name(drug)}: {', '.join(kb.name(each) for each in found)}."
               for drug, found in finding.alternatives.items())
    return finding.management + risk + watch + "".join(instead)


def _print_audit(kb, found) -> None:
    if found.problems:
        rows = [(each.level, each.check, each.where, each.found, each.fix) for each in found.problems]
        _print_table("Problems", ("level", "check", "where", "found", "fix"), rows, ends=False)
    rows = [(name, f"{filled}/{total}") for name, (filled, total) in found.coverage.items()]
    _print_table("Coverage: drugs that state a field", ("field", "drugs"), rows, ends=False)
    _print_table(f"{len(found.errors)} errors, {len(found.warnings)} warnings in {len(kb.drugs)} drugs and {len(kb.interactions)} rules",
                 ("base", "content hash"), [("checked", kb.content_hash[:16])])


def _facts(kb, drug) -> Iterator[tuple[str, str, str]]:
    """A row for each fact: about, what, source title."""
    from pharmgpt.knowledge.screen import UNITS, band

    def row(about: str, what: str, source: str) -> tuple[str, str, str]:
        return about, what, kb.sources[source].title if source in kb.sources else source

    yield row("class", ", ".join(kb.name(each) for each in drug.classes), drug.source)
    yield row("used for", ", ".join(_condition(kb, each) for each in drug.indications), drug.source)
    yield row("mechanism", drug.mechanism, drug.source)
    for rule in drug.renal:
        what = f"{rule.measure} {band(rule)} ({UNITS[rule.measure]}): {rule.action}" + _tail(kb, rule.dose, rule.effect)
        yield row("kidneys", what, rule.source)
    for about, advice in (("liver disease", drug.hepatic), ("pregnancy", drug.pregnancy), ("breastfeeding", drug.lactation)):
        if advice:
            yield row(about, advice.action + _tail(kb, advice.note, advice.effect), advice.source)
    for each in drug.contraindications:
        yield row("contraindicated in", _condition(kb, each.condition) + _tail(kb, "", each.effect), each.source)
    for about, effects in (("boxed warning", drug.boxed_warnings), ("serious", drug.serious_effects), ("common", drug.common_effects),
                           ("hazard that adds up", drug.hazards)):
        for each in effects:
            yield row(about, kb.name(each.effect), each.source)
    for each in drug.monitoring:
        yield row("watch", kb.name(each.parameter), each.source)
    for each in drug.enzymes:
        yield row("enzyme", f"{each.enzyme} {each.strength} {each.role}" + _tail(kb, "", each.effect), each.source)
    for each in drug.alternatives:
        yield row(f"alternatives ({each.problem})", ", ".join(kb.name(drug_id) for drug_id in each.drugs), each.source)


def _condition(kb, id: str) -> str:
    """Conditions and effects share some ids; here the condition is meant."""
    return kb.conditions[id].name if id in kb.conditions else kb.name(id)


def _tail(kb, note: str, effect: str | None) -> str:
    return (f"; {note}" if note else "") + (f" (risk: {kb.name(effect)})" if effect else "")


if __name__ == "__main__":
    app()
