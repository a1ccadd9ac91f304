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
SHORT_FACTS = (("contraindications", "condition"), ("boxed_warnings", "effect"), ("serious_effects", "effect"), ("common_effects", "effect"),
               ("hazards", "effect"), ("monitoring", "parameter"))  # a plain string stands for the one key that matters
FULL_FACTS = tuple((field, "") for field in ("renal", "hepatic", "pregnancy", "lactation", "enzymes", "alternatives"))
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
    drugs = {file.stem: _drug(file) for file in sorted((folder / "drugs").glob("*.toml"))}
    sources = _by_id(_entries(folder / "sources.toml", "source", Source), folder / "sources.toml")
    return KnowledgeBase(drugs=drugs, sources={f"{drug.id}_label": _label(drug) for drug in drugs.values()} | sources,
                         interactions=tuple(rule for file in _interaction_files(folder) for rule in _entries(file, "interaction", Interaction)),
                         content_hash=_content_hash(folder), **terms)


def _drug(file: Path) -> Drug:
    """One drug's file. Its facts may be short: "bleeding" for {effect = "bleeding"}, and a fact without a source has the drug's."""
    raw = {**_toml(file), "id": file.stem}
    for field, key in (*SHORT_FACTS, *FULL_FACTS):
        if isinstance(raw.get(field), list):
            raw[field] = [_fact(entry, key, raw.get("source")) for entry in raw[field]]
        elif isinstance(raw.get(field), dict):
            raw[field] = _fact(raw[field], key, raw.get("source"))
    return _validated(Drug, raw, file)


def _fact(entry: object, key: str, source: object) -> object:
    """A table with its source; anything else is left to the validation to name."""
    table = {key: entry} if key and isinstance(entry, str) else entry
    return {"source": source, **table} if isinstance(table, dict) and source is not None else table


def _label(drug: Drug) -> Source:
    """Every drug's own label is a source, `<id>_label`; sources.toml may say more about one."""
    return Source(id=f"{drug.id}_label", title=f"{drug.name[0].upper()}{drug.name[1:]}: prescribing information",
                  publisher="DailyMed, U.S. National Library of Medicine", url="https://dailymed.nlm.nih.gov/dailymed/")


def _interaction_files(folder: Path) -> list[Path]:
    """interactions.toml, or interactions/*.toml where one file would be too long to read."""
    parts = sorted((folder / "interactions").glob("*.toml"))
    return parts if parts and not (folder / "interactions.toml").exists() else [folder / "interactions.toml", *parts]


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
