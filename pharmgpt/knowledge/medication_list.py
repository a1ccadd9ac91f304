"""A medication list as people type it → drugs, each with how its name was recognised; nothing is dropped.
"""
import difflib
import re
from dataclasses import dataclass

from pharmgpt.knowledge.names import How, Resolution, find_drugs, fold, resolve
from pharmgpt.knowledge.other_drugs import OTHER_DRUGS
from pharmgpt.knowledge.schema import KnowledgeBase, Term

SEPARATORS = re.compile(r"[,;+\n]|\s&\s")
DOSE_WORDS = re.compile(
    r"(?:\d[\d.,/]*|mg|mcg|µg|g|ml|iu|units?|tablets?|tabs?|capsules?|caps?|daily|once|twice|times?|three|a|per|day|week|weekly|every|"
    r"hours?|hourly|od|bd|bid|tds|tid|qid|qds|qd|prn|po|oral|orally|nightly|at|night|in|the|morning|evening|low|high|dose|xl|xr|er|sr|cr)",
    re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One item of a list. `drug_id` is None where the name is not recognised; then `candidates` are the nearest drugs."""

    text: str
    drug_id: str | None
    how: How | None
    candidates: tuple[str, ...] = ()


def read_list(kb: KnowledgeBase, text: str) -> list[Entry]:
    """Entries between commas, semicolons, plus signs or lines, doses allowed ("warfarin 5 mg daily")."""
    pieces = (piece.strip() for piece in SEPARATORS.split(text))
    return [entry for piece in pieces if piece for entry in _entries(kb, piece)]


def nearest(kb: KnowledgeBase, name: str, count: int = 3) -> tuple[str, ...]:
    """Display names that look most like an unrecognised one."""
    known = {fold(each): drug.name for drug in kb.drugs.values() for each in (drug.name, *drug.brands, *drug.spellings)}
    close = difflib.get_close_matches(fold(name), known, n=4 * count, cutoff=0.75)
    return tuple(dict.fromkeys(known[each] for each in close))[:count]


def find_term(entries: dict[str, Term], name: str) -> tuple[str | None, tuple[str, ...]]:
    """A vocabulary id by id, name or synonym; else the nearest names."""
    known = {fold(each): term for term in entries.values() for each in (*term.terms, term.name, term.id)}
    if term := known.get(fold(name)):
        return term.id, ()
    close = difflib.get_close_matches(fold(name), known, n=3, cutoff=0.6)
    return None, tuple(dict.fromkeys(known[each].name for each in close))


def _entries(kb: KnowledgeBase, piece: str) -> list[Entry]:
    parts = [part for part in re.split(r"\s+and\s+", piece, flags=re.IGNORECASE) if part.strip()]
    whole = resolve(kb, piece)
    if whole.drug_id or whole.drugs and len(parts) == 1:
        return [Entry(piece, drug, whole.how) for drug in whole.drugs]
    if fold(" ".join(word for word in re.findall(r"[^\W\d]+", piece) if not DOSE_WORDS.fullmatch(word))) in OTHER_DRUGS:
        return [Entry(piece, None, None)]
    if len(parts) > 1:
        return [entry for part in parts for entry in _entries(kb, part)]
    return _with_dose(kb, piece) or [Entry(piece, None, None, whole.candidates or nearest(kb, piece))]


def _with_dose(kb: KnowledgeBase, piece: str) -> list[Entry]:
    """"warfarin 5 mg daily": one name, and nothing beside it but dose words."""
    mentions = find_drugs(kb, piece)
    if len({(mention.start, mention.end) for mention in mentions}) != 1:
        return []
    rest = piece[:mentions[0].start] + " " + piece[mentions[0].end:]
    words = re.findall(r"\d[\d.,/]*|[^\W\d]+", rest)
    return [Entry(piece, mention.drug_id, mention.how) for mention in mentions] if all(map(DOSE_WORDS.fullmatch, words)) else []
