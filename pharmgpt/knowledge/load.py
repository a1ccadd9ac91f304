"""TOML → KnowledgeBase. An error names the file, the key, what was found and the fix.

A base is a folder: drugs/<name>.toml, the vocabularies, sources.toml, interactions.toml or interactions/*.toml, and perhaps limits.toml,
combinations.toml and sets.toml. A second folder, `extra`, may lie over it: its drugs, terms, sources and rules are added, and replace
those of the same id.
"""
import hashlib
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pharmgpt.knowledge import cache as disk
from pharmgpt.knowledge.schema import Combination, Drug, Interaction, KnowledgeBase, Limit, Source, Strict, Term

PACKAGED = Path(__file__).parent / "data"
VOCABULARIES = ("classes", "effects", "conditions", "parameters")
SHORT_FACTS = (("contraindications", "condition"), ("boxed_warnings", "effect"), ("serious_effects", "effect"),
               ("common_effects", "effect"), ("hazards", "effect"), ("monitoring", "parameter"))  # a plain string is this key's value
FULL_FACTS = tuple((field, "") for field in ("renal", "hepatic", "pregnancy", "lactation", "enzymes", "alternatives"))
OPTIONAL = ("combinations.toml", "limits.toml", "sets.toml")
S = TypeVar("S", bound=Strict)


class KnowledgeError(ValueError):
    """A knowledge base that cannot be read: the message names file, key, what was found and the fix."""


def load(path: Path | None = None, extra: Path | None = None) -> KnowledgeBase:
    """Read a knowledge base: ours, or the folder `path` in the same schema, with the folder `extra` laid over it. Read once a process."""
    return _load(tuple(Path(each).resolve() for each in (path or PACKAGED, extra) if each))


