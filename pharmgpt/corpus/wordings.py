"""Words of many writers, in data/: questions (how one asks), documents (how one states a fact), cloze (how one cuts it): one frame a line;
signs and conditions (how one tells a harm or what one has): what it is and the words.

Writers saw nobody else's. A model that read a fact in twenty wordings only could not say it in a foreign one.
"""
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from pharmgpt.text.records import Part

What = Literal["signs", "conditions"]
Form = Literal["phrases", "clauses"]
DATA = files("pharmgpt.corpus") / "data"


@lru_cache
def wordings(*place: str) -> tuple[str, ...]:
    """The frames of data/<place>.txt, in the order of the file."""
    *folders, name = place
    return tuple(DATA.joinpath(*folders, f"{name}.txt").read_text(encoding="utf-8").splitlines())


@lru_cache
def told(what: What, part: Part, form: Form) -> Mapping[str, tuple[str, ...]]:
    """Harm or condition → how people tell it, in the words of this part's writers: "black stools", or as a clause, "my stool is black"."""
    lines = DATA.joinpath(what, f"{part}.{form}.tsv").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for key, words in (line.split("\t") for line in lines):
        found.setdefault(key, []).append(words)
    return {key: tuple(words) for key, words in found.items()}
