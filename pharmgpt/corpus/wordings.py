"""Words of many writers, one frame a line, in data/: questions (how one asks), documents (how one states a fact), cloze (how one cuts it).

Writers saw nobody else's. A model that read a fact in twenty wordings only could not say it in a foreign one.
"""
from functools import lru_cache
from importlib.resources import files

DATA = files("pharmgpt.corpus") / "data"


@lru_cache
def wordings(*place: str) -> tuple[str, ...]:
    """The frames of data/<place>.txt, in the order of the file."""
    *folders, name = place
    return tuple(DATA.joinpath(*folders, f"{name}.txt").read_text(encoding="utf-8").splitlines())
