"""Simulated annotators who compare two sampled answers.

Each follows Bradley and Terry (1952) over the gold score, P(prefer a) = σ((gold_a − gold_b) / temperature), and now and then
presses the wrong key: with error rate e the probability becomes e + (1 − 2e) P. So the noise in the reward data is known exactly.
"""
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pharmgpt.corpus.split import Split
from pharmgpt.knowledge.names import find_drugs
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.text.records import PreferencePair, Question

Gold = Callable[[Question, str], float]


@dataclass(frozen=True)
class Annotator:
    """A low temperature is a sharp eye; `error_rate` is the share of pressed wrong keys, whatever was read."""

    name: str
    temperature: float
    error_rate: float

    def prefers_first(self, gold_first: float, gold_second: float) -> float:
        """Probability of preferring the first answer."""
        logit = (gold_first - gold_second) / self.temperature
        belief = 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
        return self.error_rate + (1 - 2 * self.error_rate) * belief


PANEL = (
    Annotator("specialist", temperature=.08, error_rate=.01),
    Annotator("pharmacist", temperature=.12, error_rate=.02),
    Annotator("resident", temperature=.2, error_rate=.03),
    Annotator("student", temperature=.35, error_rate=.05),
    Annotator("hurried", temperature=.5, error_rate=.2),  # the careless one
)


def annotate(samples: Iterable[Mapping], questions: Sequence[Question], gold: Gold, seed: int, *, panel: Sequence[Annotator] = PANEL,
             votes: int = 1, pairs_per_prompt: int = 2, may_be_shown: Callable[[str], bool] | None = None) -> list[PreferencePair]:
    """Pairs from samples {"question_id", "answers": [...]}, each judged by `votes` annotators of the panel (odd; the majority counts).

    Answers that read the same make no pair, and neither do two answers whose gold is equal: such a label would be noise by construction.
    `may_be_shown` keeps answers about held drugs away from training: see `names_seen_only`.
    """
    if votes % 2 == 0 or not 1 <= votes <= len(panel):
        raise ValueError(f"votes is {votes}: choose an odd number from 1 to {len(panel)}, the size of the panel, so that no vote is tied.")
    rng, asked = random.Random(f"{seed} annotators"), {question.id: question for question in questions}
    made: list[PreferencePair] = []
    for sample in samples:
        question = _question(asked, sample)
        scored = [(text, gold(question, text)) for text in dict.fromkeys(sample["answers"]) if may_be_shown is None or may_be_shown(text)]
        for first, second in _couples(scored, pairs_per_prompt, rng):
            made.append(_judged(question, first, second, len(made), rng.sample(list(panel), votes), rng))
    return made


def names_seen_only(kb: KnowledgeBase, split: Split) -> Callable[[str], bool]:
    """True for a text without a held drug: a sampled answer may name one that pretraining taught."""
    held = frozenset(split.held)
    return lambda text: all(mention.drug_id not in held for mention in find_drugs(kb, text))


def _question(asked: Mapping[str, Question], sample: Mapping) -> Question:
    try:
        return asked[sample["question_id"]]
    except KeyError as error:
        raise ValueError(f"A sample names {error}, which is no id among the {len(asked)} questions: "
                         'each sample needs "question_id" and "answers", from the same questions.') from None


def _couples(scored: Sequence[tuple[str, float]], most: int, rng: random.Random) -> list[tuple[tuple[str, float], tuple[str, float]]]:
    """Up to `most` couples of different gold, in random orientation."""
    couples = [(first, second) for at, first in enumerate(scored) for second in scored[at + 1:] if first[1] != second[1]]
    chosen = rng.sample(couples, min(most, len(couples)))
    return [couple if rng.random() < .5 else couple[::-1] for couple in chosen]


def _judged(question: Question, first: tuple[str, float], second: tuple[str, float], number: int, judges: Sequence[Annotator],
            rng: random.Random) -> PreferencePair:
    for_first = sum(rng.random() < judge.prefers_first(first[1], second[1]) for judge in judges)
    chosen, rejected = (first, second) if 2 * for_first > len(judges) else (second, first)
    return PreferencePair(f"onpolicy-{question.id}-{number:05d}", question.messages, chosen[0], rejected[0], "onpolicy", question.part,
                          question.pool, question.family, question.reference, question.template_id, question.drugs, question.fact_ids,
                          chosen[1], rejected[1])


def expected_agreement(panel: Sequence[Annotator], gaps: Sequence[float]) -> float:
    """How often a single vote follows gold, by the formula: mean over the panel and over the pairs' gold gaps."""
    votes = [annotator.prefers_first(abs(gap), 0) for annotator in panel for gap in gaps]
    return sum(votes) / len(votes)
