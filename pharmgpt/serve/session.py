"""Ask a finished run: each stage's answer, the reward model's score of it, and its claims checked against the knowledge base.

What belongs to other rooms comes in as callables: the handbook excerpt that the judge reads, and the scorer.
"""
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pharmgpt.knowledge.claims import Check, check_claims
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.model.checkpoint import load_model
from pharmgpt.model.generate import stream
from pharmgpt.model.transformer import Transformer
from pharmgpt.text.chat import as_call, render_prompt
from pharmgpt.text.records import Message
from pharmgpt.text.tokenizer import Tokenizer

STAGES = ("pretrain", "sft", "ppo")
Scorer = Callable[[Sequence[Message], str], float]


class AskError(ValueError):
    """A question that cannot be put: the message says why and what to do."""


@dataclass(frozen=True)
class Answer:
    """One stage's answer; `reward` is null where the run has no reward model."""

    id: str
    prompt: str
    stage: str
    answer: str
    reward: float | None
    checks: tuple[Check, ...]

    def sentences(self) -> list[tuple[str, str, list[str]]]:
        """(text, status, fact ids): a sentence that makes several claims of one status stands once, with the facts of all."""
        found: dict[tuple[str, str], dict[str, None]] = {}
        for check in self.checks:
            found.setdefault((check.text, check.status), {}).update(dict.fromkeys(check.fact_ids))
        return [(text, status, list(facts)) for (text, status), facts in found.items()]

    def as_json(self) -> dict:
        checks = [{"text": text, "status": status, "fact_ids": facts} for text, status, facts in self.sentences()]
        return {"id": self.id, "prompt": self.prompt, "stage": self.stage, "answer": self.answer, "reward": self.reward, "checks": checks}


def stage_names(stage: str) -> tuple[str, ...]:
    """The stages that a person meant: one, `base` for pretrain, or all."""
    if stage == "all":
        return STAGES
    name = "pretrain" if stage == "base" else stage
    if name not in STAGES:
        raise AskError(f"--stage {stage!r}: use {', '.join(STAGES)}, base or all")
    return (name,)


EXCERPT_TOKENS = 256  # kept free for the handbook excerpt that the judge reads before question and answer


class Session:
    """Holds a run's tokenizer and models, each loaded when it is first asked."""

    def __init__(self, run: Path, kb: KnowledgeBase, newest_step: Callable[[Path], Path], scorer: Scorer | None, max_new_tokens: int = 96):
        self.run, self.kb, self.newest_step, self.scorer, self.max_new_tokens = run, kb, newest_step, scorer, max_new_tokens
        self.models: dict[str, Transformer] = {}

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.run / "tokenizer")

    def model(self, stage: str) -> Transformer:
        if stage not in self.models:
            folder = self.run / stage
            if not (folder / "manifest.json").is_file():
                raise AskError(f"{folder} is not finished, so it cannot answer: run `pharmgpt run --out {self.run}`, "
                               "or ask another --stage")
            self.models[stage] = load_model(self.newest_step(folder))
        return self.models[stage]

    def prompt_ids(self, messages: Sequence[Message], stage: str) -> list[int]:
        """A base model has seen no chat markers, so it is given a document to continue. Raises AskError where there is no room."""
        is_base = stage == "pretrain"
        ids = self.tokenizer.encode(as_call(messages[-1].content)) if is_base else render_prompt(messages, self.tokenizer)
        room = self.model(stage).config.max_positions - self.max_new_tokens - (EXCERPT_TOKENS if self.scorer else 0)
        if len(ids) > room:
            raise AskError(f"the question, with what was said before, has {len(ids)} tokens, and {stage} has room for {room}; "
                           "ask a shorter one")
        return ids

    def end_id(self, stage: str) -> int:
        return self.tokenizer.end_of_text_id if stage == "pretrain" else self.tokenizer.end_id

    def ask(self, prompt: str, stage: str, question_id: str = "") -> Answer:
        """The greedy answer of one stage to one question."""
        messages = as_messages(prompt)
        return self.judged(messages, "".join(self.stream(messages, stage)).strip(), stage, question_id)

    def stream(self, messages: Sequence[Message], stage: str) -> Iterator[str]:
        """The greedy answer piece by piece, as it is written."""
        shown, ids = "", []
        model = self.model(stage)  # first, so that a stage that is not finished is named, and not a file that it lacks
        prompt = self.prompt_ids(messages, stage)
        for token in stream(model, prompt, max_new_tokens=self.max_new_tokens, end_id=self.end_id(stage)):
            ids.append(token)
            text = self.tokenizer.decode(ids).lstrip()
            if not text.endswith("\ufffd"):  # a character may span several tokens
                yield text[len(shown):]
                shown = text

    def judged(self, messages: Sequence[Message], text: str, stage: str, question_id: str = "") -> Answer:
        prompt = messages[-1].content
        reward = round(self.scorer(messages, text), 4) if self.scorer else None
        return Answer(question_id, prompt, stage, text, reward, tuple(check_claims(self.kb, prompt, text)))


def as_messages(prompt: str) -> list[Message]:
    if not prompt.strip():
        raise AskError('the question is empty: ask for example "Can I use metformin if my eGFR is 28?"')
    return [Message("user", prompt.strip())]
