"""What a prompt about one drug asks for, read from its words: naive Bayes over the training frames.

    topic_of(kb, "She is nine weeks along and takes lisinopril") → "pregnancy"

The handbook needs a topic to open the right card, for prompts in anybody's words. Regular expressions written for 70 frames a family
opened a wrong card for half of the overdose and pregnancy frames of the next 300. What fills a slot counts as the slot's name, so a
condition or a kidney value is evidence like any word; a sign, or a condition by a name that is not the handbook's, counts by its words.
"""
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, cycle
from typing import Literal, NamedTuple

from pharmgpt.corpus.question_frames import question_frames
from pharmgpt.corpus.wordings import told
from pharmgpt.knowledge.names import find_drugs
from pharmgpt.knowledge.schema import KnowledgeBase

Topic = Literal["renal", "contraindication", "pregnancy", "monitoring", "symptom", "overdose", "other"]
TOPIC_OF_FRAMES: dict[str, Topic] = {
    "renal": "renal", "alternative.renal": "renal", "missing_information.renal": "renal",
    "contraindication": "contraindication", "contraindication.told": "contraindication", "alternative.contraindication": "contraindication",
    "pregnancy": "pregnancy", "alternative.pregnancy": "pregnancy", "monitoring": "monitoring", "symptom": "symptom",
    "symptom.told": "symptom",
    "emergency": "overdose", "harmful": "other", "missing_information.interaction": "other",
}
SMOOTHING, PAIR_WEIGHT = 0.05, 0.5  # a pair of neighbours repeats what its two words have said
TELLINGS = 6  # signs that a frame is met with: with one each, a rare word of a sign speaks for it too loudly
CERTAIN = 3.0  # nats by which a topic must beat "other"
UNMISTAKABLE = 4  # letters a condition's word must have to be looked for in a prompt: "ed" and "hf" are found in too many
MEASURE = re.compile(r"\be?gfr\b|\bcrcl\b|\bcreatinine clearance\b")


class Model(NamedTuple):
    """log P(word occurs | topic) by word and topic, of a pair of neighbours half of it."""

    log_likelihood: dict[str, dict[Topic, float]]
    topics: tuple[Topic, ...]


@lru_cache(maxsize=4096)
def topic_of(kb: KnowledgeBase, prompt: str) -> Topic:
    """The likeliest topic, all equally likely beforehand; "other" where the words do not say."""
    model = _model()
    known = [model.log_likelihood[word] for word in _words(masked(kb, prompt)) if word in model.log_likelihood]
    total = {topic: sum(word[topic] for word in known) for topic in model.topics}
    best = max(total, key=total.__getitem__)
    return best if total[best] > total["other"] + CERTAIN else "other"


def masked(kb: KnowledgeBase, prompt: str) -> str:
    """The prompt with drugs, conditions, measures and numbers as slots."""
    text = prompt
    for mention in sorted(find_drugs(kb, prompt), key=lambda each: -each.start):
        text = f"{text[:mention.start]} {text[mention.end:]}"
    text = text.lower()
    for word, pattern, _ in condition_patterns(kb):
        text = pattern.sub("{condition}", text) if word in text else text
    return re.sub(r"\d+(?:\.\d+)?", "{value}", MEASURE.sub("{measure}", text))


def conditions_in(kb: KnowledgeBase, prompt: str) -> tuple[str, ...]:
    """Conditions the prompt names, the longest words first; pregnancy and breastfeeding have cards of their own."""
    found, text = [], prompt.lower()
    for word, pattern, condition in condition_patterns(kb):
        if word in text and pattern.search(text):
            text = pattern.sub(" ", text)
            found.append(condition)
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=4)
def condition_patterns(kb: KnowledgeBase) -> list[tuple[str, re.Pattern[str], str]]:
    """(word, its pattern, condition), the longest words first."""
    words = [(word.lower(), condition.id) for condition in kb.conditions.values() for word in (condition.name, *condition.terms)
             if condition.id not in ("pregnancy", "breastfeeding")]
    longest_first = sorted((pair for pair in words if len(pair[0]) >= UNMISTAKABLE), key=lambda pair: -len(pair[0]))
    return [(word, re.compile(rf"(?<!\w){re.escape(word)}(?!\w)"), condition) for word, condition in longest_first]


def _words(text: str) -> set[str]:
    """Words, slots and pairs of neighbours."""
    words = re.findall(r"\{\w+\}|[a-z']+", text.lower().replace("{an_measure}", "a {measure}").replace("{drug}", " "))
    return {*words, *map(" ".join, zip(words, words[1:]))}


@lru_cache(maxsize=1)
def _model() -> Model:
    said: dict[Topic, list[set[str]]] = {}
    for name, topic in TOPIC_OF_FRAMES.items():
        said.setdefault(topic, []).extend(_words(frame) for frame in _filled(name))
    counts = {topic: Counter(word for words in each for word in words) for topic, each in said.items()}
    words = set().union(*counts.values())
    return Model({word: {topic: (PAIR_WEIGHT if " " in word else 1) * _log_share(counts[topic][word], len(said[topic]))
                         for topic in said} for word in words}, tuple(said))


def _filled(name: str) -> Iterator[str]:
    """Each training frame of this name TELLINGS times, with words of training's in place of signs, conditions and clauses: others every
    time. A condition may also stay a slot, as one does whose name the handbook knows."""
    clauses = told("signs" if name.startswith("symptom") else "conditions", "train", "clauses")
    conditions = chain.from_iterable(told("conditions", "train", "phrases").values())
    words = {"{sign}": cycle(chain.from_iterable(told("signs", "train", "phrases").values())),
             "{clause}": cycle(chain.from_iterable(clauses.values())),
             "{condition}": cycle(chain.from_iterable((phrase, "{condition}") for phrase in conditions))}
    for frame in chain.from_iterable([frame] * TELLINGS for frame in question_frames("train")[name]):
        slot = next((slot for slot in words if slot in frame), None)
        yield frame.replace(slot, next(words[slot])) if slot else frame


def _log_share(tellings: int, of: int) -> float:
    return math.log((tellings + SMOOTHING) / (of + 2 * SMOOTHING))
