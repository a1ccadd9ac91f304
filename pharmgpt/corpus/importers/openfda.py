"""Drug labels as openFDA gives them out: {"meta", "results": [label, …]}, or one label a line (NDJSON).

A label's sections are lists of strings beside bookkeeping. Tables come as HTML in fields of their own and repeat what the section says, so
they are left out, like the package panel and the ingredient strings. Cross references ("[see Warnings (5.1)]", "( 5.2 )") are taken out.
"""
import re
from collections.abc import Iterator

from pharmgpt.corpus.importers.ledger import Ledger

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


def sections(label: dict, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """(section name, text) of one label, in the label's order."""
    for name, value in label.items():
        if TABLE_FIELD.search(name):
            ledger.drop("table field", len(value) if isinstance(value, list) else 1)
        elif name not in NOT_PROSE and isinstance(value, list):
            for text in value:
                if isinstance(text, str):
                    yield name, CROSS_REFERENCE.sub("", HTML_TAG.sub(" ", text))
