"""Records as Parquet: columns from the dataclass, streamed in batches both ways.

    write_parquet(path, documents, Document); for document in read_parquet(path, Document): ...

The file appears under its name only when it is whole. The record's name stands in the schema's metadata, so that a file of pairs is not
taken for a file of documents. Reading validates as `read_jsonl` does, and the round trip is exact.
"""
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from pharmgpt.text.records import BadRecord

ROWS = 2048
RECORD = b"pharmgpt.record"
PLAIN = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
R = TypeVar("R")


def schema(kind: type) -> pa.Schema:
    """Columns of a record type; the metadata names it."""
    return pa.schema(_columns(kind), metadata={RECORD: kind.__name__})


def write_parquet(path: Path, records: Iterable[object], kind: type) -> int:
    """Write records of one type; returns how many. What fails halfway leaves no file of that name."""
    columns, count = schema(kind), 0
    partial = path.with_name(f".{path.name}.partial")
    try:
        with pq.ParquetWriter(partial, columns, compression="zstd") as file:
            for rows in _batches(records):
                file.write_table(pa.Table.from_pylist([asdict(row) for row in rows], columns))
                count += len(rows)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def read_parquet(path: Path, kind: type[R]) -> Iterator[R]:
    """Read records of one type, validated; raises BadRecord naming file and row."""
    adapter = TypeAdapter(kind)
    with _damage_told(path), pq.ParquetFile(path) as file:
        if (name := _record_name(file)) != kind.__name__:
            raise BadRecord(f"{path}: holds {name or 'no records of ours'}, not {kind.__name__}. "
                            "Give a file that `pharmgpt data import` wrote for this use.")
        row = 0
        for batch in file.iter_batches(ROWS):
            for row, record in enumerate(batch.to_pylist(), start=row + 1):
                yield _validated(adapter, record, f"{path}, row {row}", kind)


def record_name(path: Path) -> str:
    """The record type that a file of ours holds; "" for other Parquet files."""
    with _damage_told(path), pq.ParquetFile(path) as file:
        return _record_name(file)


def _batches(records: Iterable[object]) -> Iterator[list]:
    remaining = iter(records)
    while rows := list(islice(remaining, ROWS)):
        yield rows


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Damage as pyarrow finds it, in the footer or later in a page, as a BadRecord. An OSError of the disk's own has a number."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadRecord(f"{path}: not a whole Parquet file: {' '.join(str(error).split())[:120]!r}. Import it again.") from None


def _record_name(file: pq.ParquetFile) -> str:
    return (file.schema_arrow.metadata or {}).get(RECORD, b"").decode(errors="replace")


def _validated(adapter: TypeAdapter, record: dict, where: str, kind: type):
    try:
        return adapter.validate_python(record)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRecord(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}; found {str(first['input'])[:80]!r}. "
                        f"Each row must hold the fields of {kind.__name__}.") from None


def _columns(kind: type) -> list[pa.Field]:
    hints = get_type_hints(kind)
    return [pa.field(each.name, _arrow(hints[each.name])) for each in fields(kind)]


def _arrow(hint) -> pa.DataType:
    """str, bool, int, float, Literal strings, `… | None`, tuple[x, ...] and dataclasses: what our records are made of."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Literal:
        return pa.string()
    if origin is tuple:
        return pa.list_(_arrow(inside[0]))
    if origin in (Union, types.UnionType):
        return _arrow(next(each for each in inside if each is not type(None)))
    return pa.struct(_columns(hint)) if is_dataclass(hint) else PLAIN[hint]
