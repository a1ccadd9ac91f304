"""Files of one kind → DIR/<kind>.parquet and DIR/ledger.json, streamed.

    result = import_files("openfda", [Path("drug-label-0001-of-0013.json")], Path("imported"))
All files are looked at before the first is read, so a wrong one among many costs no time. A malformed record is dropped and quoted in the
ledger; a file whose every record is malformed is refused. The ledger is written last: without it an import is not finished.
"""
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pharmgpt.corpus.importers import chats, interactions, openfda, preferences, qa, spl, text
from pharmgpt.corpus.importers.duplicates import ExactDuplicates, Repeats
from pharmgpt.corpus.importers.interactions import ImportedInteraction
from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger
from pharmgpt.corpus.importers.passages import as_documents
from pharmgpt.corpus.importers.reading import entries
from pharmgpt.corpus.importers.sniff import File, sniff
from pharmgpt.text.parquet import read_parquet, write_parquet
from pharmgpt.text.records import Conversation, Document, PreferencePair

RECORDS = {"openfda": Document, "spl": Document, "text": Document, "chats": Conversation, "preferences": PreferencePair,
           "qa": Conversation, "interactions": ImportedInteraction}
PASSAGES = {"openfda": openfda.passages, "spl": spl.passages, "text": text.passages}
READERS = {"chats": chats.conversations, "preferences": preferences.pairs, "qa": qa.answers}
LEDGER = "ledger.json"


@dataclass(frozen=True, slots=True)
class Imported:
    kind: str
    path: Path
    total: Ledger
    files: list[tuple[Path, Ledger]]

    def as_json(self) -> dict:
        return {"kind": self.kind, "path": str(self.path), **self.total.as_json(),
                "files": [{"file": str(file), **ledger.as_json()} for file, ledger in self.files]}


def import_files(kind: str, paths: Iterable[Path], out: Path) -> Imported:
    """Import files, or folders of them; raises ImportRefused."""
    if kind not in RECORDS:
        raise ImportRefused(f"{kind!r} is no kind of file. Give one of {', '.join(RECORDS)}.")
    total = Ledger()
    files = [file for path in paths for file in find_files(path, (kind,), total)]
    result = Imported(kind, out / f"{kind}.parquet", total, [(file.path, Ledger()) for file in files])
    out.mkdir(parents=True, exist_ok=True)
    (out / LEDGER).unlink(missing_ok=True)
    records = _distinct(kind, files, result)
    write_parquet(result.path, _some(records, result), RECORDS[kind])
    _write_whole(out / LEDGER, json.dumps(result.as_json(), indent=1, ensure_ascii=False) + "\n")
    return result


def find_files(path: Path, kinds: tuple[str, ...], ledger: Ledger) -> Iterator[File]:
    """The file, which must be of these kinds; or those files of a folder that are, the others counted."""
    if not path.is_dir():
        yield _of_kind(sniff(path), kinds)
        return
    for each in sorted(path.rglob("*")):
        if not each.is_file() or any(part.startswith(".") for part in each.relative_to(path).parts):
            continue
        try:
            file = sniff(each)
        except ImportRefused as error:
            ledger.drop_bad(str(error), "file refused in the folder")
            continue
        if file.kind in kinds:
            yield file
        else:
            ledger.drop(f"file of another kind in the folder ({file.kind})")


def read(file: File, ledger: Ledger, repeats: Repeats | None = None) -> Iterator[object]:
    """The records of one file, lenient; refused where every record is malformed."""
    count = 0
    for count, record in enumerate(_records(file, ledger, repeats), start=1):
        yield record
    if count == 0 and ledger.bad and ledger.dropped["malformed"] == ledger.read:
        raise ImportRefused(f"{ledger.bad[0]} So are all {ledger.read} records of the file." if ledger.read > 1 else ledger.bad[0])


def _records(file: File, ledger: Ledger, repeats: Repeats | None) -> Iterator[object]:
    if file.layout.startswith("parquet"):
        ledger.notes["read from an earlier import"] += 1
        for record in read_parquet(file.path, RECORDS[file.kind]):
            ledger.read += 1
            yield record
    elif file.kind in PASSAGES:
        yield from as_documents(PASSAGES[file.kind](file.path, file.layout, ledger), ledger, repeats)
    elif file.kind in READERS:
        found = qa.medquad_entries(file.path, ledger) if file.layout == "medquad" else entries(file.path, file.layout, ledger)
        yield from READERS[file.kind](found, ledger)
    else:
        yield from interactions.interactions(file.path, file.layout, ledger)


def _distinct(kind: str, files: list[File], result: Imported) -> Iterator[object]:
    """The records of all files without repeats; kept is counted here, in the file's ledger and, at its end, in the total."""
    if kind == "interactions":
        yield from _pairs(files, result)
        return
    same, repeats = ExactDuplicates(), Repeats() if kind in PASSAGES else None
    for file, (_, ledger) in zip(files, result.files, strict=True):
        for record in read(file, ledger, repeats):
            if same(content(record)):
                ledger.drop("exact duplicate")
                continue
            ledger.kept += 1
            yield record
        result.total.add(ledger)


def _pairs(files: list[File], result: Imported) -> Iterator[ImportedInteraction]:
    """The rows of all files merged by pair; a row that begins a pair counts as kept."""
    pairs: dict[str, ImportedInteraction] = {}
    for file, (_, ledger) in zip(files, result.files, strict=True):
        for row in read(file, ledger):
            if interactions.add_row(pairs, row):
                ledger.kept += 1
            else:
                ledger.drop("row merged into its pair")
        result.total.add(ledger)
    yield from pairs.values()


def content(record: object) -> str:
    """What makes two records the same: all they say, whatever their ids."""
    if isinstance(record, Document):
        return record.text
    said = "\x00".join(f"{message.role}\x01{message.content}" for message in record.messages)
    return f"{said}\x02{record.chosen}\x02{record.rejected}" if isinstance(record, PreferencePair) else said


def _some(records: Iterator[object], result: Imported) -> Iterator[object]:
    """The records; none at all is a refusal that says where they went."""
    count = 0
    for count, record in enumerate(records, start=1):
        yield record
    if count == 0:
        names = ", ".join(str(path) for path, _ in result.files[:3]) or "the folder"
        raise ImportRefused(f"{names}: nothing to keep; {result.total}. Give files of the kind {result.kind} that hold something.")


def _of_kind(file: File, kinds: tuple[str, ...]) -> File:
    if file.kind not in kinds:
        raise ImportRefused(f"{file.path}: looks like {file.kind} ({file.layout}), not {' or '.join(kinds)}. "
                            f"Import it with `pharmgpt data import {file.kind}`.")
    return file


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
