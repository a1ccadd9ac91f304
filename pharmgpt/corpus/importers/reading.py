"""Files as numbered lines, blocks of text, or JSON values, one at a time: a file may be larger than memory.

The encoding of a whole file is found by one pass over its bytes; line formats decide line by line, since lines of several programs are
often appended to one file. `place` in what follows is "file, line 7": where an error message points.
"""
import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import ijson

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, plain
from pharmgpt.corpus.importers.pieces import decode

CHUNK = 1 << 20
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
MAX_KEYS = 50
MOST_OPENED = 500  # brackets opened in a buffer and not closed in it
HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
DAMAGED = (ijson.JSONError, UnicodeDecodeError)  # the second where half a surrogate pair is spelled out


class Entry(NamedTuple):
    """One JSON value of a file: `name` goes into the record's id, `place` into messages."""

    name: str
    place: str
    value: object


def check_name(file: Path) -> None:
    """Old archives unpack to names that are not UTF-8, and neither a record's id nor a ledger could hold one."""
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise ImportRefused(f"{str(file)!r}: the file's name is not UTF-8. Rename it.") from None


def encoding_of(file: Path, ledger: Ledger) -> str:
    """utf-8-sig, utf-16 or cp1252, whichever fits every byte; else refused with the byte that does not."""
    with open(file, "rb") as data:
        if data.read(2) in UTF_16_MARKS:
            _check(file, "utf-16")
            return "utf-16"
    try:
        _check(file, "utf-8")
    except UnicodeDecodeError:
        _check(file, "cp1252")
        ledger.notes["decoded as Windows-1252"] += 1
        return "cp1252"
    return "utf-8-sig"


def _check(file: Path, encoding: str) -> None:
    """Read all of a file in one encoding. `decode` words the refusals; that it is not UTF-8 is raised as it is, to try the next."""
    decoder, offset, size = codecs.getincrementaldecoder(encoding)(), 0, file.stat().st_size
    with open(file, "rb") as data:
        while chunk := data.read(CHUNK):
            place = f"{file}, from byte {offset}" if offset else str(file)
            if encoding != "utf-16" and b"\x00" in chunk:
                decode(chunk, place, Ledger())
            try:
                decoder.decode(chunk, final=offset + len(chunk) >= size)
            except UnicodeDecodeError:
                if encoding == "utf-8":
                    raise
                decode(chunk if encoding == "cp1252" else b"\xff\xfe" + chunk[2 * (offset == 0):], place, Ledger())
                raise ImportRefused(f"{place}: does not fit {encoding} to its end. Save the file as UTF-8.") from None
            offset += len(chunk)


