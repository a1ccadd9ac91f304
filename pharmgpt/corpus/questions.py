"""Questions with typed answer keys, as people type them.

Three parts (train, dev, exam) share no question frame and no (drug, value); twins are asked in the same words and differ in the keyed
decision. Brands, slips of the keyboard and lower case come at the rates below.
"""
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count

from pharmgpt.corpus.cases import DRAWS, Case, Draw, draw_from, families_of
from pharmgpt.corpus.pairs import pairs_of
from pharmgpt.corpus.phrasing import as_typed, in_digits, listed, with_article
from pharmgpt.corpus.question_frames import in_order, question_frames
from pharmgpt.corpus.sentences import ask_for_drug, ask_for_value, condition_phrase
from pharmgpt.corpus.split import Split
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.text.records import Message, Part, Pool, Question

BRAND_RATE, SLIP_RATE, LOWER_CASE_RATE, TWO_TURN_RATE, NO_MARK_RATE, CHATTER_RATE = .08, .04, .25, .1, .1, .12
TRIES = 60  # draws without a new question before a family counts as exhausted
Excerpt = Callable[[str, frozenset[str] | None], str]  # (prompt, drugs it may name, None for any) → handbook excerpt


def questions(kb: KnowledgeBase, split: Split, part: Part, pool: Pool, seed: int, per_family: int | Mapping[str, int],
              excerpt: Excerpt | None = None) -> list[Question]:
    """Up to `per_family` different questions of every family that the pool has; the same seed gives the same list."""
    if part == "train" and pool != "seen":
        raise ValueError("Held drugs have no train questions: ask for pool 'seen', or for part 'dev' or 'exam'.")
    rng = random.Random(f"{seed} {part} {pool}")
    draw = draw_from(kb, pairs_of(kb), split, part, pool, rng)
    writer = Writer(draw, pool)
    made = [question for family in families_of(pool)
            for question in writer.family(family, per_family if isinstance(per_family, int) else per_family.get(family, 0))]
    if excerpt is None:
        return made
    allowed = frozenset(split.seen) if pool == "seen" and part != "exam" else None  # what trains or tunes names seen drugs only
    return [replace(question, reference=excerpt(prompt_text(question), allowed)) for question in made]


def prompt_text(question: Question) -> str:
    """What the user said, all turns."""
    return "\n".join(message.content for message in question.messages if message.role == "user")


class Writer:
    """Puts cases into words: one frame, one spelling and one case of letters for a whole group of twins."""

    def __init__(self, draw: Draw, pool: Pool):
        self.draw, self.pool, self.rng, self.kb = draw, pool, draw.rng, draw.kb

    def family(self, family: str, wanted: int) -> list[Question]:
        made: list[Question] = []
        texts: set[str] = set()
        numbers, misses = count(), 0
        while len(made) < wanted and misses < TRIES:
            group = self._group(DRAWS[family](self.draw), numbers)
            if texts & set(map(prompt_text, group)):
                group = []
            texts.update(map(prompt_text, group))
            made += group
            misses = 0 if group else misses + 1
        return made[:wanted] if len(made) - wanted != 1 else _without_half_a_twin(made, wanted)

    def _group(self, cases: tuple[Case, ...], numbers: Iterator[int]) -> list[Question]:
        if not cases:
            return []
        ids = [f"{self.draw.part}-{self.pool}-{case.family}-{next(numbers):05d}" for case in cases]
        twins = ids[::-1] if len(ids) == 2 else [""]
        style = Style(self, cases[0])
        return [style.question(case, own, twin) for case, own, twin in zip(cases, ids, twins, strict=True)]


def _without_half_a_twin(made: list[Question], wanted: int) -> list[Question]:
    """One too many: drop a question that has no twin, so that no twin loses its other half."""
    single = next((at for at, question in enumerate(made) if not question.twin_id), None)
    if single is not None:
        return made[:single] + made[single + 1:]
    return [*made[:wanted - 1], replace(made[wanted - 1], twin_id="")]


