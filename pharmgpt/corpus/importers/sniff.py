"""What a file is, from its content: the suffix decides only between a table and prose that happens to hold commas.

    sniff(Path("labels.json"))     File(kind="openfda", layout="download")
Raises ImportRefused for what is none of ours, with the reason and what to do.
"""
import csv
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from pharmgpt.corpus.importers import spl
from pharmgpt.corpus.importers.interactions import fold_header, is_interaction_header
from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, keys_of, plain
from pharmgpt.corpus.importers.openfda import is_flat_label, is_label
from pharmgpt.corpus.importers.preferences import is_graded
from pharmgpt.corpus.importers.reading import check_name, encoding_of, entries, json_bytes, outer, parse
from pharmgpt.corpus.importers.tables import delimiter_of
from pharmgpt.corpus.importers.xml import root_tag
from pharmgpt.text.parquet import record_name
from pharmgpt.text.records import BadRecord

HEAD = 1 << 16
LINES_TRIED = 5
LONGEST_LINE = 16 << 20  # bytes; a label on one line is one or two megabytes
LINE_SUFFIXES = (".jsonl", ".ndjson")
MAGIC = {b"PK\x03\x04": "a zip archive: unpack it, and import the files inside", b"%PDF": "a PDF: save its text as .txt",
         b"\x1f\x8b": "a gzip archive: unpack it (gunzip), and import the file inside", b"\xd0\xcf\x11\xe0": "an old Excel or Word file: "
         "save it as .xlsx or .txt", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture"}
PRODUCT_LIST = {"productndc", "ndcpackagecode", "productid"}
XML_START = re.compile(r"<[?!A-Za-z]")  # not "<10 mg"
JSON_START = re.compile(r"\{|\[\s*[\[{\"\d\]]")  # not "[Article in Chinese]"
RECORD_KEYS = (  # (kind, keys that a record of it holds), the first that fits
    ("preferences", {"chosen", "rejected"}), ("chats", {"messages"}), ("chats", {"conversations"}), ("chats", {"instruction", "output"}),
    ("chats", {"prompt", "completion"}), ("qa", {"QUESTION", "LONG_ANSWER"}), ("qa", {"question", "answer"}), ("text", {"text"}))
PARQUET_KINDS = {"Document": "text", "Conversation": "chats", "PreferencePair": "preferences", "ImportedInteraction": "interactions"}


class File(NamedTuple):
    """`kind` is what `data import` calls it; `layout` is how its module reads it."""

    path: Path
    kind: str
    layout: str


def sniff(path: Path) -> File:
    if not path.exists():
        raise ImportRefused(f"{path}: no such file. Check the path.")
    check_name(path)
    with open(path, "rb") as data:
        head = data.read(HEAD)
    if not head.strip():
        _empty(path)
    if head.startswith(b"PAR1"):
        return _parquet(path)
    if _is_workbook(path):
        return File(path, "interactions", "xlsx")
    for magic, what in MAGIC.items():
        if head.startswith(magic):
            raise ImportRefused(f"{path}: {what}.")
    return _text_file(path, _start(path) or _empty(path))


def _empty(path: Path) -> NoReturn:
    raise ImportRefused(f"{path}: the file is empty. Give one that holds something.")


def _is_workbook(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except zipfile.BadZipFile as error:
        raise ImportRefused(f"{path}: a damaged zip or Excel file: {error}. Save it again.") from None


def _start(path: Path) -> str:
    """The file's first characters, decoded."""
    with open(path, encoding=encoding_of(path, Ledger()), newline="") as text:
        return text.read(HEAD).lstrip()


def _text_file(path: Path, start: str) -> File:
    if XML_START.match(start):
        return _xml(path, start)
    if JSON_START.match(start):
        return _json(path)
    if _is_table(path, start):
        return _table(path, start)
    return File(path, "text", "plain")


def _parquet(path: Path) -> File:
    try:
        name = record_name(path)
    except BadRecord as error:
        raise ImportRefused(str(error)) from None
    if name not in PARQUET_KINDS:
        raise ImportRefused(f"{path}: Parquet that `pharmgpt data import` did not write. Save it as .jsonl, and import that.")
    return File(path, PARQUET_KINDS[name], f"parquet {name}")


def _xml(path: Path, start: str) -> File:
    if start[:200].lower().startswith(("<!doctype html", "<html")):
        raise ImportRefused(f"{path}: a web page. Save its text as .txt.")
    root = root_tag(path)
    if root == spl.DOCUMENT:
        return File(path, "spl", "label")
    if root == "Document":
        return File(path, "qa", "medquad")
    raise ImportRefused(f"{path}: XML with the root {root!r}; we read SPL ({spl.DOCUMENT}) and MedQuAD (Document). Save its text as .txt.")


def _json(path: Path) -> File:
    record, layout = _first_record(path)
    kind = kind_of_record(record)
    if kind is None and layout == "download":
        raise ImportRefused(f"{path}: its results hold no drug labels. Give an openFDA drug label download.")
    if kind is None:
        raise ImportRefused(f"{path}: JSON records of none of our kinds; found {keys_of(record)}. Write one object a line with "
                            "text, messages, chosen and rejected, or question and answer.")
    return File(path, kind, layout)


def _first_record(path: Path) -> tuple[object, str]:
    """A record of the file, and its layout as `entries` names them."""
    records = list(_line_records(path))
    if len(records) > 1 or (records and path.suffix.lower() in LINE_SUFFIXES):
        return next((record for record in records if kind_of_record(record)), records[0]), "lines"
    shape, keys = outer(path, Ledger())
    if shape == "array":
        return _first(path, "array"), "array"
    if "results" in keys:
        return _first(path, "download"), "download"
    if kind_of_record(dict.fromkeys(keys)) or {"drug_name", "sections"} <= set(keys) or {"set_id", "openfda"} & set(keys):
        return _first(path, "one"), "one"
    first = _first(path, "keyed")
    return (first if kind_of_record(first) else dict.fromkeys(keys)), "keyed"


def _line_records(path: Path) -> Iterator[dict]:
    """Objects among the first lines; none where a value runs over several lines, or a line over megabytes."""
    with json_bytes(path, Ledger()) as data:
        for _ in range(LINES_TRIED):
            line = data.readline(LONGEST_LINE)
            if len(line) == LONGEST_LINE:
                return
            try:
                record = parse(line.decode(), str(path)) if line.strip() else None
            except ImportRefused:
                continue
            if isinstance(record, dict):
                yield record


def _first(path: Path, layout: str) -> object:
    return next((entry.value for entry in entries(path, layout, Ledger())), None)


def kind_of_record(record: object) -> str | None:
    if is_label(record) or is_flat_label(record):
        return "openfda"
    if is_graded(record):
        return "preferences"
    return next((kind for kind, keys in RECORD_KEYS if isinstance(record, dict) and keys <= record.keys()), None)


def _is_table(path: Path, start: str) -> bool:
    """By suffix, or by a delimiter that stands equally often in each of the first lines."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return True
    first = start.splitlines()[:LINES_TRIED]
    delimiter = delimiter_of(first[0])
    counts = {line.count(delimiter) for line in first}
    return len(first) > 1 and len(counts) == 1 and counts.pop() >= (1 if delimiter in "\t|" else 2)


def _table(path: Path, start: str) -> File:
    line = start.splitlines()[0]
    header = next(csv.reader([line], delimiter=delimiter_of(line)))
    names = {fold_header(name) for name in header}
    if is_interaction_header(header):
        return File(path, "interactions", "delimited")
    if names & PRODUCT_LIST:
        raise ImportRefused(f"{path}: an NDC product or package list, not prose: names and packages teach a model nothing about safety. "
                            "Import the labels of these products (openFDA or SPL) instead.")
    found = ", ".join(map(plain, header[:8]))
    raise ImportRefused(f"{path}, line 1: a table without two drug columns; found {found}. For an interaction table, "
                        "rename the columns that hold the drugs to drug_a and drug_b; to import the texts of a column, save it as .txt.")
