"""Drug labels as Structured Product Labeling (HL7 version 3 XML, as DailyMed gives them out).

A label is nested sections; each section's own text is one passage behind its title, in the label's order. Lists become one sentence with
semicolons. A table of up to three columns (doses, interacting drugs) is read row by row as "a: b; c."; wider ones are mostly trial figures,
which read as noise, and are dropped and counted. Superscripts and subscripts stay joined to their word. Footnotes and pictures go, and the
highlights (excerpts), which repeat the sections.
"""
import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, plain
from pharmgpt.corpus.importers.openfda import CROSS_REFERENCE
from pharmgpt.corpus.importers.passages import Passage
from pharmgpt.corpus.importers.xml import elements, forget, root_tag

NAMESPACE = "{urn:hl7-org:v3}"
DOCUMENT = NAMESPACE + "document"
INDEX = re.compile("indexing", re.I)
NOT_PROSE = {  # LOINC section codes
    "51945-4": "package label", "48780-1": "product data elements", "43683-2": "recent major changes", "34069-5": "how supplied",
    "34093-5": "references", "51727-6": "inactive ingredients", "55106-9": "active ingredients", "53413-1": "questions"}
NARROW = 3
BLOCKS = frozenset(("paragraph", "caption", "br", "list", "item"))
LEFT_OUT = frozenset(("footnote", "footnoteRef", "renderMultiMedia"))
ENDS_SENTENCE = re.compile(r"[.!?:;]\s*$")


def passages(file: Path, layout: str, ledger: Ledger) -> Iterator[Passage]:
    """The sections of a label; an indexing file gives none, and the ledger says why."""
    if (root := root_tag(file)) != DOCUMENT:
        raise ImportRefused(f"{file}: expected a label as SPL, with the root {DOCUMENT}; found {plain(root)}. Save its text as .txt.")
    number = 0
    for element in elements(file, NAMESPACE + "code", NAMESPACE + "section"):
        if _is_document_code(element) and INDEX.match(kind := element.get("displayName", "")):
            ledger.read += 1
            ledger.drop(f"not a label: {plain(kind)}")
            return
        if element.tag == NAMESPACE + "section" and not _is_nested(element):
            for section in _prose_sections(element, ledger):
                if text := _section_text(section, ledger):
                    yield Passage(f"{file.name}.{number}.{_section_name(section)}", text)
                    number += 1
            forget(element)


def _is_document_code(element: etree._Element) -> bool:
    return element.tag == NAMESPACE + "code" and element.getparent().tag == DOCUMENT


def _is_nested(section: etree._Element) -> bool:
    return next(section.iterancestors(NAMESPACE + "section"), None) is not None


def _prose_sections(section: etree._Element, ledger: Ledger) -> Iterator[etree._Element]:
    """The section and those inside it, parents first; what is bookkeeping is dropped with all it holds."""
    code = section.find(NAMESPACE + "code")
    bookkeeping = NOT_PROSE.get(code.get("code")) if code is not None else None
    if bookkeeping:
        ledger.drop(f"section: {bookkeeping}")
        return
    yield section
    for inner in section.iterfind(f"{NAMESPACE}component/{NAMESPACE}section"):
        yield from _prose_sections(inner, ledger)


def _section_name(section: etree._Element) -> str:
    """As openFDA names them: "WARNINGS SECTION" is warnings."""
    code = section.find(NAMESPACE + "code")
    words = re.findall(r"[a-z]+", (code.get("displayName") or "").lower()) if code is not None else []
    return "_".join(word for word in words if word != "section") or "section"


def _section_text(section: etree._Element, ledger: Ledger) -> str:
    """"Title: text", "" where the section only holds others."""
    text, title = section.find(NAMESPACE + "text"), section.find(NAMESPACE + "title")
    body = _one_line(_prose(text, ledger)) if text is not None else ""
    heading = _one_line(_prose(title, ledger)) if title is not None else ""
    if not body or not heading:
        return body
    return f"{heading} {body}" if ENDS_SENTENCE.search(heading) else f"{heading}: {body}"


def _one_line(text: str) -> str:
    return CROSS_REFERENCE.sub("", " ".join(text.split()))


def _prose(element: etree._Element, ledger: Ledger) -> str:
    """The text of an element and all inside it; inline marks vanish, blocks are set apart by a space."""
    parts = [element.text or ""]
    for child in element:
        parts += [_child(child, ledger) if isinstance(child.tag, str) else "", child.tail or ""]
    return "".join(parts)


def _child(child: etree._Element, ledger: Ledger) -> str:
    tag = child.tag.rpartition("}")[2]  # not etree.QName, which refuses the "b:c" of a prefix that nobody declared
    if tag in LEFT_OUT:
        return ""
    if tag == "table":
        return f" {_table(child, ledger)} "
    if tag == "list":
        return f" {_joined(_prose(item, ledger) for item in child.iterfind(NAMESPACE + 'item'))} "
    return f" {_prose(child, ledger)} " if tag in BLOCKS else _prose(child, ledger)


def _table(table: etree._Element, ledger: Ledger) -> str:
    rows = [[" ".join(_prose(cell, ledger).split()) for cell in row if isinstance(cell.tag, str)] for row in table.iter(NAMESPACE + "tr")]
    if any(len(row) > NARROW for row in rows):
        ledger.drop(f"table of more than {NARROW} columns")
        return ""
    return " ".join(_row([cell for cell in row if cell]) for row in rows)


def _row(cells: list[str]) -> str:
    """A cell alone is a sentence; else "a: b; c."."""
    if not cells:
        return ""
    line = cells[0] if len(cells) == 1 else f"{cells[0].rstrip(':')}: {'; '.join(cells[1:])}"
    return line if ENDS_SENTENCE.search(line) else line + "."


def _joined(items) -> str:
    """List items as one run: those that are sentences stay so, others are set off by semicolons and closed by a full stop."""
    texts = [text for text in (" ".join(item.split()) for item in items) if text]
    ended = [text if ENDS_SENTENCE.search(text) else text + ";" for text in texts]
    return re.sub(r";$", ".", " ".join(ended))
