"""Bytes to clean text, and text to pieces that a short context can hold.

A piece ends at a sentence end where there is one within reach; a longer run (label lists often have no full stop) is cut at a comma or
semicolon, else between words. Special tokens spelled out in a file ("<|end|>") are broken up, so that no text can pose as the chat format.
"""
import re
from collections.abc import Iterator

import ftfy

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger

MAX_WORDS = 100
MIN_WORDS = 4
SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\bDr\.)\s+(?=[A-Z0-9\"'(•])")
CLAUSE_END = re.compile(r"[,;:]$")
# A UTF-8 lead byte and one that follows it, both read as Windows-1252: no double encoding without them. ftfy's own test took a third
# of an import of labels, whose bullets and signs are not ASCII.
DOUBLY_ENCODED = re.compile("[\xc2-\xf4][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff]")


def decode(data: bytes, where: str, ledger: Ledger) -> str:
    """UTF-8 (with or without a byte order mark), UTF-16 with one, or Windows-1252; else refused with the byte that does not fit."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _utf_16(data, where)
    if b"\x00" in data:
        raise ImportRefused(f"{where}: holds a zero byte at offset {data.index(0)}, so it is no text file. Save it as UTF-8 text.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _windows_1252(data, where, error, ledger)


def _utf_16(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-16")
    except UnicodeDecodeError as error:
        raise ImportRefused(f"{where}: starts like UTF-16, but byte {error.start} does not fit. Save the file as UTF-8.") from None


def _windows_1252(data: bytes, where: str, error: UnicodeDecodeError, ledger: Ledger) -> str:
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        raise ImportRefused(f"{where}: byte {data[error.start]:#04x} at offset {error.start} is neither UTF-8 nor Windows-1252. "
                            "Save the file as UTF-8.") from None
    ledger.notes["decoded as Windows-1252"] += 1
    return text


def mend(text: str, ledger: Ledger) -> str:
    """Undo double encoding ("Ã©" for "é"), counted; a text that shows no sign of it comes back as it was."""
    if not DOUBLY_ENCODED.search(text):
        return text
    mended = ftfy.fix_encoding(text)
    if mended != text:
        ledger.repaired["double-encoded text"] += 1
    return mended


def fold(text: str) -> str:
    """One line, single spaces, no control characters, no spelled-out special tokens."""
    return " ".join(clean(text).split())


def clean(text: str) -> str:
    """A message as it may stand in a chat: its lines kept, no control characters, no spelled-out special tokens."""
    return UNPRINTABLE.sub(" ", text).replace("<|", "< |").strip()


def pieces(text: str, max_words: int = MAX_WORDS) -> Iterator[str]:
    """Consecutive sentences of a folded text, together at most `max_words` words."""
    words: list[str] = []
    for sentence in SENTENCE_END.split(text):
        for part in _cut(sentence.split(), max_words):
            if len(words) + len(part) > max_words:
                yield " ".join(words)
                words = []
            words += part
    if words:
        yield " ".join(words)


def _cut(words: list[str], max_words: int) -> Iterator[list[str]]:
    """A sentence's words in runs of at most `max_words`, the last comma in the second half preferred as the place to cut."""
    while len(words) > max_words:
        end = next((at + 1 for at in range(max_words - 1, max_words // 2, -1) if CLAUSE_END.search(words[at])), max_words)
        yield words[:end]
        words = words[end:]
    if words:
        yield words