@cache
def _load(folders: tuple[Path, ...]) -> KnowledgeBase:
    if not (folders[0] / "drugs").is_dir():
        raise KnowledgeError(f"{folders[0]}: no folder drugs/ in it; a knowledge base holds drugs/<name>.toml, "
                             f"{', '.join(VOCABULARIES)}.toml, interactions.toml and sources.toml")
    if len(folders) > 1 and not folders[1].is_dir():
        raise KnowledgeError(f"{folders[1]}: no such folder; give one with drugs/<name>.toml, made by `pharmgpt kb new DRUG`")
    files = {folder: {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.toml"))} for folder in folders}
    digest = _content_hash(files.values())
    found = disk.read(digest)
    if found is None:
        found = _assemble(files, digest)
        disk.write(found)
    return found


def _assemble(files: dict[Path, dict[str, bytes]], digest: str) -> KnowledgeBase:
    drugs = {Path(name).stem: _drug(folder / name, raw) for folder, named in files.items() for name, raw in named.items()
             if Path(name).parent.name == "drugs"}
    vocabularies = {name: _terms(files, f"{name}.toml", "term", Term) for name in VOCABULARIES}
    sources = {f"{drug.id}_label": _label(drug) for drug in drugs.values()} | _terms(files, "sources.toml", "source", Source)
    return KnowledgeBase(drugs=dict(sorted(drugs.items())), sources=sources, interactions=_interactions(files),
                         limits=tuple(_terms(files, "limits.toml", "limit", Limit).values()),
                         combinations=tuple(_terms(files, "combinations.toml", "combination", Combination).values()),
                         sets=_sets(files), content_hash=digest, **vocabularies)


def _drug(file: Path, raw: bytes | None = None) -> Drug:
    """One drug's file. Its facts may be short: "bleeding" for {effect = "bleeding"}, and a fact without a source has the drug's."""
    table = {**_toml(file, file.read_bytes() if raw is None else raw), "id": file.stem}
    for field, key in (*SHORT_FACTS, *FULL_FACTS):
        if isinstance(table.get(field), list):
            table[field] = [_fact(entry, key, table.get("source")) for entry in table[field]]
        elif isinstance(table.get(field), dict):
            table[field] = _fact(table[field], key, table.get("source"))
    return _validated(Drug, table, file)


def _fact(entry: object, key: str, source: object) -> object:
    """A table with its source; anything else is left to the validation to name."""
    table = {key: entry} if key and isinstance(entry, str) else entry
    return {"source": source, **table} if isinstance(table, dict) and source is not None else table


def _label(drug: Drug) -> Source:
    """Every drug's own label is a source, `<id>_label`; sources.toml may say more about one."""
    return Source(id=f"{drug.id}_label", title=f"{drug.name[0].upper()}{drug.name[1:]}: prescribing information",
                  publisher="DailyMed, U.S. National Library of Medicine", url="https://dailymed.nlm.nih.gov/dailymed/")


def _interactions(files: dict[Path, dict[str, bytes]]) -> tuple[Interaction, ...]:
    """The rules of interactions.toml and interactions/*.toml; those of a later folder replace those with the same id."""
    found: dict[str, list[Interaction]] = {}
    for number, (folder, named) in enumerate(files.items()):
        names = [name for name in named if name == "interactions.toml" or Path(name).parent.name == "interactions"]
        if not names and not number:
            raise KnowledgeError(f"{folder / 'interactions.toml'}: no such file; copy ours and change it")
        rules = [rule for name in names for rule in _entries(folder / name, named[name], "interaction", Interaction)]
        found |= {rule.id: [each for each in rules if each.id == rule.id] for rule in rules} if number else {"": rules}
    replaced = found.keys() - {""}
    return tuple(rule for rule in found.pop("") if rule.id not in replaced) + tuple(rule for rules in found.values() for rule in rules)


def _sets(files: dict[Path, dict[str, bytes]]) -> dict[str, tuple[str, ...]]:
    """sets.toml: names of drug sets that a recipe may train on, as classroom = ["metformin", …]. An extra folder's drugs join all."""
    (folder, named), *extra = files.items()
    raw = _toml(folder / "sets.toml", named["sets.toml"]) if "sets.toml" in named else {}
    for name, ids in raw.items():
        if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
            raise KnowledgeError(f"{folder / 'sets.toml'}: {name}: expected a list of drug ids; found {str(ids)[:80]!r}")
    joined = [Path(name).stem for _, others in extra for name in others if Path(name).parent.name == "drugs"]
    return {name: tuple(dict.fromkeys((*ids, *joined))) for name, ids in raw.items()}


def _terms(files: dict[Path, dict[str, bytes]], name: str, table: str, kind: type[S]) -> dict[str, S]:
    found: dict[str, S] = {}
    for number, (folder, named) in enumerate(files.items()):
        if name in named:
            found |= _by_id(_entries(folder / name, named[name], table, kind), folder / name)
        elif not number and name not in OPTIONAL:
            raise KnowledgeError(f"{folder / name}: no such file; copy ours and change it")
    return found


def _entries(file: Path, raw: bytes, table: str, kind: type[S]) -> list[S]:
    found = _toml(file, raw)
    for key in found.keys() - {table}:
        raise KnowledgeError(f"{file}: unknown key {key!r}; this file holds [[{table}]] tables only")
    entries = found.get(table, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KnowledgeError(f"{file}: {table}: found {str(entries)[:80]!r}, not [[{table}]] tables; begin each entry with [[{table}]]")
    names = (repr(str(entry.get("id", number))[:60])[1:-1] for number, entry in enumerate(entries, start=1))
    return [_validated(kind, entry, file, f"{table} {name}: ") for name, entry in zip(names, entries, strict=True)]


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


def _toml(file: Path, raw: bytes) -> dict:
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a number of thousands of digits, or nested too deeply
        raise KnowledgeError(f"{file}: not valid TOML: {error}. Fix that line.") from None


def _content_hash(folders: Iterable[dict[str, bytes]]) -> str:
    """SHA-256 over every file's name and bytes, so that a changed fact is a changed base."""
    digest = hashlib.sha256()
    for number, named in enumerate(folders):
        digest.update(b"\1" * number)
        for name, raw in sorted(named.items()):
            digest.update(name.encode() + b"\0" + raw + b"\0")
    return digest.hexdigest()
