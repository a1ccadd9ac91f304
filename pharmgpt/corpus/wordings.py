"""Sentences that state one fact in many people's words: data/documents/<fact>.txt, one frame a line.

Each writer saw nobody else's, nor the development's and the exam's cloze frames. A model that read a fact in twenty wordings only could
not say it in a foreign one.
"""
from importlib.resources import files


def accounts(fact: str) -> dict[str, tuple[str, ...]]:
    """Genre → the frames of a fact: "limit", "band", "side" or "pregnancy"."""
    path = files("pharmgpt.corpus") / "data" / "documents" / f"{fact}.txt"
    return {"account": tuple(path.read_text(encoding="utf-8").splitlines())}
