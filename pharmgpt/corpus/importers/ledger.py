"""What an import read, kept and dropped, by reason: nothing disappears silently."""
from collections import Counter
from dataclasses import dataclass, field


class ImportRefused(ValueError):
    """A file that cannot be taken: the message names file and line, what was found, and the fix."""


@dataclass(slots=True)
class Ledger:
    """`read` counts texts met (a line, a file, a label section), `kept` documents given out; a long text makes several."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] += count

    def as_json(self) -> dict:
        """Plain data. Not asdict: it rebuilds a Counter from pairs, and counts the pairs."""
        return {"read": self.read, "kept": self.kept, "dropped": dict(self.dropped), "notes": dict(self.notes)}

    def __str__(self) -> str:
        dropped = ", ".join(f"{reason} {count}" for reason, count in self.dropped.most_common()) or "nothing"
        notes = "".join(f"; {note} {count}" for note, count in self.notes.most_common())
        return f"read {self.read}, kept {self.kept}, dropped: {dropped}{notes}"
