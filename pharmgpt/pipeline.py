"""The straight line as code: every stage with what it stands on, and the walk that skips, resumes and redoes.

    corpus → tokenizer → pretrain → sft → preferences → reward → ppo, with an exam after each that answers

Stages meet only on disk; their work is in stages.py.
"""
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pharmgpt import stages
from pharmgpt.corpus.handbook import excerpt
from pharmgpt.run import recipe as recipes
from pharmgpt.run.directory import Manifest, RunDir, RunError, newest_run, write_atomically
from pharmgpt.run.metrics import MetricLog, QuietLog
from pharmgpt.run.signals import Signals, caught
from pharmgpt.serve.session import STAGES as ANSWERING
from pharmgpt.serve.session import Scorer, Session
from pharmgpt.stages import Line
from pharmgpt.text.records import Message, PlainPair
from pharmgpt.train.judge import Item, score
from pharmgpt.train.memory import available_bytes, memory_trouble_told, needed_bytes, require_memory
from pharmgpt.train.parallel import ALONE, Ranks
from pharmgpt.train.state import newest_step, step_folders


@dataclass(frozen=True)
class Stage:
    """`needs`: the stages whose files it reads. `sections`: the recipe sections that decide what it makes."""

    name: str
    needs: tuple[str, ...]
    sections: tuple[str, ...]


STAGES = (
    Stage("corpus", (), ("knowledge", "corpus")),
    Stage("tokenizer", ("corpus",), ("tokenizer",)),
    Stage("pretrain", ("corpus", "tokenizer"), ("pretrain",)),
    Stage("exam/pretrain", ("corpus", "tokenizer", "pretrain"), ("exam",)),
    Stage("sft", ("corpus", "tokenizer", "pretrain"), ("sft",)),
    Stage("exam/experts", ("corpus",), ("exam",)),
    Stage("exam/sft", ("corpus", "tokenizer", "sft", "exam/experts"), ("exam",)),
    Stage("preferences", ("corpus", "tokenizer", "sft"), ("preferences",)),
    Stage("reward", ("corpus", "tokenizer", "sft", "preferences"), ("reward",)),
    Stage("exam/reward", ("corpus", "tokenizer", "reward", "exam/sft"), ("exam",)),
    Stage("ppo", ("corpus", "tokenizer", "sft", "reward"), ("ppo",)),
    Stage("exam/ppo", ("corpus", "tokenizer", "sft", "ppo", "exam/experts", "exam/sft"), ("exam",)),
)
NAMES = tuple(stage.name for stage in STAGES)
TRAINED = ("pretrain", "sft", "reward", "ppo")  # they take checkpoints, so they can be stopped between two steps


def read_recipe(name_or_path: str, overrides: Iterable[str], seed: int | None) -> recipes.Recipe:
    return recipes.read_recipe(name_or_path, stages.SECTIONS, overrides, seed)


def run(recipe: recipes.Recipe, out: Path, console: Console, until: str | None = None, redo: bool = False, ranks: Ranks = ALONE) -> Path:
    """Walk the line into `out` and return it; with `until`, stop after that stage. Raises RunError and each stage's own errors."""
    if until is not None and until not in NAMES:
        raise RunError(f"--until {until!r}: use one of {', '.join(NAMES)}")
    directory = RunDir(out)
    line = Line(recipe, directory, console, ranks)
    if not ranks.leads:
        _follow(line, until)
        return out
    with directory.locked(), caught() as signals:
        _require_equal_shares(line)
        _keep_recipe(directory, recipe, redo)
        console.print(f"[bold]{recipe.name}[/], seed {recipe.seed}, into {escape(str(out))}   [dim]{line.device.note}[/]", highlight=False)
        console.print(f"the whole line takes about {_wait(stages.expected_minutes(line))} here, once compiled", highlight=False)
        _require_memory(line)
        seconds = _walk(line, until, signals)
        write_atomically(out / "timings.json", json.dumps(seconds | {"total": round(sum(seconds.values()), 2)}, indent=1) + "\n")
        _write_lesson(line)
        print_table(_write_results(line), console)
    return out


def _wait(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} hours" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} days"


def _require_equal_shares(line: Line) -> None:
    """Before the first stage starts, not hours later."""
    for stage in TRAINED:
        section, key = (line.recipe["ppo"].update, "ppo.update.rows") if stage == "ppo" else (line.recipe[stage], f"{stage}.rows")
        line.ranks.require_equal_shares(section.rows, key)


def _require_memory(line: Line) -> None:
    """Only stages that are still to be made count. Ranks need less each, and how much is not known."""
    if line.ranks.size > 1:
        return
    needed = needed_bytes(line.recipe, line.device.type)
    require_memory({stage: needed[stage] for stage in TRAINED if line.directory.manifest(stage) is None}, available_bytes(line.device.type))


