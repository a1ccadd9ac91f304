"""Rows of tables: text with any of the usual delimiters, or the first sheet of an Excel file."""
import csv
import zipfile
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, plain
from pharmgpt.corpus.importers.pieces import mend
from pharmgpt.corpus.importers.reading import encoding_of

# What openpyxl lets through, when it opens a damaged file and when it comes to the damaged row: its XML errors are SyntaxErrors
EXCEL_DAMAGE = (OSError, LookupError, ValueError, SyntaxError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)
DELIMITERS = "\t;|,"


class Row(NamedTuple):
    place: str
    cells: list[str]


def rows(file: Path, layout: str, ledger: Ledger) -> Iterator[Row]:
    """The header and then every row that is not blank; `layout` is "delimited" or "xlsx"."""
    for place, cells in _sheet(file) if layout == "xlsx" else _delimited(file, ledger):
        cells = [mend(" ".join(cell.split()), ledger) for cell in cells]
        if any(cells):
            yield Row(place, cells)


def delimiter_of(header: str) -> str:
    """The delimiter that stands most often in the header, outside quotes."""
    outside = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _delimited(file: Path, ledger: Ledger) -> Iterator[tuple[str, list[str]]]:
    with open(file, encoding=encoding_of(file, ledger), newline="") as text:
        header = text.readline()
        reader = csv.reader(chain([header], text), delimiter=delimiter_of(header), strict=True)
        while True:
            begins = reader.line_num + 1
            try:
                yield f"{file}, line {begins}", next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                _drop(f"{file}, line {begins}", reader.line_num - begins, error, ledger)


def _drop(place: str, lines_below: int, error: csv.Error, ledger: Ledger) -> None:
    """Drop a row that is wrong within its line. A quotation mark left open took the rows below with it: then the file is refused."""
    what = plain(str(error))
    if lines_below or place.endswith(" line 1"):
        raise ImportRefused(f"{place}: a quotation mark takes {lines_below} lines below into its cell: {what}. Close the cell with "
                            "another, and double those inside it.")
    ledger.read += 1
    ledger.drop_bad(f"{place}: {what}. Double a quotation mark inside a quoted cell, and shorten a cell of more than "
                    f"{csv.field_size_limit():,} letters.")


def _sheet(file: Path) -> Iterator[tuple[str, list[str]]]:
    import openpyxl  # half a second that text files need not pay

    number = 0
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            yield f"{file}, sheet {sheet.title!r}, row {number}", ["" if cell is None else str(cell) for cell in cells]
        book.close()
    except EXCEL_DAMAGE as error:
        where = f" behind row {number}" if number else ""
        raise ImportRefused(f"{file}: not an Excel file that can be read{where}: {plain(str(error)[:60])}. "
                            "Save it as .xlsx or .csv again.") from None
