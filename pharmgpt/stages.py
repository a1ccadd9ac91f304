"""What each stage of the line does: it reads finished stages' folders, calls one room, and writes into its own folder.

What one room needs from another comes from here as an argument, so that rooms do not know each other: the annotators get the gold
rule, PPO gets its monitor, the judge gets the handbook.
"""
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from torch import nn

from pharmgpt.corpus.annotators import annotate, names_seen_only
from pharmgpt.corpus.build import CorpusConfig, build
from pharmgpt.corpus.conversations import EXPERTS, answer
from pharmgpt.corpus.importers.ledger import Ledger
from pharmgpt.corpus.importers.own import own_conversations, own_pairs
from pharmgpt.corpus.importers.text import read_extra
from pharmgpt.corpus.leaks import ExamRuns, without_leaks
from pharmgpt.corpus.pairs import pairs_of
from pharmgpt.corpus.split import Split
from pharmgpt.exam import suite
from pharmgpt.exam.grade import GOLD_VERSION, grade
from pharmgpt.exam.judge import onpolicy_pairs, reward_scores
from pharmgpt.exam.statistics import Score
from pharmgpt.exam.suite import ExamConfig, Sheet, Spoken
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.schema import KnowledgeBase
from pharmgpt.knowledge.subset import named_set
from pharmgpt.model.checkpoint import load_model
from pharmgpt.model.device import Device, choose_device, has_amx, product_speed
from pharmgpt.run.directory import RunDir, RunError, sha256, write_atomically
from pharmgpt.run.metrics import Log, read_metrics
from pharmgpt.run.recipe import Recipe
from pharmgpt.text.records import Cloze, Conversation, Document, Message, PreferencePair, Question, read_jsonl, write_jsonl
from pharmgpt.text.tokenizer import Tokenizer, train_tokenizer
from pharmgpt.train.judge import Judge, load_judge, pair_scores
from pharmgpt.train.parallel import ALONE, Ranks
from pharmgpt.train.ppo import PPOConfig, ppo
from pharmgpt.train.pretrain import PretrainConfig, pretrain
from pharmgpt.train.reward import RewardConfig, train_reward
from pharmgpt.train.rollout import sample_answers, write_samples
from pharmgpt.train.sft import SftConfig, sft
from pharmgpt.train.state import newest_step

R = TypeVar("R")
TOKENS_AN_EPISODE = 45  # prompt and answer, about
# Operations of training from which compiling pays. `tiny` has 1e12: 33 s eager, 72 compiled from the cache, 154 without one (all beside
# other work).
COMPILED_FROM = 2e13
OTHER_MINUTES = 1.5  # corpus, sampling and exams, about
# What training reached of the speed of plain products: on a GPU, on two cores with AMX, and on two without (fp32, and bf16 on Zen 4).
SHARE_ON_GPU, SHARE_WITH_AMX, SHARE_WITHOUT = 0.3, 0.2, 0.5


class KnowledgeConfig(BaseModel):
    """Whose knowledge: ours where `path` is empty, else a folder in the same schema; `extra` is a folder laid over it. `set` names the
    drugs of sets.toml to train on and to be examined on; empty takes all."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str = ""
    extra: str = ""
    set: str = "classroom"


class TokenizerConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    vocab_size: int = Field(2048, ge=300)


class PreferencesConfig(BaseModel):
    """On-policy pairs: answers sampled from the SFT model, judged by the panel."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    questions: int = Field(400, ge=4)
    answers: int = Field(4, ge=2)
    pairs_per_question: int = Field(2, ge=1)
    max_new_tokens: int = Field(88, ge=8)


SECTIONS: dict[str, type[BaseModel]] = {
    "knowledge": KnowledgeConfig, "corpus": CorpusConfig, "tokenizer": TokenizerConfig, "pretrain": PretrainConfig, "sft": SftConfig,
    "preferences": PreferencesConfig, "reward": RewardConfig, "ppo": PPOConfig, "exam": ExamConfig,
}


