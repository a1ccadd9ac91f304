"""Build every record that the stages read: facts in, JSONL out.

Held drugs reach later stages through documents only. Three question sets never meet: train (experts, annotators, PPO prompts),
dev (monitors and tuning) and exam (once a finished stage).
"""
import json
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pharmgpt.corpus.cloze import cloze_items
from pharmgpt.corpus.conversations import demonstrations, shares
from pharmgpt.corpus.documents import documents
from pharmgpt.corpus.handbook import excerpt
from pharmgpt.corpus.preferences import flaw_pairs
from pharmgpt.corpus.questions import questions
from pharmgpt.corpus.split import Split, split_drugs
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.run.directory import write_atomically
from pharmgpt.text.records import Question, write_jsonl

POOLS = ("seen", "held_drugs")


class CorpusConfig(BaseModel):
    """How much of everything. `*_per_family` counts the questions of one part and pool."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    held_drugs: int = Field(14, ge=1)
    documents: int = Field(48_000, ge=100)
    accounts: bool = True  # limits, bands and pregnancy in some 2,000 wordings of other writers too: without, foreign sentences stay unread
    dev_documents: int = Field(200, ge=10)
    train_per_family: int = Field(400, ge=4)
    dev_per_family: int = Field(12, ge=1)
    exam_per_family: int = Field(30, ge=1)
    demonstrations: int = Field(4_000, ge=10)
    flaw_pairs: int = Field(3_000, ge=10)
    exam_flaw_pairs: int = Field(600, ge=10)


def build(kb: KnowledgeBase, config: CorpusConfig, out: Path, seed: int) -> None:
    """Write split.json and the records of every stage into `out`."""
    split = split_drugs(kb, config.held_drugs, seed)
    write_atomically(out / "split.json", json.dumps(split._asdict(), indent=1) + "\n")
    texts = list(documents(kb, split, config.documents + config.dev_documents, seed, config.accounts))
    write_jsonl(out / "documents-dev.jsonl", texts[: config.dev_documents])
    write_jsonl(out / "documents.jsonl", texts[config.dev_documents :])
    write_jsonl(out / "cloze.jsonl", cloze_items(kb, split, seed))
    asked = _questions(kb, split, config, seed)
    for part in ("train", "dev", "exam"):
        write_jsonl(out / f"questions-{part}.jsonl", [question for question in asked if question.part == part])
    by_part = {(part, pool): [q for q in asked if (q.part, q.pool) == (part, pool)] for part in ("train", "dev", "exam") for pool in POOLS}
    shown = questions(kb, split, "train", "seen", seed, shares(config.demonstrations))  # many more than are asked later: none is met twice
    write_jsonl(out / "conversations.jsonl", demonstrations(kb, shown, seed, split, config.demonstrations))
    write_jsonl(out / "conversations-dev.jsonl", demonstrations(kb, by_part["dev", "seen"], seed, split))
    write_jsonl(out / "pairs-train.jsonl", flaw_pairs(kb, by_part["train", "seen"], seed, split, config.flaw_pairs))
    write_jsonl(out / "pairs-dev.jsonl", flaw_pairs(kb, by_part["dev", "seen"], seed, split, config.exam_flaw_pairs // 4))
    write_jsonl(out / "pairs-exam.jsonl", [pair for pool in POOLS
                                           for pair in flaw_pairs(kb, by_part["exam", pool], seed, split, config.exam_flaw_pairs // 2)])


def _questions(kb: KnowledgeBase, split: Split, config: CorpusConfig, seed: int) -> list[Question]:
    plan = [("train", "seen", config.train_per_family),
            ("dev", "seen", config.dev_per_family), ("dev", "held_drugs", config.dev_per_family),
            ("exam", "seen", config.exam_per_family), ("exam", "held_drugs", config.exam_per_family)]
    return [question for part, pool, count in plan for question in questions(kb, split, part, pool, seed, count, partial(excerpt, kb))]
