"""Preferences as people keep them → PreferencePair: TRL's layouts, HH transcripts, and answers with expert grades.

A prompt that is not given is what `chosen` and `rejected` begin with alike: the longest shared run of messages, or of words in plain
strings. Grades are paired within runs of lines about one question: every answer below the best, against the best.
"""
import os
import re
from collections.abc import Iterable, Iterator
from itertools import groupby, takewhile

from pharmgpt.corpus.importers.chats import IMPORTED, check_turns, read_messages, said
from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, Unusable, keys_of
from pharmgpt.corpus.importers.reading import Entry
from pharmgpt.text.records import Message, PreferencePair

TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):\s?")
GRADE_KEY = re.compile(r"score|grade|rating", re.I)
SPEAKERS = {"Human": "user", "Assistant": "assistant"}


def pairs(entries: Iterable[Entry], ledger: Ledger) -> Iterator[PreferencePair]:
    """One pair an entry, or the pairs of graded answers; the unusable and the malformed are counted."""
    for question, run in groupby(entries, _graded_question):
        if question is not None:
            yield from _graded(list(run), ledger)
            continue
        for entry in run:
            ledger.read += 1
            try:
                yield _pair(entry, ledger)
            except Unusable as reason:
                ledger.drop(str(reason))
            except ImportRefused as error:
                ledger.drop_bad(str(error))


def is_graded(record: object) -> bool:
    """{"question", "answer", "score…"}"""
    return isinstance(record, dict) and {"question", "answer"} <= record.keys() and _grade(record) is not None


def _pair(entry: Entry, ledger: Ledger) -> PreferencePair:
    record, place = entry.value, entry.place
    if not isinstance(record, dict) or not {"chosen", "rejected"} <= record.keys():
        raise ImportRefused(f"{place}: expected chosen and rejected; found {keys_of(record)}. Name the better answer chosen.")
    prompt = _spoken(record["prompt"], "user", f"{place}, prompt", ledger) if record.get("prompt") else []
    if prompt and prompt[-1] == Message("assistant", ""):  # a transcript that ends "Assistant:", for the answer to follow
        prompt.pop()
    sides = [_spoken(record[key], "assistant", f"{place}, {key}", ledger) for key in ("chosen", "rejected")]
    prompt, chosen, rejected = _part(prompt, *sides)
    return _checked(entry.name, prompt, chosen, rejected, *(_number(record, key) for key in ("chosen", "rejected")))


def _spoken(value: object, role: str, place: str, ledger: Ledger) -> list[Message]:
    """Messages, an HH transcript, or one plain text of `role`."""
    if isinstance(value, list):
        return read_messages(value, place, ledger)
    text = said(value, place, ledger)
    turns = TURN.split(text)
    if len(turns) == 1 or turns[0].strip():
        return [Message(role, text)]
    return [Message(SPEAKERS[who], words.strip()) for who, words in zip(turns[1::2], turns[2::2], strict=True)]


def _part(prompt: list[Message], chosen: list[Message], rejected: list[Message]) -> tuple[list[Message], list[Message], list[Message]]:
    """(prompt, chosen, rejected) without what the sides repeat of the prompt."""
    if prompt and chosen[:len(prompt)] == rejected[:len(prompt)] == prompt:
        return prompt, chosen[len(prompt):], rejected[len(prompt):]
    if prompt:
        return prompt, chosen, rejected
    if len(chosen) == len(rejected) == 1:
        return _part_strings(chosen[0].content, rejected[0].content)
    shared = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(chosen[:-1], rejected[:-1])))
    return chosen[:shared], chosen[shared:], rejected[shared:]


def _part_strings(chosen: str, rejected: str) -> tuple[list[Message], list[Message], list[Message]]:
    """Plain strings parted behind the last word that they share."""
    shared = os.path.commonprefix([chosen, rejected])
    at = len(shared) if chosen == rejected else max(shared.rfind(" "), shared.rfind("\n")) + 1
    prompt = [Message("user", shared[:at].strip())] if shared[:at].strip() else []
    return prompt, [Message("assistant", chosen[at:].strip())], [Message("assistant", rejected[at:].strip())]


def _checked(name: str, prompt: list[Message], chosen: list[Message], rejected: list[Message],
             gold_chosen: float | None, gold_rejected: float | None) -> PreferencePair:
    if chosen == rejected:
        raise Unusable("chosen and rejected are the same")
    if not prompt:
        raise Unusable("no prompt, and none that the answers share")
    if len(chosen) != 1 or len(rejected) != 1:
        raise Unusable("answers of several turns")
    for answer in (chosen, rejected):
        check_turns(prompt + answer)
        if answer[0].role != "assistant":
            raise Unusable("does not end with an answer")
    return PreferencePair(id=name, messages=tuple(prompt), chosen=chosen[0].content, rejected=rejected[0].content, flaw=IMPORTED,
                          template_id=IMPORTED, gold_chosen=gold_chosen, gold_rejected=gold_rejected)


def _number(record: dict, side: str) -> float | None:
    """chosen_score (ours) or score_chosen (TRL, UltraFeedback)."""
    value = record.get(f"{side}_score", record.get(f"score_{side}"))
    return _finite(value) if isinstance(value, int | float) else None


def _finite(value: int | float) -> float | None:
    """JSON can hold integers that no float can."""
    try:
        return float(value)
    except OverflowError:
        return None


def _graded_question(entry: Entry) -> object:
    """What graded answers are grouped by; None for other records."""
    return str(entry.value.get("question_id", entry.value["question"])) if is_graded(entry.value) else None


def _grade(record: dict) -> float | None:
    return next((_finite(value) for key, value in record.items() if GRADE_KEY.search(key) and isinstance(value, int | float)), None)


def _graded(run: list[Entry], ledger: Ledger) -> Iterator[PreferencePair]:
    """Every answer below the best against the best."""
    best = max(run, key=lambda entry: _grade(entry.value))
    ledger.read += len(run)
    ledger.notes["graded answers that were the best of their question"] += 1
    for entry in run:
        if entry is best:
            continue
        try:
            yield _better_and_worse(best, entry, ledger)
        except Unusable as reason:
            ledger.drop(str(reason))
        except ImportRefused as error:
            ledger.drop_bad(str(error))


def _better_and_worse(best: Entry, worse: Entry, ledger: Ledger) -> PreferencePair:
    high, low = _grade(best.value), _grade(worse.value)
    if high == low:
        raise Unusable("graded as high as the best answer")
    question, chosen, rejected = (said(entry.value[key], f"{entry.place}, {key}", ledger)
                                  for entry, key in ((best, "question"), (best, "answer"), (worse, "answer")))
    return _checked(worse.name, [Message("user", question)], [Message("assistant", chosen)], [Message("assistant", rejected)], high, low)