def _follow(line: Line, until: str | None) -> None:
    """What ranks beside the leader do: train with it, and wait while it does the rest."""
    last = NAMES.index(until) if until else len(STAGES)
    with caught() as signals:
        for stage in STAGES[:last + 1]:
            if stage.name in TRAINED and line.ranks.any(False):
                signals.can_wait = True
                with memory_trouble_told(stage.name):
                    stages.WORK[stage.name](line, line.folder(stage.name), QuietLog(signals))
                signals.can_wait = False
                signals.stop_if_received()


def _walk(line: Line, until: str | None, signals: Signals) -> dict[str, float]:
    seconds = {}
    last = NAMES.index(until) if until else len(STAGES)
    for place, stage in enumerate(STAGES):
        if place > last:
            _sweep(line, stage)
            continue
        finished = _is_finished(line, stage)
        if stage.name in TRAINED:
            line.ranks.any(not finished)  # calls the others to work
        manifest = line.directory.manifest(stage.name) if finished else _make(line, stage, signals)
        seconds[stage.name] = manifest.seconds
    return seconds


def _sweep(line: Line, stage: Stage) -> None:
    """A stage beyond --until that stands on what has since been made otherwise would answer and report what is no longer true."""
    if line.directory.manifest(stage.name) is None:
        return
    ready = all(line.directory.manifest(need) for need in stage.needs)
    if not ready or line.directory.is_stale(stage.name, *_identity(line, stage)):
        _set_aside(line, stage, "stale")


def _write_results(line: Line) -> dict:
    found = stages.results(line)
    write_atomically(line.directory.path / "results.json", json.dumps(found, indent=1) + "\n")
    return found


def _write_lesson(line: Line) -> None:
    """The one question that runs through every lesson, put to every stage that can answer, for the report."""
    path = line.directory.path
    session = open_session(path)
    answers = [session.ask(LESSON, stage).as_json() for stage in ANSWERING if line.directory.manifest(stage)]
    write_atomically(path / "lesson.json", json.dumps(answers, indent=1, ensure_ascii=False) + "\n")


def _is_finished(line: Line, stage: Stage) -> bool:
    """Whether the stage can be skipped; if what is there is of no use any more, it is moved aside first."""
    recipe_hash, inputs = _identity(line, stage)
    state = line.directory.state(stage.name, recipe_hash, inputs)
    if state == "finished":
        line.console.print(f"{stage.name:<13} finished before", highlight=False)
        return True
    if state == "damaged" and _has_a_step_before(line, stage):
        named = ", ".join(line.directory.damaged_files(line.directory.manifest(stage.name)))
        line.console.print(f"{stage.name:<13} was damaged ({named}): goes on from the checkpoint before", highlight=False, markup=False)
        line.directory.reopen(stage.name, recipe_hash, inputs)
        return False
    if state == "unfinished" and line.directory.begun_otherwise(stage.name, recipe_hash, inputs):
        state = "stale"
    if state != "unfinished":
        _set_aside(line, stage, state)
    return False


def _has_a_step_before(line: Line, stage: Stage) -> bool:
    """Whether a damaged stage's last checkpoint alone is damaged, and there is another."""
    steps = step_folders(line.folder(stage.name))
    damaged = [line.directory.path / name for name in line.directory.damaged_files(line.directory.manifest(stage.name))]
    return len(steps) > 1 and all(path.parent == steps[-1] for path in damaged)


def _set_aside(line: Line, stage: Stage, state: str) -> None:
    changed = f" ({', '.join(line.directory.damaged_files(line.directory.manifest(stage.name)))})" if state == "damaged" else ""
    moved = line.directory.set_aside(stage.name, state)
    line.console.print(f"{stage.name:<13} was {state}{changed}: moved to {moved.name}", highlight=False, markup=False)


def _make(line: Line, stage: Stage, signals: Signals) -> Manifest:
    """Do the stage's work, or go on with it, and write its manifest last."""
    folder, started, clock = line.folder(stage.name), time.time(), time.monotonic()
    recipe_hash, inputs = _identity(line, stage)
    line.directory.begin(stage.name, recipe_hash, inputs)
    log = MetricLog(folder / "metrics.jsonl", stage.name, stages.step_count(line.recipe, stage.name), line.console, signals)
    signals.can_wait = stage.name in TRAINED
    try:
        with memory_trouble_told(stage.name):
            stages.WORK[stage.name](line, folder, log)
    finally:
        log.close()
    signals.can_wait = False
    manifest = line.directory.finish(stage.name, recipe_hash=recipe_hash, seed=line.recipe.seed, inputs=inputs,
                                     device=line.device.note, started=started, seconds=time.monotonic() - clock)
    line.console.print(f"{stage.name:<13} {manifest.seconds:6.1f} s", highlight=False)
    signals.stop_if_received()
    return manifest


def _identity(line: Line, stage: Stage) -> tuple[str, dict[str, str]]:
    """What decides a stage's result: its recipe sections and seed, and the hashes of what it reads."""
    return line.recipe.section_hash(stage.sections), line.directory.inputs_from(stage.needs) | stages.outside_inputs(line, stage.name)


