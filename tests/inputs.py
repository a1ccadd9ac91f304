"""Everything that a person can hand in, as small files that tests spoil: how one is written with spoilt rows, and how it is read.

A reader returns the ledger where there is one, as `--json` prints it, else the number of records. Commands are called in this process.
"""
import codecs
import csv
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from datetime import date, datetime, time
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl.utils.exceptions import IllegalCharacterError
from typer.main import get_command

from pharmgpt import pipeline
from pharmgpt.cli import app
from pharmgpt.corpus.importers.ledger import Ledger
from pharmgpt.corpus.importers.own import own_conversations, own_pairs
from pharmgpt.corpus.importers.reading import UTF_16_MARKS
from pharmgpt.corpus.importers.text import read_extra
from pharmgpt.kb_cli import _facts
from pharmgpt.knowledge import load as loading
from pharmgpt.knowledge.audit import audit
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.screen import Patient, screen
from pharmgpt.knowledge.subset import named_set
from pharmgpt.run.recipe import Recipe
from pharmgpt.text.parquet import RECORD, schema
from pharmgpt.text.records import Conversation, Document, PlainPair, PreferencePair, Prompt, Question, read_jsonl
from samples import (ASKED, BASE, CHATS, DOCUMENTS, FLAT, GRADED, LABEL, PAIR, PAIRS, PROSE, PUBMEDQA, QA_PAIR, QUESTIONS,
                     RECIPE, SECTION, SETTINGS, SPL_HEAD, TABLE, TALK, TEXTS)
from spoil import RAW_TOML, VALUES, spoil_bytes, spoil_cells, spoil_json, spoil_toml, spoil_xml


COMMAND = get_command(app)  # typer builds it anew at each call: half of the time


class Refused(Exception):
    """The command ended with exit code 2; its one line."""


class Format(NamedTuple):
    """`write` makes a file's bytes with some rows spoilt and says how many; `read` takes the file."""

    file: str
    write: Callable[[Random], tuple[bytes, int]]
    read: Callable[[Path], dict | int]


def command(*arguments: object) -> str:
    """`pharmgpt …`; its standard output. What is not caught inside is raised here."""
    out, err, code = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            COMMAND([str(each) for each in arguments])
        except SystemExit as stop:
            code = stop.code
    if code == 2:
        raise Refused(err.getvalue())
    assert not code, f"exit code {code}: {err.getvalue()}"
    return out.buffer.getvalue().decode()


# -- how files are written -------------------------------------------------------------------------------------------------------------

def between(random: Random, good: list[bytes], spoil: Callable[[Random], bytes], join: bytes = b"\n", head: bytes = b"",
            tail: bytes = b"\n", most: int = 4) -> tuple[bytes, int]:
    """Good rows first and last, spoilt ones between them: one half of the time, so that a file need not fall to its neighbour."""
    count = random.choice((1, most))
    if random.random() < 0.1:
        return spoil_bytes(random, head + join.join(good) + tail), 1
    return head + join.join((*good, *(spoil(random) for _ in range(count)), good[0])) + tail, count


def lines(*records: dict, most: int = 4) -> Callable[[Random], tuple[bytes, int]]:
    good = [json.dumps(record).encode() for record in records]
    return lambda random: between(random, good, lambda chance: spoil_json(chance, chance.choice(records)), most=most)


def array(*records: dict, head: bytes = b"[", tail: bytes = b"]") -> Callable[[Random], tuple[bytes, int]]:
    good = [json.dumps(record).encode() for record in records]
    return lambda random: between(random, good, lambda chance: spoil_json(chance, chance.choice(records)), b",\n", head, tail, most=1)


def elements(head: str, tail: str, *good: str) -> Callable[[Random], tuple[bytes, int]]:
    return lambda random: between(random, [each.encode() for each in good], lambda chance: spoil_xml(chance, chance.choice(good)),
                                  head=head.encode(), tail=tail.encode(), most=2)


def table(*rows: list[str], delimiter: str = ",", most: int = 8) -> Callable[[Random], tuple[bytes, int]]:
    good = [delimiter.join(row).encode() for row in rows]

    def write(random: Random) -> tuple[bytes, int]:
        if random.random() < 0.1:
            return b"\n".join((spoil_cells(random, rows[0], delimiter), *good[1:])), 1
        return between(random, good, lambda chance: spoil_cells(chance, chance.choice(rows[1:]), delimiter), most=most)
    return write


