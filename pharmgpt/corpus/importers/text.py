"""Extra texts for pretraining: a file or a folder → Documents of genre "imported".

    ledger = Ledger()
    documents = list(read_extra(Path("my_texts"), ledger)); print(ledger)

Taken: .txt (one text a file), .jsonl/.ndjson (one JSON object a line: {"text": …}, a Document, or an openFDA label), .json (an openFDA
label download). Line formats are streamed; a .json download is read whole, because its outer object closes only at the end. Exact
duplicates (after folding whitespace) are dropped across the whole read. A malformed line is an error that names it, not a loss.
"""
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger
from pharmgpt.corpus.importers.openfda import is_label, sections
from pharmgpt.corpus.importers.pieces import MIN_WORDS, decode, fold, pieces
from pharmgpt.text.records import Document

GENRE = "imported"
SUFFIXES = (".txt", ".jsonl", ".ndjson", ".json")
DOCUMENT = TypeAdapter(Document)


def read_extra(path: Path | str, ledger: Ledger | None = None) -> Iterator[Document]:
    """Documents of a file or folder, in name order; raises ImportRefused with the reason."""
    path, ledger, seen = Path(path), ledger if ledger is not None else Ledger(), set()
    if not path.exists():
        raise ImportRefused(f"{path}: no such file or folder. Give the path of a {', '.join(SUFFIXES)} file or a folder of them.")
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        raise ImportRefused(f"{path}: {path.suffix or 'a file without suffix'} is not a format we read. "
                            f"Convert it to one of {', '.join(SUFFIXES)}.")
    for file in _files(path, ledger):
        for document in _read_file(file, ledger):
            digest = hashlib.blake2b(document.text.encode(), digest_size=16).digest()
            if digest in seen:
                ledger.drop("exact duplicate")
                continue
            seen.add(digest)
            ledger.kept += 1
            yield document


def _files(path: Path, ledger: Ledger) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if not file.is_file() or any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        if file.suffix.lower() in SUFFIXES:
            yield file
        else:
            ledger.drop(f"file of another format ({file.suffix or 'no suffix'})")


def _read_file(file: Path, ledger: Ledger) -> Iterator[Document]:
    suffix = file.suffix.lower()
    if suffix == ".txt":
        yield from _texts(decode(file.read_bytes(), str(file), ledger), file.name, ledger)
    elif suffix == ".json":
        yield from _download(file, ledger)
    else:
        yield from _lines(file, ledger)


def _texts(text: str, name: str, ledger: Ledger) -> Iterator[Document]:
    """Pieces of one text as documents; `name` and the piece's number make the id."""
    ledger.read += 1
    folded = fold(text)
    if not folded:
        ledger.drop("empty")
        return
    for number, piece in enumerate(pieces(folded)):
        if piece.count(" ") + 1 < MIN_WORDS:
            ledger.drop(f"fewer than {MIN_WORDS} words")
        else:
            yield Document(id=f"{name}.{number}", text=piece, genre=GENRE, template_id=GENRE)


def _label(label: dict, name: str, ledger: Ledger) -> Iterator[Document]:
    for section, text in sections(label, ledger):
        yield from _texts(text, f"{name}.{section}", ledger)


def _download(file: Path, ledger: Ledger) -> Iterator[Document]:
    """An openFDA download; any other JSON is refused with what it holds."""
    found = _parse(decode(file.read_bytes(), str(file), ledger), str(file))
    labels = found.get("results") if isinstance(found, dict) else None
    if not isinstance(labels, list):
        keys = ", ".join(list(found)[:6]) if isinstance(found, dict) else type(found).__name__
        raise ImportRefused(f"{file}: expected an openFDA download, {{\"results\": [labels]}}; found {keys}. "
                            "Write other texts as .jsonl, one {\"text\": …} a line.")
    for number, label in enumerate(labels):
        if is_label(label):
            yield from _label(label, f"{file.name}#{number}", ledger)
        else:
            ledger.drop("result that is no label")


def _lines(file: Path, ledger: Ledger) -> Iterator[Document]:
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{file}, line {number}"
            text = decode(line, where, ledger).strip()
            if text:
                yield from _record(_parse(text, where), file.name, number, where, ledger)


def _record(record: object, name: str, number: int, where: str, ledger: Ledger) -> Iterator[Document]:
    """One line: a Document of ours, {"text": …} or a label."""
    if isinstance(record, dict) and isinstance(record.get("text"), str):
        if {"id", "genre"} <= record.keys():
            yield from _document(record, where, ledger)
        else:
            yield from _texts(record["text"], f"{name}#{number}", ledger)
    elif is_label(record):
        yield from _label(record, f"{name}#{number}", ledger)
    else:
        found = ", ".join(list(record)[:6]) if isinstance(record, dict) else type(record).__name__
        raise ImportRefused(f"{where}: expected {{\"text\": \"…\"}}, a Document or an openFDA label; found {found or 'an empty object'}. "
                            "Put the text under the key \"text\".")


def _document(record: dict, where: str, ledger: Ledger) -> Iterator[Document]:
    ledger.read += 1
    try:
        document = DOCUMENT.validate_python(record)
    except ValidationError as error:
        first = error.errors()[0]
        raise ImportRefused(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}; found {str(first['input'])[:60]!r}. "
                            "Write a Document's fields, or only {\"text\": …}.") from None
    if document.text.strip():
        yield document
    else:
        ledger.drop("empty")


def _parse(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ImportRefused(f"{where}: not JSON at column {error.colno}: {error.msg}; "
                            f"found {text[max(0, error.pos - 20):error.pos + 20]!r}. "
                            "Each line (or the whole .json file) must be one JSON value in UTF-8.") from None
    except RecursionError:
        raise ImportRefused(f"{where}: JSON nested too deeply. Write one flat {{\"text\": …}} a line.") from None
