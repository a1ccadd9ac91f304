"""Read what a run directory holds. What is missing or damaged is remembered by file name, so that the page can say so in its place."""
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter

from pharmgpt.run.directory import RunDir
from pharmgpt.run.metrics import read_metrics
from pharmgpt.run.recipe import read_toml
from pharmgpt.text.records import Question, read_jsonl

T = TypeVar("T")
LOGS = ("pretrain", "sft", "reward", "ppo")
ANSWERING = ("sft", "ppo")  # stages whose exam leaves transcripts


class ReportError(ValueError):
    """A directory of which no report can be made: the message says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class Score:
    """A figure of results.json; null where it does not apply."""

    value: float | None = None
    n: int | None = None
    ci95: tuple[float, float] | None = None
    chance: float | None = None
    baseline: float | None = None


Scores = dict[str, dict[str, Score]]  # stage → metric → score


@dataclass(frozen=True, slots=True)
class Results:
    meta: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    stages: Scores = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One marked exam answer: the part of a transcripts.jsonl line that the page shows."""

    question_id: str
    family: str
    pool: str
    greedy: bool
    answer: str
    gold: float
    decision: str | None = None
    keyed: str = ""
    unsafe: bool = False
    ended: bool = True
    elements: dict[str, str] = field(default_factory=dict)
    penalties: tuple[str, ...] = ()
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    text: str
    status: Literal["supported", "contradicted", "unknown"]
    fact_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageAnswer:
    """What one stage said to the lesson's question, as `ask --json` gives it."""

    prompt: str
    stage: str
    answer: str
    reward: float | None = None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Found:
    """What a run left. `absent` says by file name why something is not here."""

    path: Path
    results: Results
    recipe: dict
    timings: dict[str, float]
    logs: dict[str, list[dict]]
    sheets: dict[str, list[Sheet]]
    questions: dict[str, Question]
    lesson: list[StageAnswer]
    best_expert: str
    dirty: bool
    absent: dict[str, str]


class Reader:
    """Reads files of one run, and keeps the reason for each that it could not read."""

    def __init__(self, run: Path):
        self.run, self.absent = run, {}

    def read(self, name: str, parse: Callable[[Path], T], otherwise: T) -> T:
        path = self.run / name
        if not path.is_file():
            self.absent[name] = f"{name} is not in this run."
            return otherwise
        try:
            return parse(path)
        except ValueError as error:  # JSON, TOML, encoding and validation errors are all ValueErrors
            self.absent[name] = f"{name} could not be read: {error}"
            return otherwise

    def log(self, stage: str) -> list[dict]:
        name = f"{stage}/metrics.jsonl"
        records = self.read(name, read_metrics, [])
        if not records:
            self.absent.setdefault(name, f"{name} is empty.")
        return records


def collect(run: Path) -> Found:
    """Everything the page shows. Raises ReportError if `run` is no directory."""
    if not run.is_dir():
        raise ReportError(f"{run} is not a directory: make a run with `pharmgpt run tiny --out {run}`, or give another --run")
    reader = Reader(run)
    questions = reader.read("corpus/questions-exam.jsonl", _records_of(Question), [])
    return Found(
        path=run,
        results=reader.read("results.json", _json_of(Results), Results()),
        recipe=reader.read("recipe.toml", read_toml, {}),
        timings=reader.read("timings.json", _json_of(dict[str, float]), {}),
        logs={stage: reader.log(stage) for stage in LOGS},
        sheets={stage: reader.read(f"exam/{stage}/transcripts.jsonl", _records_of(Sheet), []) for stage in ANSWERING},
        questions={question.id: question for question in questions},
        lesson=reader.read("lesson.json", _json_of(list[StageAnswer]), []),
        best_expert=reader.read("exam/experts/best.json", _json_of(dict[str, str]), {}).get("expert", ""),
        dirty=reader.read("corpus/manifest.json", lambda _: bool(RunDir(run).manifest("corpus").dirty), False),
        absent=reader.absent,
    )


def _records_of(kind: type[T]) -> Callable[[Path], list[T]]:
    return lambda path: list(read_jsonl(path, kind))


def _json_of(kind: type[T]) -> Callable[[Path], T]:
    adapter = TypeAdapter(kind)
    return lambda path: adapter.validate_python(json.loads(path.read_text(encoding="utf-8")))