def workbook(*rows: list[str]) -> Callable[[Random], tuple[bytes, int]]:
    odd = (*VALUES, datetime(2024, 2, 29, 12), date(1890, 1, 1), time(7), "=1/0", "=A1&B1", "#REF!", "#N/A", "_xD800_")

    def write(random: Random) -> tuple[bytes, int]:
        book, count = openpyxl.Workbook(), random.choice((1, 20))
        for row in rows:
            book.active.append(row)
        for _ in range(count):
            row = list(random.choice(rows[1:]))
            row[random.randrange(len(row)):random.choice((None, -1))] = random.choices(odd, k=random.randrange(4))
            for at, value in enumerate(row, start=1):
                _put(book.active, book.active.max_row + (at == 1), at, value)
        whole = io.BytesIO()
        book.save(whole)
        return (_spoil_book(random, whole.getvalue()), 1) if count == 1 else (whole.getvalue(), count)
    return write


def _put(sheet, row: int, column: int, value: object) -> None:
    """A cell that Excel could hold; what it could not is left empty."""
    try:
        sheet.cell(row, column, value)
    except (ValueError, IllegalCharacterError):
        sheet.cell(row, column, None)


def _spoil_book(random: Random, book: bytes) -> bytes:
    """The archive's bytes spoilt, or one of its XML files."""
    if random.random() < 0.5:
        return spoil_bytes(random, book)
    spoilt = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(spoilt, "w") as new:
        chosen = random.choice([name for name in old.namelist() if name.startswith("xl/")])
        for name in old.namelist():
            if name != chosen or random.random() < 0.8:
                new.writestr(name, spoil_xml(random, old.read(name).decode()) if name == chosen else old.read(name))
    return spoilt.getvalue()


def parquet(*records: object) -> Callable[[Random], tuple[bytes, int]]:
    """Records as Parquet whose table or bytes are spoilt."""
    kind = type(records[0])
    good = pa.Table.from_pylist([asdict(record) for record in records], schema(kind))

    def write(random: Random) -> tuple[bytes, int]:
        whole = io.BytesIO()
        changed = _spoil_table(random, good) if random.random() < 0.5 else good
        pq.write_table(changed, whole)
        return (spoil_bytes(random, whole.getvalue()) if changed is good else whole.getvalue()), 1
    return write


def _spoil_table(random: Random, good: pa.Table) -> pa.Table:
    """A column lost, renamed, of another type or not UTF-8; another record's name; no rows."""
    at = random.randrange(good.num_columns)
    names = [f"{name}x" if number == at else name for number, name in enumerate(good.column_names)]
    odd = [pa.array([value] * len(good)) for value in (None, True, 5, 2.5, "", "x" * 100_000, [], ["a"], {"a": 1}, date(2024, 2, 29))]
    odd.append(pa.array([b"\xff\xfe"] * len(good), pa.binary()).view(pa.string()))
    return random.choice((
        lambda: good.remove_column(at), lambda: good.rename_columns(names), lambda: good.slice(0, 0),
        lambda: good.append_column("more", random.choice(odd)), lambda: good.set_column(at, good.column_names[at], random.choice(odd)),
        lambda: good.replace_schema_metadata({RECORD: random.choice((b"Conversation", b"\xff", b"", b"Nothing"))}),
        lambda: good.replace_schema_metadata(None)))()


# -- how files are read ----------------------------------------------------------------------------------------------------------------

def imported(kind: str, path: Path) -> dict:
    """`data import`, whose Parquet must hold as many records as the ledger says."""
    out = path.parent / "out"
    told = json.loads(command("data", "import", kind, path, "--out", out, "--json"))
    assert told == json.loads((out / "ledger.json").read_text(encoding="utf-8"))
    assert pq.read_metadata(out / f"{kind}.parquet").num_rows == told["kept"], "the Parquet holds another number of records"
    if path.suffix == ".jsonl" and kind != "text":
        assert told["read"] == lines_of(path), "the ledger has read another number of lines"
    return told


