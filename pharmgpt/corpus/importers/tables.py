"""Rows of tables: text with any of the usual delimiters, or the first sheet of an Excel file."""
import csv
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger
from pharmgpt.corpus.importers.pieces import mend
from pharmgpt.corpus.importers.reading import encoding_of

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
        reader = csv.reader(chain([header], text), delimiter=delimiter_of(header))
        try:
            for cells in reader:
                yield f"{file}, line {reader.line_num}", cells
        except csv.Error as error:
            raise ImportRefused(f"{file}, line {reader.line_num}: {error}. A quotation mark is left open above it; close it.") from None


def _sheet(file: Path) -> Iterator[tuple[str, list[str]]]:
    import openpyxl  # half a second that text files need not pay

    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (OSError, KeyError, ValueError, SyntaxError, zipfile.BadZipFile) as error:  # its XML errors are SyntaxErrors
        raise ImportRefused(f"{file}: not an Excel file that can be read: {str(error)[:100]}. Save it as .xlsx or .csv again.") from None
    sheet = book.worksheets[0]
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        yield f"{file}, sheet {sheet.title!r}, row {number}", ["" if cell is None else str(cell) for cell in cells]
    book.close()
