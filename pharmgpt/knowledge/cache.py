"""A base that was read once, kept as JSON beside the user's other caches, so that the next command need not parse 600 TOML files.

Keyed by the hash of the files' contents and of the schema: a changed fact or field is another key. A cache that is missing, damaged or
cannot be written costs time, never an error. The newest few bases are kept.
"""
import contextlib
import hashlib
import os
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path
from pydantic import TypeAdapter, ValidationError

from pharmgpt.knowledge import schema
from pharmgpt.knowledge.schema import KnowledgeBase

KEPT = 8


@cache
def _adapter() -> TypeAdapter[KnowledgeBase]:
    return TypeAdapter(KnowledgeBase)


def read(content_hash: str) -> KnowledgeBase | None:
    """The cached base of these contents, or None."""
    try:
        return _adapter().validate_json(_file(content_hash).read_bytes())
    except (OSError, ValidationError):
        return None


def write(kb: KnowledgeBase) -> None:
    """Keep a base, whole or not at all; silent where the disk does not allow it."""
    file = _file(kb.content_hash)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(as_json(kb))
        unfinished.replace(file)
        for old in sorted(file.parent.glob("knowledge-*.json"), key=lambda each: each.stat().st_mtime)[:-KEPT]:
            old.unlink()


def as_json(kb: KnowledgeBase) -> bytes:
    return _adapter().dump_json(kb, exclude_defaults=True)


def _file(content_hash: str) -> Path:
    return user_cache_path("pharmgpt") / f"knowledge-{content_hash[:24]}-{_schema_hash()}.json"


@cache
def _schema_hash() -> str:
    return hashlib.sha256(Path(schema.__file__).read_bytes()).hexdigest()[:8]