def lines(file: Path, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """(place, line) of every line that is not blank."""
    with open(file, "rb") as data:
        if data.read(2) in UTF_16_MARKS:
            yield from _utf_16_lines(file)
            return
        data.seek(0)
        for number, line in enumerate(data, start=1):
            place = f"{file}, line {number}"
            text = decode(line, place, ledger).strip()
            if text:
                yield place, text


def _utf_16_lines(file: Path) -> Iterator[tuple[str, str]]:
    _check(file, "utf-16")
    with open(file, encoding="utf-16") as text:
        for number, line in enumerate(text, start=1):
            if line.strip():
                yield f"{file}, line {number}", line.strip()


def blocks(file: Path, ledger: Ledger, size: int = CHUNK) -> Iterator[str]:
    """A text file in runs of whole lines, each about `size` characters; a small file is one block."""
    with open(file, encoding=encoding_of(file, ledger)) as text:
        while block := text.read(size):
            yield block if len(block) < size else block + text.readline(size)


def parse(text: str, place: str) -> object:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ImportRefused(f"{place}: not JSON at column {error.colno}: {error.msg}; "
                            f"found {text[max(0, error.pos - 20):error.pos + 20]!r}. "
                            "Each line (or the whole .json file) must be one JSON value in UTF-8.") from None
    except ValueError as error:  # a number of more digits than Python reads
        raise ImportRefused(f"{place}: {str(error).partition(';')[0]}. Write so long a number as a text, in quotes.") from None
    except RecursionError:
        raise ImportRefused(f"{place}: JSON nested too deeply. Write one flat {{\"text\": …}} a line.") from None
    if HALF_PAIR.search(text):
        _check_pairs(value, place)
    return value


def _check_pairs(value: object, place: str) -> None:
    """JSON can spell half a character outside the basic plane ("\\ud83d" without "\\ude00"), which no file of ours could hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ImportRefused(f"{place}: half of a surrogate pair, {half!r}. Write the whole character, or none.") from None


def line_entries(file: Path, ledger: Ledger) -> Iterator[Entry]:
    """JSON lines; a line that is not JSON is counted as malformed, and the rest goes on."""
    for place, line in lines(file, ledger):
        try:
            yield Entry(f"{file.name}#{place.rsplit(' ', 1)[1]}", place, parse(line, place))
        except ImportRefused as error:
            ledger.read += 1
            ledger.drop_bad(str(error))


def entries(file: Path, layout: str, ledger: Ledger) -> Iterator[Entry]:
    """The JSON values of a file that is laid out as "lines", "one" value, an "array", a "download" with results, or "keyed"."""
    if layout == "lines":
        return line_entries(file, ledger)
    if layout == "keyed":
        return keyed_entries(file, ledger)
    if layout == "one":
        return iter([Entry(file.name, str(file), parse(decode(file.read_bytes(), str(file), ledger), str(file)))])
    return array_entries(file, {"array": "item", "download": "results.item"}[layout], ledger)


def array_entries(file: Path, prefix: str, ledger: Ledger) -> Iterator[Entry]:
    """The items of the array at `prefix` ("item" for a file that is one array, "results.item" for an openFDA download)."""
    with json_bytes(file, ledger) as data:
        number = -1
        try:
            for number, value in enumerate(ijson.items(Shallow(data, file), prefix, use_float=True)):
                yield Entry(f"{file.name}#{number}", f"{file}, item {number}", value)
        except DAMAGED as error:
            raise broken(file, error, f" after item {number}" if number >= 0 else "") from None


def keyed_entries(file: Path, ledger: Ledger) -> Iterator[Entry]:
    """The values of a file that is one object, by their keys."""
    with json_bytes(file, ledger) as data:
        key = ""
        try:
            for key, value in ijson.kvitems(Shallow(data, file), "", use_float=True):
                yield Entry(f"{file.name}#{key}", f"{file}, key {key!r}", value)
        except DAMAGED as error:
            raise broken(file, error, f" after key {key!r}" if key else "") from None


def outer(file: Path, ledger: Ledger) -> tuple[str, list[str]]:
    """("array", []), ("object", its first keys) or ("value", []): what the file's outermost JSON value is. Stops at a results array."""
    with json_bytes(file, ledger) as data:
        keys: list[str] = []
        try:
            # WITHOUT use_float IJSON 3.6 CRASHES on an integer of more than 4,300 digits, and Python with it
            for prefix, event, value in ijson.parse(Shallow(data, file), use_float=True):
                if prefix == "" and event not in ("start_map", "map_key"):
                    return {"start_array": "array", "end_map": "object"}.get(event, "value"), keys
                if prefix == "" and event == "map_key":
                    keys.append(value)
                if (prefix, event) == ("results", "start_array") or len(keys) == MAX_KEYS:
                    break
        except DAMAGED as error:
            raise broken(file, error, "") from None
    return "object", keys


class Shallow:
    """Bytes of JSON for ijson, refused where they nest too deeply: it keeps the path of every level, over 20 GB for 100,000 of them."""

    def __init__(self, data: BinaryIO, file: Path) -> None:
        self._data, self._file = data, file

    def read(self, size: int) -> bytes:
        chunk = self._data.read(size)
        if chunk.count(b"[") + chunk.count(b"{") - chunk.count(b"]") - chunk.count(b"}") > MOST_OPENED:
            raise ImportRefused(f"{self._file}: JSON nested too deeply. Write one flat {{\"text\": …}} a line.")
        return chunk


def json_bytes(file: Path, ledger: Ledger) -> BinaryIO:
    """The file as UTF-8 bytes without a byte order mark, whatever it is written in."""
    encoding = encoding_of(file, ledger)
    data = open(file, "rb")
    if encoding != "utf-8-sig":
        return codecs.EncodedFile(data, "utf-8", encoding)
    if data.read(3) != codecs.BOM_UTF8:
        data.seek(0)
    return data


def broken(file: Path, error: Exception, where: str) -> ImportRefused:
    what = plain(" ".join(str(error).split())[:160], 160)
    return ImportRefused(f"{file}: not JSON{where}: {what}. The file is cut off or damaged: get it again, or mend it there.")
