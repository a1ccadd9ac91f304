"""Questions with answers → Conversation: PubMedQA, MedQuAD, and {"question", "answer"} records.

PubMedQA's answer is LONG_ANSWER, the abstract's conclusion, not the bare yes or no. MedQuAD's drug files hold EMPTY answers (removed for
copyright); those are dropped by reason.
"""
from collections.abc import Iterable, Iterator
from pathlib import Path

from pharmgpt.corpus.importers.chats import conversation, said
from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, Unusable, keys_of
from pharmgpt.corpus.importers.reading import Entry
from pharmgpt.corpus.importers.xml import elements, forget
from pharmgpt.text.records import Conversation, Message

KEYS = (("QUESTION", "LONG_ANSWER"), ("question", "answer"), ("Question", "Answer"))


def answers(entries: Iterable[Entry], ledger: Ledger) -> Iterator[Conversation]:
    """A conversation of one question and its answer each."""
    for entry in entries:
        ledger.read += 1
        try:
            question, answer = question_keys(entry)
            texts = (said(entry.value[key], f"{entry.place}, {key}", ledger) for key in (question, answer))
            yield conversation(entry.name, [Message(role, text) for role, text in zip(("user", "assistant"), texts)])
        except Unusable as reason:
            ledger.drop(str(reason))
        except ImportRefused as error:
            ledger.drop_bad(str(error))


def medquad_entries(file: Path, ledger: Ledger) -> Iterator[Entry]:
    """The question-answer pairs of a MedQuAD document; one that holds none is noted."""
    pair = None
    for pair in elements(file, "QAPair"):
        question, answer = pair.find("Question"), pair.find("Answer")
        record = {"question": "" if question is None else _text(question), "answer": "" if answer is None else _text(answer)}
        yield Entry(f"{file.name}#{pair.get('pid', pair.sourceline)}", f"{file}, line {pair.sourceline}", record)
        forget(pair)
    if pair is None:
        ledger.notes["MedQuAD document without questions"] += 1


def question_keys(entry: Entry) -> tuple[str, str]:
    """The keys that hold the question and its answer."""
    record = entry.value
    for keys in KEYS:
        if isinstance(record, dict) and set(keys) <= record.keys():
            return keys
    raise ImportRefused(f"{entry.place}: expected {' or '.join(' and '.join(keys) for keys in KEYS[:2])}; "
                        f"found {keys_of(record)}. Name the two texts question and answer.")


def _text(element) -> str:
    return "".join(element.itertext())
