"""Words of many writers, in data/: questions (how one asks), documents (how one states a fact), cloze (how one cuts it), signs (how one
tells a harm). One frame a line; of signs, a harm and how it was told.

Writers saw nobody else's. A model that read a fact in twenty wordings only could not say it in a foreign one.
"""
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from pharmgpt.text.records import Part

Form = Literal["phrases", "clauses"]
DATA = files("pharmgpt.corpus") / "data"


@lru_cache
def wordings(*place: str) -> tuple[str, ...]:
    """The frames of data/<place>.txt, in the order of the file."""
    *folders, name = place
    return tuple(DATA.joinpath(*folders, f"{name}.txt").read_text(encoding="utf-8").splitlines())


@lru_cache
def signs(part: Part, form: Form = "phrases") -> Mapping[str, tuple[str, ...]]:
    """Harm → how lay people tell it, in the words of this part's writers: "black stools", or as clauses, "my stool is black"."""
    lines = DATA.joinpath("signs", f"{part}.{form}.tsv").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for harm, sign in (line.split("\t") for line in lines):
        found.setdefault(harm, []).append(sign)
    return {harm: tuple(told) for harm, told in found.items()}