@dataclass(frozen=True)
class Line:
    """What every stage may use: recipe, directory, knowledge, device, console. Stages that train share their work among `ranks`; the
    leader does all others alone."""

    recipe: Recipe
    directory: RunDir
    console: Console
    ranks: Ranks = ALONE

    @cached_property
    def kb(self) -> KnowledgeBase:
        """What the run trains and is examined on."""
        return named_set(self.whole_kb, self.recipe["knowledge"].set)

    @cached_property
    def whole_kb(self) -> KnowledgeBase:
        """What answers are checked against: a drug that training never met is still known to the checker."""
        config = self.recipe["knowledge"]
        return load(*(Path(each) if each else None for each in (config.path, config.extra)))

    @cached_property
    def device(self) -> Device:
        """By the recipe alone, not by the clock, whether it compiles: a run that is resumed must compute as it did before."""
        device = choose_device(compile=None if training_operations(self.recipe) >= COMPILED_FROM else False)
        return replace(device, note=f"{device.note}, {self.ranks.size} ranks") if self.ranks.size > 1 else device

    @property
    def seed(self) -> int:
        return self.recipe.seed

    def tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.folder("tokenizer"))

    def folder(self, stage: str) -> Path:
        return self.directory.stage(stage)

    def weights(self, stage: str) -> Path:
        return newest_step(self.folder(stage))

    def model(self, stage: str) -> nn.Module:
        """A finished stage's model, on the device."""
        return load_model(self.weights(stage)).to(self.device.type)

    def judge(self) -> Judge:
        judge = load_judge(self.weights("reward"), self.tokenizer())
        judge.model.to(self.device.type)
        return judge

    def records(self, name: str, kind: type[R]) -> list[R]:
        return list(read_jsonl(self.folder("corpus") / f"{name}.jsonl", kind))

    def split(self) -> Split:
        return Split(**{name: tuple(drugs) for name, drugs in json.loads((self.folder("corpus") / "split.json").read_text()).items()})


def corpus(line: Line, out: Path, log: Log) -> None:
    build(line.kb, line.recipe["corpus"], out, line.seed)


def tokenizer(line: Line, out: Path, log: Log) -> None:
    """Trained on what the model will read: documents and demonstrations."""
    texts = chain((document.text for document in line.records("documents", Document)),
                  (message.content for talk in line.records("conversations", Conversation) for message in talk.messages))
    train_tokenizer(texts, line.recipe["tokenizer"].vocab_size).save(out)


def pretraining(line: Line, out: Path, log: Log) -> None:
    config: PretrainConfig = line.recipe["pretrain"]
    own = own_records(line, out, lambda ledger: (document for path in config.extra for document in read_extra(Path(path), ledger)),
                      lambda document: document.text) if config.extra else []
    pretrain(config, line.tokenizer(), [*line.records("documents", Document), *own], line.records("documents-dev", Document),
             out=out, log=log, device=line.device, seed=line.seed, ranks=line.ranks)


def fine_tuning(line: Line, out: Path, log: Log) -> None:
    config: SftConfig = line.recipe["sft"]
    own = own_records(line, out, partial(own_conversations, config.extra), lambda talk: spoken(talk.messages),
                      teaches_answering=True) if config.extra else []
    sft(config, line.tokenizer(), line.weights("pretrain"), [*line.records("conversations", Conversation), *own],
        line.records("conversations-dev", Conversation), line.records("documents", Document),
        out=out, log=log, device=line.device, seed=line.seed, ranks=line.ranks)


