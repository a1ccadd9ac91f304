"""Frames with holes, cases that fill them, and the draw that makes a document of both.

A *topic* is one kind of fact (renal limits, interactions …). Its cases are facts about a drug or pair, as slots. Its steps are sentences
in order: each step has a share of documents that carry it and frames to choose from; a frame is offered only to cases that fill all its
holes. Cases lie in groups (usually a drug's) and groups are drawn evenly, so that a drug with three renal bands is met no more often than
one with a single band.
"""
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from random import Random
from string import Formatter
from typing import NamedTuple

from pharmgpt.corpus.phrasing import capital, with_article
from pharmgpt.corpus.question_frames import in_order
from pharmgpt.text.chat import as_call

# After a full stop or question mark, unless the letter belongs to an abbreviation (C. difficile) or a word of its own shape (eGFR).
SENTENCE_START = re.compile(r"(?<=[a-z0-9)]\. |[a-z0-9)]\? )[a-z](?![A-Z])")
Genres = Mapping[str, Sequence[str]]  # genre → frames
SPOKEN = frozenset(("account", "monograph", "label_section", "leaflet", "case_note", "interaction_bulletin", "symptom_note"))
CALL_SHARE = 0.5
Slots = dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One fact or chain of facts. `facts` maps a slot to the fact it states; facts under "" are stated by every frame."""

    kind: str
    drugs: tuple[str, ...]
    slots: Slots
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    data: object = None  # what `vary` draws from
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # slot → further drugs that it names


@dataclass(frozen=True, slots=True)
class Frame:
    id: str
    genre: str
    text: str
    holes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Step:
    share: float
    frames: tuple[Frame, ...]


class Varied(NamedTuple):
    """Slots drawn for one document, with the drugs they name and the facts they state."""

    slots: Slots
    drugs: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


Vary = Callable[[Case, Random], Varied]


@dataclass(frozen=True, eq=False)
class Topic:
    name: str
    groups: list[list[Case]]
    steps: Mapping[str, tuple[Step, ...]]  # by kind of case
    vary: Vary | None = None
    varied: frozenset[str] = frozenset()  # the slots that `vary` fills
    careless: bool = False
    asked: tuple[Frame, ...] = ()  # questions that the topic's facts answer: some documents are a call about them
    called: float = CALL_SHARE  # how many of those that could be
    typed: Callable[[str, Random], str] = lambda name, rng: name  # how a caller writes a drug's name; the answer has the name itself

    @cached_property
    def by_drug(self) -> dict[str, list[Case]]:
        """The cases about one drug alone."""
        found: dict[str, list[Case]] = {}
        for case in chain.from_iterable(self.groups):
            if len(case.drugs) == 1:
                found.setdefault(case.drugs[0], []).append(case)
        return found

    @cached_property
    def _usable(self) -> dict[tuple[str, frozenset[str]], tuple[Step, ...]]:
        return {}

    def usable(self, case: Case) -> tuple[Step, ...]:
        """The steps of the case's kind with the frames whose holes it fills."""
        key = (case.kind, frozenset(case.slots))
        if key not in self._usable:
            filled = key[1] | self.varied | COMMON.keys()
            steps = (Step(step.share, tuple(frame for frame in step.frames if frame.holes <= filled)) for step in self.steps[case.kind])
            self._usable[key] = tuple(step for step in steps if step.frames)
        return self._usable[key]


def by_name(*topics: Topic) -> dict[str, Topic]:
    """Topics that have a case, without the groups that have none."""
    filled = (replace(topic, groups=[group for group in topic.groups if group]) for topic in topics)
    return {topic.name: topic for topic in filled if topic.groups}


def holes(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name)


