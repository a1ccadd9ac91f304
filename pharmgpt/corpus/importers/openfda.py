"""Drug labels as openFDA gives them out: {"meta", "results": [label, …]}, one label a line (NDJSON), or a downloader's flat cache.

A label's sections are lists of strings beside bookkeeping. Tables come as HTML in fields of their own and repeat what the section says, so
they are left out, like the package panel and the ingredient strings. Cross references ("[see Warnings (5.1)]", "( 5.2 )") are taken out.
Downloads are streamed: the bulk files hold hundreds of megabytes in one array.
"""
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, keys_of
from pharmgpt.corpus.importers.passages import Passage
from pharmgpt.corpus.importers.reading import Entry, entries, outer

NOT_PROSE = frozenset(("spl_product_data_elements", "package_label_principal_display_panel", "inactive_ingredient", "active_ingredient",
                       "questions", "set_id", "id", "version", "effective_time", "openfda", "spl_unclassified_section", "how_supplied",
                       "recent_major_changes", "references", "package_label_section"))
TABLE_FIELD = re.compile(r"_table(_\d+)?$")
CROSS_REFERENCE = re.compile(r"\s*\[\s*see[^\]]{0,200}\]|"
                             r"\s*\(\s*(?:see [^()]{0,60})?\d+(?:\.\d+)*(?:\s*,\s*\d+(?:\.\d+)*)*\s*\)(?=\s*(?:[.,;:]|[A-Z•]|$))", re.I)
HTML_TAG = re.compile(r"</?[a-z][^>]{0,300}>", re.I)


def is_label(record: object) -> bool:
    """A label has bookkeeping ids or an openfda block, and at least one section that is a list of strings."""
    if not isinstance(record, dict) or not ({"openfda", "set_id", "effective_time"} & record.keys()):
        return False
    return any(isinstance(value, list) for value in record.values())


def is_flat_label(record: object) -> bool:
    """A downloader's own layout: {"drug_name", "sections": {name: text}, …}."""
    sections = record.get("sections") if isinstance(record, dict) else None
    return isinstance(sections, dict) and "drug_name" in record and any(isinstance(text, str) for text in sections.values())


def sections(label: dict, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """(section name, text) of one label, in the label's order."""
    for name, value in label.items():
        if TABLE_FIELD.search(name):
            ledger.drop("table field", len(value) if isinstance(value, list) else 1)
        elif name not in NOT_PROSE and isinstance(value, list):
            for text in value:
                if isinstance(text, str):
                    yield name, CROSS_REFERENCE.sub("", HTML_TAG.sub(" ", text))
                else:
                    ledger.read += 1
                    ledger.drop("section that is no text")


def passages(file: Path, layout: str, ledger: Ledger) -> Iterator[Passage]:
    """The sections of every label of a file; `layout` is one of `entries`."""
    yield from labels_passages(entries(file, layout, ledger), ledger)


def download(file: Path, ledger: Ledger) -> Iterator[Entry]:
    """The results of an openFDA download; any other JSON is refused with what it holds."""
    shape, keys = outer(file, ledger)
    if "results" not in keys:
        found = keys_of(dict.fromkeys(keys)) if keys else {"array": "list"}.get(shape, shape)
        raise ImportRefused(f"{file}: expected an openFDA download, {{\"results\": [labels]}}; found {found}. "
                            "Write other texts as .jsonl, one {\"text\": …} a line.")
    yield from entries(file, "download", Ledger())  # `outer` has noted the encoding


def labels_passages(found: Iterable[Entry], ledger: Ledger) -> Iterator[Passage]:
    for name, _, value in found:
        if is_flat_label(value):
            yield from label_passages(_from_flat(value), name, ledger)
        elif is_label(value):
            yield from label_passages(value, name, ledger)
        else:
            ledger.read += 1
            ledger.drop("result that is no label")


def label_passages(label: dict, name: str, ledger: Ledger) -> Iterator[Passage]:
    for section, text in sections(label, ledger):
        yield Passage(f"{name}.{section}", text)


def _from_flat(record: dict) -> dict:
    return {name: [text] for name, text in record["sections"].items()}