class Style:
    """The choices that twins share."""

    def __init__(self, writer: Writer, case: Case):
        self.writer, rng, part = writer, writer.rng, writer.draw.part
        self.two_turns = case.family in ("renal", "interaction") and rng.random() < TWO_TURN_RATE
        self.lower, self.unmarked = rng.random() < LOWER_CASE_RATE, rng.random() < NO_MARK_RATE
        self.counted = case.family in ("emergency", "harmful") and rng.random() < .5
        self.measure_name = rng.choice(("CrCl", "creatinine clearance"))
        opening = f"missing_information.{case.family}" if self.two_turns else case.frames
        self.frame = _choose(opening, part, rng)
        self.follow_up = _choose("follow_up.value" if case.family == "renal" else "follow_up.drug", part, rng)
        self.spellings: dict[str, str] = {}
        self.words = {name: rng.choice(question_frames(part)[name]) for name in ("place", "thing")}
        self.before, self.after = (self._chatter(name) for name in ("opener", "closer"))

    def question(self, case: Case, own: str, twin: str) -> Question:
        slots = self._slots(case)
        messages = [Message("user", self._typed(self.frame[1], slots, self.before, self.after))]
        if self.two_turns:
            asked = ask_for_value(case.asked["measure"], slots["kb_drug"]) if case.family == "renal" else ask_for_drug(slots["kb_drug"])
            messages += [Message("assistant", asked[0]), Message("user", self._typed(self.follow_up[1], slots))]
        template = f"{self.frame[0]}+{self.follow_up[0]}" if self.two_turns else self.frame[0]
        return Question(own, case.family, tuple(messages), case.key, case.decision, case.severity, self.writer.draw.part, self.writer.pool,
                        "", twin, template, case.drugs, case.fact_ids, case.asked)

    def _chatter(self, name: str) -> str:
        """Now and then a sentence beside the question that means nothing for it; in training only, where the frames hold some."""
        said = question_frames(self.writer.draw.part).get(name)
        return self.writer.rng.choice(said) if said and self.writer.rng.random() < CHATTER_RATE else ""

    def _slots(self, case: Case) -> dict[str, str]:
        kb, names = self.writer.kb, [self._spelled(drug) for drug in case.drugs]
        slots = {**self.words, **{key: value for key, value in case.asked.items() if key in ("value", "name", "sign", "clause")}}
        if names:
            # of two drugs that may be combined either can come first; one to be replaced is {a} wherever it stands
            pair = in_order(self.frame[1], names[0], names[-1]) if case.family == "interaction" else {"a": names[0], "b": names[-1]}
            slots |= {"drug": names[0], **pair, "list": listed(names), "kb_drug": kb.drugs[case.drugs[0]].name}
        if "measure" in case.asked:
            measure = "eGFR" if case.asked["measure"] == "eGFR" else self.measure_name
            slots |= {"measure": measure, "an_measure": "a CrCl" if measure == "CrCl" else with_article(measure)}
        if "phrase" in case.asked or "condition" in case.asked:
            slots["condition"] = case.asked.get("phrase") or condition_phrase(kb, case.asked["condition"])
        if not names and "name" in case.asked:
            slots["drug"] = case.asked["name"]
        return slots

    def _spelled(self, drug: str) -> str:
        if drug not in self.spellings:
            kb = self.writer.kb
            self.spellings[drug] = as_typed(kb, kb.drugs[drug], self.writer.rng, BRAND_RATE, SLIP_RATE)
        return self.spellings[drug]

    def _typed(self, frame: str, slots: dict[str, str], before: str = "", after: str = "") -> str:
        text = in_digits(frame) if self.counted else frame
        text = text.format_map(slots)
        text = text if text.startswith(("eGFR", "my ")) else text[:1].upper() + text[1:]
        text = " ".join(filter(None, (before, text, after)))
        if self.unmarked and text.endswith(("?", ".")):
            text = text[:-1]
        return text.lower() if self.lower else text


def _choose(name: str, part: Part, rng: random.Random) -> tuple[str, str]:
    """(template id, frame)."""
    frames = question_frames(part)[name]
    at = rng.randrange(len(frames))
    return f"{name}.{part}.{at}", frames[at]
