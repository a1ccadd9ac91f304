"""Texts of any source as Documents of genre "imported": mended, folded to one line, and cut to pieces that a short context can hold."""
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pharmgpt.corpus.importers.ledger import Ledger
from pharmgpt.corpus.importers.pieces import MIN_WORDS, fold, mend, pieces
from pharmgpt.text.records import Document

GENRE = "imported"
FURTHER = "pieces of long texts beyond the first"


class Passage(NamedTuple):
    """A text before it is cut, such as one section of a label. `name` begins the ids of its documents."""

    name: str
    text: str


def as_documents(passages: Iterable[Passage | Document], ledger: Ledger,
                 repeats: Callable[[str], str] | None = None) -> Iterator[Document]:
    """Documents of the passages; a Document passes whole. Texts that `repeats` has a word for are dropped by it."""
    for passage in passages:
        ledger.read += 1
        text = passage.text if isinstance(passage, Document) else fold(mend(passage.text, ledger))
        if not text.strip():
            ledger.drop("empty")
        elif repeats is not None and (reason := repeats(text)):
            ledger.drop(reason)
        elif isinstance(passage, Document):
            yield passage
        else:
            yield from _cut(passage.name, text, ledger)


def _cut(name: str, text: str, ledger: Ledger) -> Iterator[Document]:
    for number, piece in enumerate(pieces(text)):
        if number:
            ledger.notes[FURTHER] += 1
        if piece.count(" ") + 1 < MIN_WORDS:
            ledger.drop(f"fewer than {MIN_WORDS} words")
        else:
            yield Document(id=f"{name}.{number}", text=piece, genre=GENRE, template_id=GENRE)