def preferences(line: Line, out: Path, log: Log) -> None:
    """Sample the SFT model on train questions; the panel compares; held drugs stay out of what is shown."""
    config: PreferencesConfig = line.recipe["preferences"]
    asked = line.records("questions-train", Question)
    chosen = asked[:: max(1, len(asked) // config.questions)][: config.questions]
    samples = sample_answers(line.model("sft"), line.tokenizer(), chosen, config.answers, max_new_tokens=config.max_new_tokens,
                             seed=line.seed, device=line.device)
    write_samples(out / "samples.jsonl", samples)
    pairs = annotate([sample._asdict() for sample in samples], chosen, gold_rule(line.kb), line.seed,
                     pairs_per_prompt=config.pairs_per_question, may_be_shown=names_seen_only(line.kb, line.split()))
    write_jsonl(out / "pairs-onpolicy.jsonl", pairs)


def reward(line: Line, out: Path, log: Log) -> None:
    config: RewardConfig = line.recipe["reward"]
    onpolicy = list(read_jsonl(line.folder("preferences") / "pairs-onpolicy.jsonl", PreferencePair))
    own = own_records(line, out, partial(own_pairs, config.extra), lambda pair: f"{spoken(pair.messages)}\n{pair.chosen}\n{pair.rejected}",
                      teaches_answering=True) if config.extra else []
    train_reward(config, line.tokenizer(), line.weights("sft"), [*line.records("pairs-train", PreferencePair), *onpolicy, *own],
                 line.records("pairs-dev", PreferencePair), out=out, log=log, device=line.device, seed=line.seed, ranks=line.ranks)


def optimisation(line: Line, out: Path, log: Log) -> None:
    asked = line.records("questions-train", Question)
    dev = [question for question in line.records("questions-dev", Question) if question.pool == "seen"]
    ppo(line.recipe["ppo"], line.tokenizer(), asked, line.records("documents", Document), policy_dir=line.weights("sft"),
        reward_dir=line.weights("reward"), dev_questions=dev, monitor=monitor(line.kb, [*asked, *dev]), out=out, log=log,
        device=line.device, seed=line.seed, ranks=line.ranks)


def own_records(line: Line, out: Path, read: Callable[[Ledger], Iterable[R]], text_of: Callable[[R], str],
                teaches_answering: bool = False) -> list[R]:
    """A person's own records without those that leak the exam; what was read, kept and dropped goes to extra.json."""
    ledger = Ledger()
    exam = ExamRuns([*(spoken(question.messages) for question in line.records("questions-exam", Question)),
                     *(f"{item.prefix} {item.answer}" for item in line.records("cloze", Cloze))])
    may_be_shown = names_seen_only(line.kb, line.split()) if teaches_answering else lambda text: True
    own = list(without_leaks(read(ledger), text_of, exam, ledger, may_be_shown))
    if line.ranks.leads:
        write_atomically(out / "extra.json", json.dumps(ledger.as_json(), indent=1) + "\n")
    return own


def spoken(messages: Sequence[Message]) -> str:
    return "\n".join(message.content for message in messages)


def gold_rule(kb: KnowledgeBase):
    """What annotators and monitors call: a question and an answer's text → gold."""
    return lambda question, answer: grade(kb, question, answer).gold


def monitor(kb: KnowledgeBase, questions: Sequence[Question]):
    """Gold and unsafe share of sampled answers, for the log only: the truth is never the reward."""
    asked = {question.id: question for question in questions}

    def watch(ids: Sequence[str], answers: Sequence[str], ended: Sequence[bool]) -> dict[str, float]:
        sheets = [suite.mark(kb, asked[id], Spoken(text, end)) for id, text, end in zip(ids, answers, ended, strict=True)]
        restricted = [sheet for sheet in sheets if sheet.keyed in suite.RESTRICTIVE]
        return {"gold": sum(sheet.gold for sheet in sheets) / len(sheets),
                "unsafe": sum(sheet.unsafe for sheet in restricted) / max(len(restricted), 1)}

    return watch


# ---- exams: each writes transcripts.jsonl and scores.json


def exam_pretrain(line: Line, out: Path, log: Log) -> None:
    sheets = suite.sit_cloze(line.model("pretrain"), line.tokenizer(), line.records("cloze", Cloze), line.device.autocast_dtype)
    write_jsonl(out / "transcripts.jsonl", sheets)
    wordings = {"exam": "cloze", "foreign": "cloze_foreign", "dev": "cloze_dev"}
    scores = {f"{name}_{pool}": suite.cloze_score([sheet for sheet in sheets if (sheet.wordings, sheet.pool) == (whose, pool)])
              for whose, name in wordings.items() for pool in ("seen", "held_drugs")}
    start, last = _said(line, "pretrain", "ln_vocab")[0], _said(line, "pretrain", "dev_loss")[-1]
    scores["nats_per_token"] = Score(last["dev_loss"], None, None, start["ln_vocab"], start["unigram_entropy"])
    scores["bits_per_byte"] = Score(last["dev_bits_per_byte"], None, None, None, None)
    _write_scores(out, scores)


def exam_experts(line: Line, out: Path, log: Log) -> None:
    """The simulated experts sit the exam on seen drugs: what imitation alone could reach."""
    asked = [question for question in line.records("questions-exam", Question) if question.pool == "seen"]
    golds = {}
    for expert in EXPERTS:
        rng = random.Random(f"{line.seed} {expert.name}")
        sheets = [suite.mark(line.kb, question, Spoken(answer(pairs_of(line.kb), question, expert, rng), True)) for question in asked]
        write_jsonl(out / f"transcripts-{expert.name}.jsonl", sheets)
        golds[expert.name] = suite.gold_score(sheets)
    best = max(golds, key=lambda name: golds[name].value)
    mean = sum(score.value for score in golds.values()) / len(golds)
    overall = {"gold_best": golds[best], "gold_mean": Score(mean, len(asked) * len(golds), None, None, None)}
    _write_scores(out, {f"gold_{name}": score for name, score in golds.items()} | overall)
    write_atomically(out / "best.json", json.dumps({"expert": best}) + "\n")


def exam_answers(stage: str, line: Line, out: Path, log: Log) -> None:
    """A stage that answers sits the exam, once."""
    config: ExamConfig = line.recipe["exam"]
    speak = suite.model_speaker(line.model(stage), line.tokenizer(), config, line.seed, line.device.autocast_dtype)
    sheets = suite.sit(line.kb, line.records("questions-exam", Question), speak, config)
    write_jsonl(out / "transcripts.jsonl", sheets)
    experts = read_scores(line, "experts")
    scores = suite.stage_scores(sheets, experts["gold_best"].value)
    if stage == "ppo":
        scores |= _gains(line, sheets)
    _write_scores(out, scores)


def _gains(line: Line, after: Sequence[Sheet]) -> dict[str, Score]:
    before = _sheets(line, "sft", "transcripts")
    scores = {}
    for pool in ("seen", "held_drugs"):
        for suffix, greedy in (("", True), ("_t1", False)):
            def of(sheets, pool=pool, greedy=greedy):
                return [s for s in sheets if (s.pool, s.greedy, s.sample) == (pool, greedy, 0)]
            scores[f"gain_{pool}{suffix}"] = suite.gain(of(after), of(before))
    best = json.loads((line.folder("exam/experts") / "best.json").read_text())["expert"]
    seen = [sheet for sheet in after if sheet.greedy and sheet.pool == "seen"]
    scores["over_best_expert_seen"] = suite.gain(seen, _sheets(line, "experts", f"transcripts-{best}"))
    return scores | {"kl": Score(_said(line, "ppo", "delivered_kl")[-1]["delivered_kl"], None, None, 0.0, None)}


def _said(line: Line, stage: str, key: str) -> list[dict]:
    """What a stage's log says of `key`, oldest first."""
    path = line.folder(stage) / "metrics.jsonl"
    found = [record for record in read_metrics(path) if key in record]
    if not found:
        raise RunError(f"{path}: no line has {key!r}, which the exam reports; move {path.parent} away and run again")
    return found


def exam_reward(line: Line, out: Path, log: Log) -> None:
    judge = line.judge()
    pairs = line.records("pairs-exam", PreferencePair)
    sampled = onpolicy_pairs(line.records("questions-exam", Question), _sheets(line, "sft", "transcripts"))
    margins = [chosen - rejected for chosen, rejected in (pair_scores(judge, group, device=line.device) for group in (pairs, sampled))]
    _write_scores(out, reward_scores(pairs, margins[0], sampled, margins[1], line.records("pairs-train", PreferencePair), line.seed))


def _sheets(line: Line, stage: str, name: str) -> list[Sheet]:
    return list(read_jsonl(line.folder(f"exam/{stage}") / f"{name}.jsonl", Sheet))


def _write_scores(out: Path, scores: dict[str, Score]) -> None:
    write_atomically(out / "scores.json", json.dumps({name: score._asdict() for name, score in sorted(scores.items())}, indent=1) + "\n")


def read_scores(line: Line, stage: str) -> dict[str, Score]:
    path = line.folder(f"exam/{stage}") / "scores.json"
    return {name: Score(**score) for name, score in json.loads(path.read_text(encoding="utf-8")).items()}


def results(line: Line) -> dict:
    """results.json: every score of every examined stage, and what they belong to."""
    examined = [stage for stage in ("pretrain", "experts", "sft", "reward", "ppo") if line.directory.manifest(f"exam/{stage}")]
    meta = {"gold_version": GOLD_VERSION, "recipe": line.recipe.name, "seed": line.seed, "knowledge": line.kb.content_hash,
            "commit": line.directory.manifest("corpus").commit, "device": line.directory.manifest("corpus").device}
    scores = {stage: {name: score._asdict() for name, score in read_scores(line, stage).items()} for stage in examined}
    return {"meta": meta, "stages": scores}


WORK = {
    "corpus": corpus, "tokenizer": tokenizer, "pretrain": pretraining, "exam/pretrain": exam_pretrain, "sft": fine_tuning,
    "exam/experts": exam_experts, "exam/sft": partial(exam_answers, "sft"), "preferences": preferences, "reward": reward,
    "exam/reward": exam_reward, "ppo": optimisation, "exam/ppo": partial(exam_answers, "ppo"),
}
READS_OWN_FILES = {"pretrain", "sft", "reward"}
READS_KNOWLEDGE = {"corpus", "preferences", "ppo", "exam/experts", "exam/sft", "exam/ppo"}


def outside_inputs(line: Line, stage: str) -> dict[str, str]:
    """Hashes of what a stage reads from outside the run: the knowledge base with the gold rule's version, a person's own texts."""
    found = {"knowledge": line.kb.content_hash, "gold_version": GOLD_VERSION} if stage in READS_KNOWLEDGE else {}
    if stage in READS_OWN_FILES:
        files = (file for path in line.recipe[stage].extra for file in _files(Path(path)))
        found |= {str(file): sha256(file) for file in files}
    return found


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def step_count(recipe: Recipe, stage: str) -> int | None:
    """How many steps a stage's log will count to, where its recipe says so."""
    config = recipe.sections.get(stage)
    return getattr(config, "steps", None) or getattr(config, "iterations", None)


def training_operations(recipe: Recipe) -> float:
    """About how many the line's training takes: 6 a parameter and token."""
    config = recipe["pretrain"].model
    layer = config.d_model * (2 * config.n_heads + 2 * config.n_kv_heads) * config.head_dim + 3 * config.d_model * config.d_ff
    parameters = config.n_layers * layer + config.d_model * recipe["tokenizer"].vocab_size
    rows = sum((getattr(recipe[stage], "steps", None) or 0) * recipe[stage].rows * recipe[stage].row_tokens
               for stage in ("pretrain", "sft", "reward"))
    ppo_tokens = recipe["ppo"].iterations * recipe["ppo"].prompts * TOKENS_AN_EPISODE * (2 * recipe["ppo"].update.epochs + 2)
    return 6 * parameters * (rows + ppo_tokens)


def expected_minutes(line: Line) -> float:
    """A rough wait for the whole line: training at a share of the speed of plain products, and the rest."""
    share = SHARE_ON_GPU if line.device.type == "cuda" else SHARE_WITH_AMX if has_amx() else SHARE_WITHOUT
    return training_operations(line.recipe) / (share * product_speed(line.device)) / 60 + OTHER_MINUTES