def _keep_recipe(directory: RunDir, recipe: recipes.Recipe, redo: bool) -> None:
    """A directory belongs to one recipe: another is refused, showing the keys, unless its stages are to be redone."""
    path = directory.path / "recipe.toml"
    if path.is_file() and not redo:
        rows = recipes.differing_keys(recipes.read_toml(path), recipes.read_toml_text(recipe.to_toml()))
        if rows:
            shown = "\n  ".join(rows)
            raise RunError(f"{directory.path} was made with another recipe:\n  {shown}\nUse another --out, or --redo to move its stages "
                           "aside and make them again.")
    write_atomically(path, recipe.to_toml())


# ---- what a finished run is asked


def find_run(run: Path | None) -> Path:
    """The run a person named, or the newest finished one under runs/."""
    if run is None:
        return newest_run(Path("runs"))
    if not (run / "recipe.toml").is_file():
        raise RunError(f"{run}: not a run directory (it has no recipe.toml); make one with `pharmgpt run --out {run}`")
    return run


def open_line(run: Path | None, console: Console | None = None) -> Line:
    """An existing run's stages, as they were made."""
    path = find_run(run)
    return Line(recipes.read_recipe(str(path / "recipe.toml"), stages.SECTIONS), RunDir(path), console or Console())


def open_session(run: Path | None) -> Session:
    """Someone to ask: every stage's model, scored by the run's judge if it has one."""
    line = open_line(run)
    return Session(line.directory.path, line.whole_kb, newest_step, _scorer(line), line.recipe["exam"].max_new_tokens)


def score_pairs(run: Path | None, pairs: Sequence[PlainPair]) -> Iterator[dict]:
    """Each pair with the judge's score of both answers."""
    line = open_line(run)
    scorer = _scorer(line)
    if scorer is None:
        raise RunError(f"{line.directory.path} has no finished reward model: run `pharmgpt run --out {line.directory.path}` again")
    for pair in pairs:
        messages = [Message("user", pair.prompt)]
        rewards = {f"reward_{which}": round(scorer(messages, getattr(pair, which)), 4) for which in ("chosen", "rejected")}
        yield asdict(pair) | rewards


def _scorer(line: Line) -> Scorer | None:
    """The run's judge, reading the handbook excerpt that the question's own words call for."""
    if line.directory.manifest("reward") is None:
        return None
    judge = line.judge()

    def scored(messages: Sequence[Message], answer: str) -> float:
        asked = "\n".join(message.content for message in messages if message.role == "user")
        return score(judge, [Item(excerpt(line.kb, asked), messages, answer)], device=line.device)[0]

    return scored


def examine(run: Path | None, chosen: str, console: Console) -> dict:
    """Sit the exam of a stage, or of all, where it is not up to date; returns its results. Progress goes to `console`."""
    name = "pretrain" if chosen == "base" else chosen
    exams = [stage for stage in STAGES if stage.name.startswith("exam/") and name in ("all", stage.name.removeprefix("exam/"))]
    if not exams:
        raise RunError(f"--stage {chosen!r} has no exam; use pretrain, experts, sft, reward, ppo or all")
    line = open_line(run, console)
    with line.directory.locked(), caught() as signals:
        ready = [stage for stage in exams if all(line.directory.manifest(need) for need in stage.needs)]
        if not ready:
            raise RunError(f"{line.directory.path} has no finished stage to examine: go on with `pharmgpt run --out {line.directory.path}`")
        for stage in ready:
            if not _is_finished(line, stage):
                _make(line, stage, signals)
        found = _write_results(line)
    return found if name == "all" else found | {"stages": {name: found["stages"][name]}}


LESSON = "Can I use metformin if my eGFR is 28?"
COLUMNS = ("gold_seen", "gold_held_drugs", "decision_seen", "decision_held_drugs", "unsafe_rate")
ALSO = {"pretrain": ("cloze_seen", "cloze_held_drugs", "cloze_foreign_held_drugs", "bits_per_byte"), "experts": ("gold_best", "gold_mean"),
        "sft": ("interaction_sensitivity", "interaction_specificity"),
        "reward": ("pair_accuracy_seen", "pair_accuracy_held_drugs", "safe_over_dangerous", "ece"),
        "ppo": ("gain_seen", "gain_held_drugs", "over_best_expert_seen", "kl")}


def print_table(results: dict, console: Console) -> None:
    """One row a stage, then what only that stage has; scores with their 95 % intervals. results.json holds the rest."""
    table = Table("stage", *(name.replace("_", " ") for name in COLUMNS), title="exam: held-out questions, greedy answers")
    for stage, scores in results["stages"].items():
        table.add_row(stage, *(_with_interval(scores[name]) if name in scores else "" for name in COLUMNS))
    console.print(table)
    for stage, scores in results["stages"].items():
        also = (f"{name.replace('_', ' ')} {_with_interval(scores[name])}" for name in ALSO[stage] if name in scores)
        console.print(f"[bold]{stage}[/]: " + "; ".join(also), highlight=False)


def _with_interval(score: dict) -> str:
    if score["value"] is None:
        return "—"
    interval = " ({:.2f} to {:.2f})".format(*score["ci95"]) if score["ci95"] else ""
    return f"{score['value']:.2f}{interval}"