def lines_of(path: Path) -> int:
    """The lines that hold more than white space behind a byte order mark, counted without the reader."""
    data = path.read_bytes()
    if data[:2] in UTF_16_MARKS:
        return sum(1 for line in io.StringIO(data.decode("utf-16"), newline=None) if line.strip())
    lines = (line.removeprefix(codecs.BOM_UTF8).strip() for line in data.split(b"\n") if line.strip() not in UTF_16_MARKS)
    return sum(1 for line in lines if line.decode(errors="replace").strip())


def inspected(path: Path) -> int:
    """`data inspect`, for people, or for programs: every other file."""
    if path.stat().st_size % 2:
        return len(command("data", "inspect", path))
    return json.loads(command("data", "inspect", path, "--json"))["records"]


def own(read: Callable, path: Path) -> dict:
    """A reader of pretrain.extra, sft.extra or reward.extra."""
    ledger = Ledger()
    count = sum(1 for _ in read(path, ledger))
    assert count == ledger.kept, f"{count} records given out, {ledger.kept} in the ledger"
    return ledger.as_json()


def records(kind: type, path: Path) -> int:
    return sum(1 for _ in read_jsonl(path, kind))


def judged(path: Path) -> int:
    """`kb pairs`: every row comes out again."""
    out = path.with_name("judged.csv")
    base = path.parent / "base"
    told = json.loads(command("kb", "pairs", path, "--out", out, "--base", base if base.is_dir() else small_base(path.parent), "--json"))
    with open(out, encoding="utf-8", newline="") as file:
        assert sum(1 for _ in csv.reader(file)) - 1 == told["pairs"], "rows were lost"
    return told["pairs"]


def recipe(path: Path) -> int:
    """A recipe; what a run keeps of it must read back as the same."""
    return _kept(pipeline.read_recipe(str(path), (), None), path)


def override(path: Path) -> int:
    """A line of text as `--set`, over a small recipe."""
    (path.parent / "mine.toml").write_text(RECIPE, encoding="utf-8")
    return _kept(pipeline.read_recipe(str(path.parent / "mine.toml"), [path.read_bytes().decode(errors="surrogateescape")], None), path)


def _kept(found: Recipe, path: Path) -> int:
    kept = path.with_name("kept.toml")
    kept.write_text(found.to_toml(), encoding="utf-8")
    assert pipeline.read_recipe(str(kept), (), None).to_toml() == found.to_toml(), "a kept recipe reads back as another"
    return 1


def small_base(folder: Path) -> Path:
    """A knowledge base of two drugs."""
    for name, text in BASE.items():
        file = folder / "base" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder / "base"


def knowledge(path: Path) -> int:
    """One file of a base, named in its first line: loaded, audited, narrowed to a set, and screened by each of its drugs."""
    name, _, text = path.read_bytes().partition(b"\n")
    (small_base(path.parent) / name.decode()).write_bytes(text)
    loading._load.cache_clear()
    kb = load(path.parent / "base")
    audit(kb)
    part = named_set(kb, "both")
    assert json.dumps([vars(each) for each in screen(part, part.drugs, Patient(20, age_years=80, pregnant=True, breastfeeding=True))],
                      default=dict)
    for drug in kb.drugs.values():
        assert all(list(_facts(kb, drug)))
    return 1


def base_files(random: Random) -> tuple[bytes, int]:
    name = random.choice(list(BASE))
    return name.encode() + b"\n" + spoil_toml(random, BASE[name]), 1


def prose(random: Random) -> tuple[bytes, int]:
    return between(random, [line.encode() for line in PROSE], lambda chance: spoil_bytes(chance, chance.choice(PROSE).encode()), most=5)


def setting(random: Random) -> tuple[bytes, int]:
    line = random.choice(SETTINGS)
    key = line.partition("=")[0]
    return random.choice((spoil_bytes(random, line.encode()), f"{key}={random.choice(RAW_TOML)}".encode())), 1


def _both(kind: str) -> Callable[[Path], dict]:
    """`data inspect` and then `data import`."""
    def read(path: Path) -> dict:
        inspected(path)
        return imported(kind, path)
    return read


