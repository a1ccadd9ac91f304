"""How people ask, in three sets that never meet: training, development and exam.

`data/questions/<part>/<name>.txt` holds one frame a line; `name` is a family or family.variant, or what frames are filled with (place,
thing), followed by (follow_up.value: the second turn of a conversation whose first lacked something) or wrapped in (opener, closer:
training only). The exam's and development's frames and the training's come from writers who had not seen each other's: what the
exam measures is an understanding of words that training did not choose. The lesson's question stands first in train/renal.txt.
"""
from collections.abc import Mapping
from functools import lru_cache

from pharmgpt.corpus.wordings import DATA, wordings
from pharmgpt.text.records import Part


@lru_cache
def question_frames(part: Part) -> Mapping[str, tuple[str, ...]]:
    """Name → its frames, in the order of the file."""
    names = sorted(file.name.removesuffix(".txt") for file in (DATA / "questions" / part).iterdir())
    return {name: wordings("questions", part, name) for name in names}


def in_order(frame: str, a: str, b: str) -> dict[str, str]:
    """Two drugs for {a} and {b}, so that `a` is read first: answers name a pair in the order in which it was asked about, so to say both
    names is to copy them, and no role need be understood."""
    return {"a": b, "b": a} if 0 <= frame.find("{b}") < frame.find("{a}") else {"a": a, "b": b}
