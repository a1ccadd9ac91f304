"""People's own conversations and pairs for a recipe: raw files of any layout we know, or Parquet that `pharmgpt data import` wrote.

    ledger = Ledger()
    conversations = list(own_conversations([Path("my_chats.jsonl")], ledger)); print(ledger)
"""
from collections.abc import Iterable, Iterator
from pathlib import Path

from pharmgpt.corpus.importers.duplicates import ExactDuplicates
from pharmgpt.corpus.importers.importing import content, find_files, read
from pharmgpt.corpus.importers.ledger import Ledger
from pharmgpt.text.records import Conversation, PreferencePair


def own_conversations(paths: Iterable[Path | str], ledger: Ledger | None = None) -> Iterator[Conversation]:
    """Conversations of files or folders (chats and qa), repeats dropped; raises ImportRefused."""
    yield from _distinct(paths, ("chats", "qa"), ledger if ledger is not None else Ledger())


def own_pairs(paths: Iterable[Path | str], ledger: Ledger | None = None) -> Iterator[PreferencePair]:
    """Preference pairs of files or folders, repeats dropped; raises ImportRefused."""
    yield from _distinct(paths, ("preferences",), ledger if ledger is not None else Ledger())


def _distinct(paths: Iterable[Path | str], kinds: tuple[str, ...], ledger: Ledger) -> Iterator:
    same = ExactDuplicates()
    for file in [file for path in paths for file in find_files(Path(path), kinds, ledger)]:
        of_file = Ledger()
        for record in read(file, of_file):
            if same(content(record)):
                of_file.drop("exact duplicate")
                continue
            of_file.kept += 1
            yield record
        ledger.add(of_file)
