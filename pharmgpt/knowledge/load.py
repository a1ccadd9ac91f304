"""TOML → KnowledgeBase. An error names the file, the key, what was found and the fix."""
import hashlib
import tomllib
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pharmgpt.knowledge.schema import Drug, Interaction, KnowledgeBase, Source, Strict, Term

PACKAGED = Path(__file__).parent / "data"
VOCABULARIES = ("classes", "effects", "conditions", "parameters")
S = TypeVar("S", bound=Strict)


class KnowledgeError(ValueError):
    """A knowledge base that cannot be read: the message names file, key, what was found and the fix."""


def load(path: Path | None = None) -> KnowledgeBase:
    """Read a knowledge base: ours, or the folder `path` in the same schema. Read once a process."""
    return _load(Path(path or PACKAGED).resolve())


@cache
def _load(folder: Path) -> KnowledgeBase:
    if not (folder / "drugs").is_dir():
        raise KnowledgeError(f"{folder}: no folder drugs/ in it; a knowledge base holds drugs/<name>.toml, {', '.join(VOCABULARIES)}.toml, "
                             "interactions.toml and sources.toml")
    terms = {name: _by_id(_entries(folder / f"{name}.toml", "term", Term), folder / f"{name}.toml") for name in VOCABULARIES}
    return KnowledgeBase(
        drugs={file.stem: _drug(file) for file in sorted((folder / "drugs").glob("*.toml"))},
        sources=_by_id(_entries(folder / "sources.toml", "source", Source), folder / "sources.toml"),
        interactions=tuple(_entries(folder / "interactions.toml", "interaction", Interaction)), content_hash=_content_hash(folder), **terms)


def _drug(file: Path) -> Drug:
    return _validated(Drug, {**_toml(file), "id": file.stem}, file)


def _entries(file: Path, table: str, kind: type[S]) -> list[S]:
    raw = _toml(file)
    for key in raw.keys() - {table}:
        raise KnowledgeError(f"{file}: unknown key {key!r}; this file holds [[{table}]] tables only")
    return [_validated(kind, entry, file, f"{table} {entry.get('id', number)}: ")
            for number, entry in enumerate(raw.get(table, []), start=1)]


def _by_id(entries: list[S], file: Path) -> dict[str, S]:
    found: dict[str, S] = {}
    for entry in entries:
        if entry.id in found:
            raise KnowledgeError(f"{file}: id {entry.id!r} stands twice; rename or remove one")
        found[entry.id] = entry
    return found


def _validated(kind: type[S], raw: dict, file: Path, where: str = "") -> S:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise KnowledgeError(f"{file}: {where}{key}: {first['msg']}; found {str(first['input'])[:80]!r}. The keys are those of "
                             f"{kind.__name__} in pharmgpt/knowledge/schema.py.") from None


def _toml(file: Path) -> dict:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KnowledgeError(f"{file}: no such file; copy ours and change it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{file}: not valid TOML: {error}. Fix that line.") from None


def _content_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.toml")):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
