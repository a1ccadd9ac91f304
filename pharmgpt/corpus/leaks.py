"""What a person's own texts may not bring into training: the exam's sentences and, where answering is taught, its held drugs.

Sentences are compared as runs of 13 words, as GPT-3's authors did (Brown et al. 2020, appendix C); an exam text that is shorter is compared
whole. A record that leaks is left out and counted, never changed: an exam that training could see measures memory.
"""
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pharmgpt.corpus.importers.ledger import Ledger

RUN = 13
SHORTEST = 6  # words of an exam text below which meeting it says nothing
WORD = re.compile(r"[^\W_]+")
R = TypeVar("R")


class ExamRuns:
    """The runs of words that exam texts are made of."""

    def __init__(self, texts: Iterable[str]):
        self.by_length: dict[int, set[str]] = {}
        for words in map(_words, texts):
            if len(words) >= SHORTEST:
                length = min(RUN, len(words))
                self.by_length.setdefault(length, set()).update(_runs(words, length))

    def met_in(self, text: str) -> bool:
        """Does the text hold 13 consecutive words of an exam text, or the whole of a shorter one?"""
        words = _words(text)
        return any(run in runs for length, runs in self.by_length.items() for run in _runs(words, length))


def without_leaks(records: Iterable[R], text_of: Callable[[R], str], exam: ExamRuns, ledger: Ledger,
                  may_be_shown: Callable[[str], bool] = lambda text: True) -> Iterator[R]:
    """The records that share no run with the exam and whose text may be shown; the others are counted as dropped."""
    for record in records:
        text = text_of(record)
        leaks = "holds a sentence of the exam" if exam.met_in(text) else "" if may_be_shown(text) else "names a drug held out for the exam"
        if not leaks:
            yield record
            continue
        ledger.kept -= 1
        ledger.drop(leaks)


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _runs(words: list[str], length: int) -> Iterator[str]:
    return (" ".join(words[at:at + length]) for at in range(len(words) - length + 1))
