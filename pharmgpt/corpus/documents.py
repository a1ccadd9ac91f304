"""Pretraining documents: short texts of many genres that state each fact of every drug, held or seen, many times in many words.

    for document in documents(kb, split, count=48_000, seed=0): ...

WEIGHTS says what the texts are about. Every topic draws drugs (or pairs) evenly and never looks at the split, so a held drug is read about
as often as a seen one; `split` is taken to keep the promise visible in the call, and is checked to name the base's drugs. Sentence frames
are the documents' own: questions, answers and cloze items have others.
"""
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, pairwise
from random import Random

from pharmgpt.corpus.cloze import cloze_items
from pharmgpt.corpus.facts import FactBook, fact_book
from pharmgpt.corpus.frames import Frame, Passage, Topic, holes, passage, pick_case
from pharmgpt.corpus.question_frames import question_frames
from pharmgpt.corpus.split import Split
from pharmgpt.corpus.topics import conditions, everyday, interactions, names, profile, renal, settings
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.text.records import Document

__all__ = ["WEIGHTS", "WITH_ACCOUNTS", "cloze_items", "documents", "topics"]

# topic → share of the documents, in parts of their sum
WEIGHTS: dict[str, float] = {
    "renal_case": 11, "renal_limit": 8, "renal_bands": 8, "renal_section": 3, "renal_drill": 3, "renal_free": 2,
    "pregnancy": 8.5, "lactation": 1, "hepatic": 1,
    "contraindication": 5.5, "unlisted_condition": 4.5, "symptom": 4, "sign": 4,
    "profile": 3, "class": 1.5, "harm": 7, "monitoring": 5.2, "name": 3.5, "name_list": 8, "alternative": 3,
    "pair": 7, "pair_chain": 4, "pair_free": 4, "pair_digest": 10, "pair_check": 10, "pair_asked": 10, "class_rule": 1.5,
    "list": 3, "list_free": 2, "list_asked": 6,
    "unknown": 1, "missing": 1, "emergency": 0.8, "refusal": 0.6, "careless": 5.3,
}
# With accounts, where a fact is said in hundreds of wordings: they take a fifth of their topics' place.
WITH_ACCOUNTS = WEIGHTS | {"renal_limit": 6.4, "renal_bands": 6.4, "renal_drill": 2.6, "pregnancy": 6.7,
                           "limit_account": 1.6, "band_account": 1.6, "side_account": 2, "pregnancy_account": 1.8}

ABOUT_ONE_DRUG = ("renal_case", "renal_limit", "renal_bands", "renal_section", "renal_drill", "renal_free", "limit_account",
                  "band_account", "side_account", "pregnancy", "pregnancy_account", "lactation", "hepatic", "contraindication",
                  "unlisted_condition", "symptom", "profile", "harm", "monitoring", "name", "class_rule")
PASSAGES = ((1, 0.5), (2, 0.3), (3, 0.2))  # how many passages about its drug a document holds, and how often
MOST_CHARACTERS = 500  # beyond them no further passage joins
LOWER_CASE = 0.5  # drug names are one token then, as within sentences and in answers


# topic → the family of questions that its facts answer. Calls ask in train wordings, about held drugs too: a document may hold any drug.
ASKED = {"renal_case": "renal", "renal_free": "renal", "pregnancy": "pregnancy", "pregnancy_account": "pregnancy",
         "contraindication": "contraindication", "unlisted_condition": "contraindication", "monitoring": "monitoring",
         "symptom": "symptom", "pair": "interaction",
         "pair_chain": "interaction", "pair_free": "interaction", "pair_asked": "interaction",
         "list": "medication_list", "list_free": "medication_list", "list_asked": "medication_list"}


def topics(book: FactBook) -> dict[str, Topic]:
    """Every topic that this knowledge base can fill."""
    fields = (renal, settings, conditions, profile, names, interactions, everyday)
    filled = {name: topic for field in fields for name, topic in field.topics(book).items()}
    return {name: replace(topic, asked=_questions(ASKED[name]), typed=book.typed) if name in ASKED else topic
            for name, topic in filled.items()}


def _questions(family: str) -> tuple[Frame, ...]:
    frames = question_frames("train")
    return tuple(Frame(f"{name}.train.{at}", "phone_call", text, holes(text)) for name in (family, f"{family}.told") if name in frames
                 for at, text in enumerate(frames[name]))


def documents(kb: KnowledgeBase, split: Split, count: int, seed: int, accounts: bool = False) -> Iterator[Document]:
    """`count` documents, the same for the same knowledge base and seed."""
    if unknown := sorted({*split.held, *split.seen} ^ set(kb.drugs)):
        raise ValueError(f"split and knowledge base disagree about {', '.join(unknown[:5])}. Make the split from this knowledge base.")
    rng = Random(f"documents {seed}")
    filled = topics(fact_book(kb))
    weights = {name: weight for name, weight in (WITH_ACCOUNTS if accounts else WEIGHTS).items() if name in filled}
    drawn_from, shares = list(weights), list(accumulate(weights.values()))
    about_one = [filled[name] for name in ABOUT_ONE_DRUG if name in weights]
    pages = {drug: _Page([topic for topic in about_one if drug in topic.by_drug], weights) for drug in kb.drugs}
    for number, name in enumerate(rng.choices(drawn_from, cum_weights=shares, k=count)):
        topic = filled[name]
        passages = [passage(topic, pick_case(topic, rng), rng)]
        if name in ABOUT_ONE_DRUG:
            drug = passages[0].drugs[0]
            passages = _short_enough(passages + pages[drug].more(drug, rng))
        yield _document(number, passages, topic.careless, rng)


class _Page:
    """The topics that speak about one drug, with their shares."""

    def __init__(self, about: list[Topic], weights: Mapping[str, float]):
        self.about = about
        self.shares = list(accumulate(weights[topic.name] for topic in about))

    def more(self, drug: str, rng: Random) -> list[Passage]:
        extra = rng.choices([count - 1 for count, _ in PASSAGES], [share for _, share in PASSAGES])[0]
        chosen = rng.choices(self.about, cum_weights=self.shares, k=extra)
        return [passage(topic, rng.choice(topic.by_drug[drug]), rng) for topic in dict.fromkeys(chosen)]


def _short_enough(passages: list[Passage]) -> list[Passage]:
    """The first, with those after it that leave the document short."""
    lengths = list(accumulate(len(each.text) for each in passages))
    return [each for at, each in enumerate(passages) if at == 0 or lengths[at] <= MOST_CHARACTERS]


def _document(number: int, passages: list[Passage], careless: bool, rng: Random) -> Document:
    """Table rows stand on their own lines; other passages follow each other."""
    text = passages[0].text
    for before, after in pairwise(passages):
        text += ("\n" if "table_row" in (before.genre, after.genre) else " ") + after.text
    return Document(id=f"doc-{number:06d}", text=text.lower() if rng.random() < LOWER_CASE else text, genre=passages[0].genre,
                    template_id=" ".join(each.template_id for each in passages),
                    drugs=tuple(dict.fromkeys(drug for each in passages for drug in each.drugs)),
                    fact_ids=tuple(dict.fromkeys(fact for each in passages for fact in each.fact_ids)), careless=careless)
