"""What an import read, kept, dropped and repaired, by reason: nothing disappears silently; and how messages quote what was found."""
import reprlib
from collections import Counter
from dataclasses import dataclass, field

BAD_SHOWN = 3
QUOTED = reprlib.Repr()  # a value nested a thousand deep cannot be told by `repr`
QUOTED.maxstring = QUOTED.maxother = QUOTED.maxlong = 60
KEYS_SHOWN = 6


class ImportRefused(ValueError):
    """A file or record that cannot be taken: the message names file and line, what was found, and the fix."""


class Unusable(ValueError):
    """A well-formed record that teaches nothing, such as an empty answer; the message is the reason it is dropped by."""


@dataclass(slots=True)
class Ledger:
    """`read` counts texts met (a line, a file, a label section), `kept` documents given out; a long text makes several."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)  # the first messages about malformed records

    def drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] += count

    def drop_bad(self, message: str, reason: str = "malformed") -> None:
        """Count what is malformed; the first few messages are quoted, so that a person finds the line."""
        self.drop(reason)
        if len(self.bad) < BAD_SHOWN:
            self.bad.append(message)

    def add(self, other: "Ledger") -> None:
        self.read += other.read
        self.kept += other.kept
        for mine, theirs in ((self.dropped, other.dropped), (self.repaired, other.repaired), (self.notes, other.notes)):
            mine.update(theirs)
        self.bad = (self.bad + other.bad)[:BAD_SHOWN]

    def as_json(self) -> dict:
        """Plain data. Not asdict: it rebuilds a Counter from pairs, and counts the pairs."""
        return {"read": self.read, "kept": self.kept, "dropped": dict(self.dropped), "repaired": dict(self.repaired),
                "notes": {**self.notes, **{f"refused: {message}": 1 for message in self.bad}}}

    def __str__(self) -> str:
        dropped = ", ".join(f"{reason} {count}" for reason, count in self.dropped.most_common()) or "nothing"
        repaired = "".join(f"; repaired: {what} {count}" for what, count in self.repaired.most_common())
        notes = "".join(f"; {note} {count}" for note, count in self.notes.most_common())
        return f"read {self.read}, kept {self.kept}, dropped: {dropped}{repaired}{notes}"


def quoted(value: object) -> str:
    """A value as a message quotes it: on one line, shortened, whatever it is."""
    return QUOTED.repr(value)


def plain(text: str, longest: int = QUOTED.maxstring) -> str:
    """A key or word of a person's file as it is, or quoted where it is longer or could not be printed on a line."""
    return text if text.isprintable() and len(text) <= longest else quoted(text)


def keys_of(record: object) -> str:
    """What a record of none of the expected shapes is: its first keys, or its type."""
    if not isinstance(record, dict):
        return type(record).__name__
    return ", ".join(plain(key) for key in list(record)[:KEYS_SHOWN]) or "an empty object"
