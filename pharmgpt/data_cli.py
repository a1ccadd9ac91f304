"""`pharmgpt data`: people's own files as records. Heavy imports wait until a command runs.

Exit codes: 0 done; 1 the disk failed; 2 bad input, with one line that names file and line, what was found, and the fix.
"""
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False,
                  help="Your own files: inspect says what one is, import makes records of them. Not medical advice.")

FAILED, WRONG_USE = 1, 2
CHEAP_BYTES = 32 << 20
SHOWN, SHORT = 3, 160
KINDS = "openfda, spl, text, chats, preferences, qa or interactions"
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("import")
def import_command(
    kind: Annotated[str, typer.Argument(help=f"What the files are: {KINDS}.")],
    files: Annotated[list[Path], typer.Argument(help="Files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for KIND.parquet and ledger.json.")],
    as_json: JsonOption = False,
) -> None:
    """Make records of files: repeats dropped, texts repaired, everything counted."""
    with clear_errors():
        from pharmgpt.corpus.importers.importing import import_files

        result = import_files(kind, files, out)
        if as_json:
            print(json.dumps(result.as_json(), ensure_ascii=False))
        else:
            _print_import(result)


@app.command()
def inspect(file: Annotated[Path, typer.Argument(help="One file.")], as_json: JsonOption = False) -> None:
    """Say what a file is, and show three of its records."""
    with clear_errors():
        found = _look(file)
        if as_json:
            print(json.dumps(found, ensure_ascii=False))
        else:
            _print_look(found)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Bad input ends in one line and exit code 2, a failing disk in one line and 1; never in a traceback."""
    from pharmgpt.corpus.importers.ledger import ImportRefused
    from pharmgpt.text.records import BadRecord

    try:
        yield
    except (ImportRefused, BadRecord) as error:
        _complain(str(error))
        raise typer.Exit(WRONG_USE) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        _complain(f"{error.filename or 'the disk'}: {error.strerror or error}; check the path, or free the disk")
        wrong = isinstance(error, (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError))
        raise typer.Exit(WRONG_USE if wrong else FAILED) from None


def _look(path: Path) -> dict:
    """What a file is, as plain data; records are counted only where that is cheap."""
    from dataclasses import asdict

    from pharmgpt.corpus.importers.importing import read
    from pharmgpt.corpus.importers.ledger import Ledger
    from pharmgpt.corpus.importers.sniff import sniff

    if path.is_dir():
        _complain(f"{path}: a folder; give one file of it")
        raise typer.Exit(WRONG_USE)
    file, ledger, size = sniff(path), Ledger(), path.stat().st_size
    records = read(file, ledger)
    shown = [asdict(record) for record in islice(records, SHOWN)]
    found = {"file": str(path), "kind": file.kind, "layout": file.layout, "encoding": _encoding(path, file.layout), "bytes": size}
    if size <= CHEAP_BYTES:
        found |= {"records": len(shown) + sum(1 for _ in records), "ledger": ledger.as_json()}
    return found | {"first": shown, "import": f"pharmgpt data import {file.kind} {path} --out DIR"}


def _encoding(path: Path, layout: str) -> str:
    from pharmgpt.corpus.importers.ledger import Ledger
    from pharmgpt.corpus.importers.reading import encoding_of

    if layout == "xlsx" or layout.startswith("parquet"):
        return "binary"
    return {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}[encoding_of(path, Ledger())]


def _print_look(found: dict) -> None:
    from rich.console import Console

    console = Console()
    count = f", {found['records']:,} records before repeats are dropped" if "records" in found else ""
    console.print(f"{found['file']}: {found['kind']} ({found['layout']}), {found['encoding']}, {found['bytes']:,} bytes{count}",
                  markup=False, highlight=False)
    for number, record in enumerate(found["first"], start=1):
        said = " | ".join(f"{key}: {_short(value)}" for key, value in record.items() if value not in ("", (), None, False))
        console.print(f"\n{number}. {said}", markup=False, highlight=False)
    for name in ("dropped", "repaired", "notes"):
        for what, times in found.get("ledger", {}).get(name, {}).items():
            console.print(f"{name}: {what} {times}", markup=False, highlight=False, style="yellow")
    console.print(f"\nImport it with: {found['import']}", markup=False, highlight=False)


def _short(value: object) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], dict):
        return " / ".join(f"{each['role']}: {_short(each['content'])}" for each in value)
    text = " ".join((", ".join(map(str, value)) if isinstance(value, tuple) else str(value)).split())
    return text if len(text) <= SHORT else text[:SHORT] + "…"


def _print_import(result) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console, table = Console(), Table(title=escape(f"{result.total.kept:,} records → {result.path}"), title_justify="left")
    for column in ("", "count"):
        table.add_column(column, overflow="fold", justify="right" if column == "count" else "left")
    rows = [("read", result.total.read), ("kept", result.total.kept)]
    for name in ("dropped", "repaired", "notes"):
        label = {"dropped": "dropped: ", "repaired": "repaired: ", "notes": ""}[name]
        rows += [(label + what, count) for what, count in getattr(result.total, name).most_common()]
    for what, count in rows:
        table.add_row(escape(what), f"{count:,}")
    console.print(table)
    for message in result.total.bad:
        console.print(f"refused: {message}", style="yellow", markup=False, highlight=False)


def _complain(message: str) -> None:
    print(f"pharmgpt data: {message}", file=sys.stderr)


if __name__ == "__main__":
    app()