def step(name: str, frames: Genres | Sequence[str], share: float = 1.0) -> Step:
    """Frames of one place in a document; a plain sequence is for sentences that follow another genre's opening."""
    by_genre = frames if isinstance(frames, Mapping) else {"": frames}
    flat = ((genre, text) for genre, texts in by_genre.items() for text in texts)
    return Step(share, tuple(Frame(f"{name}{number}", genre, text, holes(text)) for number, (genre, text) in enumerate(flat)))


class Passage(NamedTuple):
    """What one case of a topic says."""

    text: str
    genre: str
    template_id: str
    drugs: tuple[str, ...]
    fact_ids: tuple[str, ...]


def passage(topic: Topic, case: Case, rng: Random) -> Passage:
    """A frame of each step that its share lets in, filled; a table row stands alone."""
    varied = topic.vary(case, rng) if topic.vary else Varied({})
    slots = {**case.slots, **varied.slots}
    frames = [_pick(step.frames, rng) for step in topic.usable(case) if step.share >= 1 or rng.random() < step.share]
    frames = frames[:1] if frames[0].genre == "table_row" else frames
    for hole in sorted({hole for frame in frames for hole in frame.holes if hole not in slots}):
        slots[hole] = COMMON[hole](rng)
    text = SENTENCE_START.sub(lambda match: match[0].upper(), " ".join(capital(frame.text.format_map(slots)) for frame in frames))
    facts = chain(varied.facts, case.facts.get("", ()),
                  *(case.facts[hole] for frame in frames for hole in sorted(frame.holes) if hole in case.facts))
    named = chain(case.drugs, varied.drugs, *(case.names[hole] for frame in frames for hole in sorted(frame.holes) if hole in case.names))
    template = f"{topic.name}.{case.kind}:{'+'.join(frame.id for frame in frames)}"
    if topic.asked and frames[0].genre in SPOKEN and rng.random() < topic.called and (call := _call(topic, slots, rng)):
        return Passage(f"{call.text} {text}", "phone_call", f"{template}<{call.id}", tuple(named), tuple(facts))
    return Passage(text, frames[0].genre, template, tuple(named), tuple(facts))


def _call(topic: Topic, slots: Slots, rng: Random) -> Frame | None:
    """A question that these slots fill, filled."""
    filled = slots | ({"an_measure": with_article(slots["measure"])} if "measure" in slots else {})
    fitting = [frame for frame in topic.asked if frame.holes <= filled.keys()]
    if not fitting:
        return None
    chosen = _pick(fitting, rng)
    if "told" in filled and "condition" in chosen.holes and rng.random() < .5:
        filled["condition"] = filled["told"]  # by a name that the answer translates
    filled |= {hole: topic.typed(filled[hole], rng) for hole in ("drug", "a", "b") if hole in chosen.holes}
    if {"a", "b"} <= chosen.holes:
        filled |= in_order(chosen.text, filled["a"], filled["b"])
    return replace(chosen, text=as_call(capital(chosen.text.format_map(filled))))


def pick_case(topic: Topic, rng: Random) -> Case:
    """A group, then one of its cases."""
    return _pick(_pick(topic.groups, rng), rng)


def _pick(items: Sequence, rng: Random):
    return items[int(rng.random() * len(items))]


AGES = tuple(str(age) for age in range(19, 94))
ADULTS = tuple(f"{article} {age}-year-old {who}" for age in range(23, 92) for who in ("man", "woman", "patient")
               for article in ("An" if age in range(80, 90) else "A",))
YOUNG_WOMEN = tuple(f"A {age}-year-old woman" for age in range(19, 44))
PLACES = ("Ward 3", "Ward 7", "Clinic", "Admissions", "Outpatients", "Renal ward", "Community pharmacy", "Practice")
COMMON: dict[str, Callable[[Random], str]] = {
    "person": lambda rng: _pick(ADULTS, rng),
    "woman": lambda rng: _pick(YOUNG_WOMEN, rng),
    "place": lambda rng: _pick(PLACES, rng),
    "age": lambda rng: _pick(AGES, rng),
}
