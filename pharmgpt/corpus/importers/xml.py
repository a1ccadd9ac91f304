"""XML read element by element, safely: no external entities, no network, no DTD, and nothing kept of what was passed.

lxml rather than the standard library: its parser can be told to leave entities alone, and it names the line of an error.
"""
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from pharmgpt.corpus.importers.ledger import ImportRefused, plain


SAFE = {"resolve_entities": False, "no_network": True, "load_dtd": False}


def elements(file: Path, *tags: str) -> Iterator[etree._Element]:
    """Each element of these tags when it ends. The caller clears it (`forget`) once it is used."""
    try:
        for _, element in etree.iterparse(str(file), tag=tags, **SAFE):
            yield element
    except etree.XMLSyntaxError as error:
        raise _malformed(file, error) from None


def root_tag(file: Path) -> str:
    """The tag of the outermost element, as "{namespace}name"."""
    try:
        for _, element in etree.iterparse(str(file), events=("start",), **SAFE):
            return element.tag
    except etree.XMLSyntaxError as error:
        raise _malformed(file, error) from None
    return ""


def forget(element: etree._Element) -> None:
    """Free an element and the siblings before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


def _malformed(file: Path, error: etree.XMLSyntaxError) -> ImportRefused:
    what = plain(" ".join(error.msg.split())[:160], 160)
    return ImportRefused(f"{file}, line {error.lineno}: not well-formed XML: {what}. Mend it there, or get the file again.")
