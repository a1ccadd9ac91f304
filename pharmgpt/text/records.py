"""The records that cross between stages, and their JSONL.

Every record carries the ids of its facts and its template and the drugs it names, so that a machine can check what leaked where.
Messages are {"role": "user"|"assistant"|"system", "content": str}.
"""
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

Pool = Literal["seen", "held_drugs"]
Wordings = Literal["exam", "foreign", "dev"]  # whose frames a cloze item is in
Part = Literal["train", "dev", "exam"]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Document:
    """A pretraining text."""

    id: str
    text: str
    genre: str
    template_id: str = ""
    drugs: tuple[str, ...] = ()
    fact_ids: tuple[str, ...] = ()
    careless: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """An expert's demonstration: the last message is the assistant's. `expert` names the persona that wrote it."""

    id: str
    messages: tuple[Message, ...]
    family: str = ""
    expert: str = ""
    template_id: str = ""
    drugs: tuple[str, ...] = ()
    fact_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Element:
    """One thing a good answer holds: any of `accepts` earns `weight`."""

    name: str  # decision, threshold, mechanism, alternative, monitoring, condition, severity ...
    accepts: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with its typed answer key. `reference` is the handbook excerpt about its drugs."""

    id: str
    family: str
    messages: tuple[Message, ...]
    key: tuple[Element, ...]
    decision: str  # the keyed decision; "" where the family has none
    severity: str  # for interactions: contraindicated, major, moderate, minor or none; else ""
    part: Part
    pool: Pool
    reference: str = ""
    twin_id: str = ""
    template_id: str = ""
    drugs: tuple[str, ...] = ()
    fact_ids: tuple[str, ...] = ()
    asked: dict[str, str] = field(default_factory=dict)  # what the prompt states: measure, value, condition, problem, name ...


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two answers to one prompt. `flaw` names what is wrong with `rejected`; "onpolicy" for sampled pairs."""

    id: str
    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    flaw: str
    part: Part = "train"
    pool: Pool = "seen"
    family: str = ""
    reference: str = ""
    template_id: str = ""
    drugs: tuple[str, ...] = ()
    fact_ids: tuple[str, ...] = ()
    gold_chosen: float | None = None  # for measuring annotators; no stage trains on it
    gold_rejected: float | None = None


@dataclass(frozen=True, slots=True)
class Cloze:
    """A held-out frame cut before its answer; a greedy continuation must begin with `answer`."""

    id: str
    prefix: str
    answer: str
    kind: Literal["threshold", "action", "pregnancy", "comparison"]
    pool: Pool
    drugs: tuple[str, ...] = ()
    fact_ids: tuple[str, ...] = ()
    wordings: Wordings = "exam"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A line of `ask --file`."""

    id: str
    prompt: str


@dataclass(frozen=True, slots=True)
class PlainPair:
    """A line of `reward --file`."""

    prompt: str
    chosen: str
    rejected: str


class BadRecord(ValueError):
    """A line that is not what it should be: the message names file, line, what was found and the fix."""


def write_jsonl(path: Path, records: Iterable[object]) -> int:
    """Write dataclass records, one JSON object a line; returns how many."""
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path, kind: type[R]) -> Iterator[R]:
    """Read records of one type, validated; raises BadRecord naming file and line."""
    adapter = TypeAdapter(kind)
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield adapter.validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"]) or "the line"
                raise BadRecord(f"{path}, line {number}: {where}: {first['msg']}; found {str(first['input'])[:80]!r}. "
                                f"Each line must be one JSON object with the fields of {kind.__name__}.") from None
