"""Extra texts for pretraining: a file or a folder → Documents of genre "imported".

    ledger = Ledger()
    documents = list(read_extra(Path("my_texts"), ledger)); print(ledger)

Taken: .txt (one text a file), .jsonl/.ndjson (one JSON object a line: {"text": …}, a Document, or an openFDA label), .json (an openFDA
label download), .xml (a label as SPL), .parquet (what `pharmgpt data import` wrote). All are streamed. Exact duplicates (after folding
whitespace) are dropped across the whole read. A malformed line is an error that names it, not a loss; `data import` is lenient instead.
"""
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pharmgpt.corpus.importers import spl
from pharmgpt.corpus.importers.duplicates import ExactDuplicates
from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, keys_of, quoted
from pharmgpt.corpus.importers.openfda import download, is_label, label_passages, labels_passages
from pharmgpt.corpus.importers.passages import Passage, as_documents
from pharmgpt.corpus.importers.reading import Entry, blocks, check_name, entries, lines, parse
from pharmgpt.corpus.importers.xml import root_tag
from pharmgpt.text.parquet import read_parquet
from pharmgpt.text.records import BadRecord, Document

SUFFIXES = (".txt", ".jsonl", ".ndjson", ".json", ".xml", ".parquet")
DOCUMENT = TypeAdapter(Document)


def read_extra(path: Path | str, ledger: Ledger | None = None) -> Iterator[Document]:
    """Documents of a file or folder, in name order; raises ImportRefused with the reason."""
    path, ledger = Path(path), ledger if ledger is not None else Ledger()
    if not path.exists():
        raise ImportRefused(f"{path}: no such file or folder. Give the path of a {', '.join(SUFFIXES)} file or a folder of them.")
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        raise ImportRefused(f"{path}: {path.suffix or 'a file without suffix'} is not a format we read. "
                            f"Convert it to one of {', '.join(SUFFIXES)}.")
    repeats = ExactDuplicates()
    for file in _files(path, ledger):
        for document in as_documents(_strictly(file, ledger), ledger):
            if repeats(document.text):
                ledger.drop("exact duplicate")
                continue
            ledger.kept += 1
            yield document


def passages(file: Path, layout: str, ledger: Ledger) -> Iterator[Passage | Document]:
    """The texts of a file that `sniff` took for text: "plain", or JSON laid out as `entries` says, malformed records counted."""
    if layout == "plain":
        yield from _plain(file, ledger)
        return
    for entry in entries(file, layout, ledger):
        try:
            yield from _record(entry, ledger)
        except ImportRefused as error:
            ledger.read += 1
            ledger.drop_bad(str(error))


def _files(path: Path, ledger: Ledger) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if not file.is_file() or any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        suffix = file.suffix.lower()
        if suffix in SUFFIXES and (suffix != ".xml" or root_tag(file) == spl.DOCUMENT):
            yield file
        else:
            ledger.drop(f"file of another format ({file.suffix or 'no suffix'})")


def _strictly(file: Path, ledger: Ledger) -> Iterator[Passage | Document]:
    """A file's texts by its suffix; the first malformed record is an error."""
    check_name(file)
    suffix = file.suffix.lower()
    if suffix == ".txt":
        yield from _plain(file, ledger)
    elif suffix == ".json":
        yield from labels_passages(download(file, ledger), ledger)
    elif suffix == ".xml":
        yield from spl.passages(file, "label", ledger)
    elif suffix == ".parquet":
        yield from _imported(file)
    else:
        for place, line in lines(file, ledger):
            yield from _record(Entry(f"{file.name}#{place.rsplit(' ', 1)[1]}", place, parse(line, place)), ledger)


def _plain(file: Path, ledger: Ledger) -> Iterator[Passage]:
    """One passage; a file of several megabytes makes one a block, so that it never lies in memory whole."""
    number = 0
    for number, block in enumerate(blocks(file, ledger), start=1):
        yield Passage(file.name if number == 1 else f"{file.name}.block{number}", block)
    if number == 0:
        yield Passage(file.name, "")


def _record(entry: Entry, ledger: Ledger) -> Iterable[Passage | Document]:
    """One line: a Document of ours, {"text": …} or a label."""
    record = entry.value
    if isinstance(record, dict) and isinstance(record.get("text"), str):
        return [_document(record, entry.place) if {"id", "genre"} <= record.keys() else Passage(entry.name, record["text"])]
    if is_label(record):
        return label_passages(record, entry.name, ledger)
    raise ImportRefused(f"{entry.place}: expected {{\"text\": \"…\"}}, a Document or an openFDA label; "
                        f"found {keys_of(record)}. Put the text under the key \"text\".")


def _document(record: dict, place: str) -> Document:
    try:
        return DOCUMENT.validate_python(record)
    except ValidationError as error:
        first = error.errors()[0]
        raise ImportRefused(f"{place}: {'.'.join(map(str, first['loc']))}: {first['msg']}; found {quoted(first['input'])}. "
                            "Write a Document's fields, or only {\"text\": …}.") from None


def _imported(file: Path) -> Iterator[Document]:
    try:
        yield from read_parquet(file, Document)
    except BadRecord as error:
        raise ImportRefused(str(error)) from None
