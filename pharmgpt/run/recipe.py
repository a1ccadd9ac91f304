"""A recipe says everything that decides a run's results: strict, typed TOML, one section a stage.

The section types are handed in by the caller, because each stage defines its own config in its own file. `--set a.b=c` changes one
key; the value is read as TOML, and as plain text where TOML cannot read it.
"""
import difflib
import hashlib
import json
import math
import reprlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

PRESETS = Path(__file__).parent.parent / "recipes"


class RecipeError(ValueError):
    """A recipe that cannot be used: the message names the key, what was found and the fix."""


@dataclass(frozen=True)
class Recipe:
    """A name, a seed and one validated config a section."""

    name: str
    seed: int
    sections: Mapping[str, BaseModel]

    def __getitem__(self, section: str) -> BaseModel:
        return self.sections[section]

    def section_hash(self, names: Iterable[str]) -> str:
        """SHA-256 over the named sections and the seed: what makes a stage stale when it changes."""
        content = {name: self.sections[name].model_dump(mode="json") for name in sorted(names)}
        return hashlib.sha256(json.dumps([self.seed, content], sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        lines = [f"name = {json.dumps(self.name)}", f"seed = {self.seed}"]
        for section, config in self.sections.items():
            lines.append(f"\n[{section}]")
            lines += [f"{key} = {_toml_value(value)}" for key, value in config.model_dump(mode="json").items() if value is not None]
        return "\n".join(lines) + "\n"


def presets() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read_recipe(name_or_path: str, sections: Mapping[str, type[BaseModel]], overrides: Iterable[str] = (),
                seed: int | None = None) -> Recipe:
    """Read a preset or a TOML file, apply `key=value` overrides, validate. Raises RecipeError."""
    path = _find(name_or_path)
    raw = read_toml(path)
    for override in overrides:
        _apply(raw, override, sections)
    if seed is not None:
        raw["seed"] = seed
    return _validate(raw, path, sections)


def read_toml(path: Path) -> dict:
    try:
        return read_toml_text(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text (byte {error.start}); a recipe is a TOML file saved as UTF-8") from None


def read_toml_text(text: str, name: str = "recipe") -> dict:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # not TOML, a number of thousands of digits, or nested too deeply
        raise RecipeError(f"{name}: not valid TOML: {error}. Fix that line.") from None


def differing_keys(old: Mapping, new: Mapping, prefix: str = "") -> list[str]:
    """Dotted keys whose values differ between two nested mappings, with both values."""
    rows = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            rows += differing_keys(a, b, f"{prefix}{key}.")
        elif a != b:
            rows.append(f"{prefix}{key}: {a!r} there, {b!r} here")
    return rows


def _find(name_or_path: str) -> Path:
    for path in (PRESETS / f"{name_or_path}.toml", Path(name_or_path)):
        if path.is_file():
            return path
    raise RecipeError(f"there is no recipe {name_or_path!r}; use one of {', '.join(presets())}, or the path of a TOML file")


def _apply(raw: dict, override: str, sections: Mapping[str, type[BaseModel]]) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise RecipeError(f"--set {override!r}: write it as key=value, such as --set pretrain.steps=200")
    if not key.isprintable() or not _is_utf_8(text):
        raise RecipeError(f"--set {override!r}: holds a character that no recipe can; type it again")
    *parents, last = key.strip().split(".")
    node = raw
    for depth, part in enumerate(parents):
        if depth == 0 and part not in sections:
            raise RecipeError(f"--set {key}: there is no section {part!r}{_nearest(part, sections)}")
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise RecipeError(f"--set {key}: {part!r} holds {reprlib.repr(node)}, not a table, so it has no key below it; "
                              f"use --set {key.strip().rpartition('.')[0]}=value")
    node[last] = _read_value(text.strip())


def _is_utf_8(text: str) -> bool:
    """False for an argument whose bytes the terminal gave in another encoding."""
    return text.encode(errors="replace").decode() == text


def _read_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _validate(raw: dict, path: Path, sections: Mapping[str, type[BaseModel]]) -> Recipe:
    known = {"name", "seed", *sections}
    for key in raw.keys() - known:
        raise RecipeError(f"{path}: unknown key {key!r}{_nearest(key, known)}")
    seed = raw.get("seed", 0)
    if type(seed) is not int or seed < 0:
        raise RecipeError(f"{path}: seed: found {reprlib.repr(seed)}; use a whole number, 0 or more")
    configs = {name: _section(name, kind, raw.get(name, {}), path) for name, kind in sections.items()}
    return Recipe(name=str(raw.get("name", path.stem)), seed=seed, sections=configs)


def _section(name: str, kind: type[BaseModel], values: object, path: Path) -> BaseModel:
    try:
        return kind.model_validate(_laid_over(kind().model_dump(), values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            raise RecipeError(f"{path}: unknown key {key!r}{_nearest(str(first['loc'][-1]), kind.model_fields)}") from None
        raise RecipeError(f"{path}: {key}: {first['msg']}; found {reprlib.repr(first['input'])}") from None


def _laid_over(defaults: object, values: object) -> object:
    """`values` with the keys that they leave out: a table that sets one key keeps the section's own defaults of the others."""
    if not (isinstance(defaults, dict) and isinstance(values, dict)):
        return values
    return defaults | {key: _laid_over(defaults.get(key), value) for key, value in values.items()}


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known))}"


def _toml_value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml_value(inner)}" for key, inner in value.items() if inner is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(inner) for inner in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