FORMATS = {
    "openfda download": Format("a.json", array(LABEL, head=b'{"meta": {"results": {"total": 1}}, "results": [', tail=b"]}"),
                               _both("openfda")),
    "openfda lines": Format("a.ndjson", lines(LABEL, FLAT), _both("openfda")),
    "openfda cache": Format("a.json", lambda random: (spoil_json(random, FLAT), 1), _both("openfda")),
    "spl": Format("a.xml", elements(SPL_HEAD, "</structuredBody></component></document>", SECTION), _both("spl")),
    "text prose": Format("a.txt", prose, _both("text")),
    "text lines": Format("a.jsonl", lines(*TEXTS), _both("text")),
    "text array": Format("a.json", array(*TEXTS), _both("text")),
    "text parquet": Format("a.parquet", parquet(*DOCUMENTS), _both("text")),
    "chats lines": Format("a.jsonl", lines(*CHATS), _both("chats")),
    "chats array": Format("a.json", array(*CHATS), _both("chats")),
    "chats parquet": Format("a.parquet", parquet(Conversation("c.1", TALK), Conversation("c.2", TALK[:1] * 2)), _both("chats")),
    "preferences lines": Format("a.jsonl", lines(*PAIRS), _both("preferences")),
    "preferences graded": Format("a.jsonl", lines(*GRADED), _both("preferences")),
    "qa lines": Format("a.jsonl", lines(*QUESTIONS), _both("qa")),
    "qa pubmedqa": Format("a.json", lambda random: (spoil_json(random, PUBMEDQA), 1), _both("qa")),
    "qa medquad": Format("a.xml", elements('<?xml version="1.0"?><Document id="1"><QAPairs>', "</QAPairs></Document>",
                                           *map(QA_PAIR.format, (1, 2))), _both("qa")),
    "interactions csv": Format("a.csv", table(*TABLE), _both("interactions")),
    "interactions tsv": Format("a.tsv", table(*TABLE, delimiter="\t"), _both("interactions")),
    "interactions excel": Format("a.xlsx", workbook(*TABLE), _both("interactions")),
    "pretrain.extra lines": Format("a.jsonl", lines(*TEXTS, LABEL, most=2), partial(own, read_extra)),
    "pretrain.extra prose": Format("a.txt", prose, partial(own, read_extra)),
    "pretrain.extra download": Format("a.json", array(LABEL, head=b'{"results": [', tail=b"]}"), partial(own, read_extra)),
    "pretrain.extra spl": Format("a.xml", elements(SPL_HEAD, "</structuredBody></component></document>", SECTION), partial(own,
                                                                                                                           read_extra)),
    "pretrain.extra parquet": Format("a.parquet", parquet(*DOCUMENTS), partial(own, read_extra)),
    "sft.extra": Format("a.jsonl", lines(*CHATS), partial(own, lambda path, ledger: own_conversations([path], ledger))),
    "reward.extra": Format("a.jsonl", lines(*PAIRS, *GRADED), partial(own, lambda path, ledger: own_pairs([path], ledger))),
    "ask --file": Format("a.jsonl", lines({"id": "1", "prompt": "Is it safe?"}, most=1), partial(records, Prompt)),
    "reward --file": Format("a.jsonl", lines({"prompt": "Is it?", "chosen": "No.", "rejected": "Yes."}, most=1), partial(records,
                                                                                                                         PlainPair)),
    "documents.jsonl": Format("a.jsonl", lines(*map(asdict, DOCUMENTS), most=1), partial(records, Document)),
    "questions.jsonl": Format("a.jsonl", lines(asdict(ASKED), most=1), partial(records, Question)),
    "pairs.jsonl": Format("a.jsonl", lines(asdict(PAIR), most=1), partial(records, PreferencePair)),
    "kb pairs": Format("a.csv", table(["drug_a", "drug_b", "ward"], ["warfarin", "Advil", "3"], ["x", "Twofold", "4"], most=1), judged),
    "knowledge": Format("one_file", base_files, knowledge),
    "recipe": Format("a.toml", lambda random: (spoil_toml(random, RECIPE), 1), recipe),
    "--set": Format("setting", setting, override),
}
