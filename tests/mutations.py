"""Ten thousand spoilt rows of everything that a person can hand in; prints what became of them. Minutes a format.

    python tests/mutations.py [--rows 10000] [--seed 0] [FORMAT…]

A row is read, or dropped and counted in a ledger that adds up, or its file is refused in one line that names it. An exception of another
kind, more than ten seconds over one file, or a ledger that does not add up is a defect, printed with the file that shows it.
`make test` holds a sample (test_mutations).
"""
import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from inputs import FORMATS, Format, Refused
from pharmgpt.corpus.importers import duplicates
from pharmgpt.corpus.importers.ledger import ImportRefused
from pharmgpt.knowledge.load import KnowledgeError
from pharmgpt.run.recipe import RecipeError
from pharmgpt.text.records import BadRecord

REFUSALS = (Refused, ImportRefused, BadRecord, KnowledgeError, RecipeError)  # each is exit code 2 of its command: test_mutations.py
SECONDS = 10
LONGEST = 800  # letters of a message
NOT_READ = re.compile(r"table |section: |file ")  # dropped before it counts as a text read
BEST = "graded answers that were the best of their question"
REPEATED = ("exact duplicate", "near-duplicate", "row merged into its pair")  # read, and the same as another row
CUT = "pieces of long texts beyond the first"
DEFECTS = ("traceback", "hang", "ledger", "message")


class Hang(BaseException):
    """Not an Exception, so that nothing that catches those can swallow it."""


@dataclass
class Tally:
    """What became of a format's rows; `defects` are the first texts that tell how to see one again."""

    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    defects: dict[str, str] = field(default_factory=dict)  # the first of each kind

    def defect(self, kind: str, what: str, file: Path) -> None:
        self.outcomes[kind] += 1
        self.defects.setdefault(f"{kind}: {what}"[-160:], f"{kind}: {what}\n{file.read_bytes()[:800]!r}")


def mutate(form: Format, rows: int, seed: int | str, folder: Path) -> Tally:
    """Write and read spoilt files of one format until they held so many spoilt rows."""
    random, tally, file = Random(seed), Tally(), folder / form.file
    while tally.rows < rows:
        data, count = form.write(random)
        file.write_bytes(data)
        tally.rows += count
        try:
            _read(form, file, count, tally)
        except REFUSALS as refusal:
            tally.outcomes["refused"] += count
            if fault := fault_of_message(str(refusal), folder.name):
                tally.defect("message", f"{fault}: {str(refusal)[:400]}", file)
        except Hang:
            tally.defect("hang", form.file, file)
        except AssertionError as error:
            tally.defect("ledger", str(error), file)
        except Exception:  # whatever is no refusal is what this looks for: it is counted and shown, never passed over
            tally.defect("traceback", traceback.format_exc(limit=-6), file)
    return tally


def _read(form: Format, file: Path, count: int, tally: Tally) -> None:
    """Read a file against the clock, and count what was read and dropped of its rows."""
    signal.signal(signal.SIGALRM, _hang)
    signal.alarm(SECONDS)
    try:
        told = form.read(file)
    finally:
        signal.alarm(0)
    dropped = min(count, drops(told, REPEATED)) if isinstance(told, dict) else 0
    tally.outcomes["dropped"] += dropped
    tally.outcomes["read"] += count - dropped
    if isinstance(told, dict) and (gap := gap_of(told)):
        tally.defect("ledger", f"{gap:+} unaccounted for: {told}", file)


def gap_of(ledger: dict) -> int:
    """Texts read and pieces cut, less those kept and dropped: 0 in a ledger that adds up."""
    return ledger["read"] + ledger["notes"].get(CUT, 0) - ledger["kept"] - drops(ledger) - ledger["notes"].get(BEST, 0)


def drops(ledger: dict, but: tuple[str, ...] = ()) -> int:
    return sum(count for reason, count in ledger["dropped"].items() if not NOT_READ.match(reason) and reason not in but)


def fault_of_message(message: str, folder: str) -> str:
    """What a refusal lacks: it is one line of readable length that names the file and ends with what to do."""
    message = message.strip()
    if not any(place in message for place in (folder, "--set", "sets.toml")):
        return "names no file"
    if "\n" in message or not message.isprintable():
        return "is not one printable line"
    return "is too long" if len(message) > LONGEST else "" if re.search(r"[.;:,] ", message) else "says no fix"


def _hang(*_: object) -> None:
    raise Hang


def main(names: list[str], rows: int, seed: int) -> int:
    table = Table("format", "rows mutated", "read", "refused", "dropped", "tracebacks", "hangs", "ledger mismatches", "bad messages")
    folder, bad = Path(tempfile.mkdtemp(prefix="mutations-")), 0
    duplicates.SLOTS = 1 << 12  # a million of them cost more than all the rest, for imports of ten rows
    os.environ["XDG_CACHE_HOME"] = str(folder)  # spoilt knowledge bases would push a person's own out of the cache
    for name in names or FORMATS:
        tally = mutate(FORMATS[name], rows, seed, folder)
        table.add_row(name, *(f"{count:,}" for count in (tally.rows, *(tally.outcomes[each] for each in ("read", "refused", "dropped",
                                                                                                         *DEFECTS)))))
        bad += len(tally.defects)
        for defect in tally.defects.values():
            print(f"{name}: {defect}\n")
        print(f"{name}: {tally.rows} rows, {dict(tally.outcomes)}", flush=True)
    shutil.rmtree(folder)
    Console(width=160).print(table)
    return int(bad > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", choices=[[], *FORMATS], metavar="FORMAT", help=f"One of {', '.join(FORMATS)}.")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    sys.exit(main(chosen.formats, chosen.rows, chosen.seed))
