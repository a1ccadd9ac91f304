"""The straight line as code: every stage with what it stands on, and the walk that skips, resumes and redoes.

    corpus → tokenizer → pretrain → sft → preferences → reward → ppo, with an exam after each that answers

Stages meet only on disk; their work is in stages.py.
"""
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pharmgpt import stages
from pharmgpt.run import recipe as recipes
from pharmgpt.run.directory import FORMAT_VERSION, RunDir, RunError, write_atomically
from pharmgpt.run.metrics import MetricLog
from pharmgpt.stages import Line


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


def run(recipe: recipes.Recipe, out: Path, console: Console, until: str | None = None, redo: bool = False) -> Path:
    """Walk the line into `out` and return it; with `until`, stop after that stage. Raises RunError, RecipeError and each stage's own errors."""
    if until is not None and until not in NAMES:
        raise RunError(f"--until {until!r}: use one of {', '.join(NAMES)}")
    directory = RunDir(out)
    with directory.locked():
        _keep_recipe(directory, recipe, redo)
        line = Line(recipe, directory, console)
        console.print(f"[bold]{recipe.name}[/], seed {recipe.seed}, into {out}   [dim]{line.device.note}[/]", highlight=False)
        seconds = _walk(line, until)
        write_atomically(out / "results.json", json.dumps(stages.results(line), indent=1) + "\n")
        write_atomically(out / "timings.json", json.dumps(seconds | {"total": round(sum(seconds.values()), 2)}, indent=1) + "\n")
    return out


def _walk(line: Line, until: str | None) -> dict[str, float]:
    seconds = {}
    for stage in STAGES:
        manifest = line.directory.manifest(stage.name) if _is_finished(line, stage) else _make(line, stage)
        seconds[stage.name] = manifest.seconds
        if stage.name == until:
            break
    return seconds


def _is_finished(line: Line, stage: Stage) -> bool:
    """Whether the stage can be skipped; if what is there is of no use any more, it is moved aside first."""
    recipe_hash, inputs = _identity(line, stage)
    state = line.directory.state(stage.name, recipe_hash, inputs)
    if state == "finished":
        line.console.print(f"{stage.name:<13} finished before", highlight=False)
        return True
    if state in ("stale", "damaged") or _begun_otherwise(line, stage, recipe_hash, inputs):
        state = state if state != "unfinished" else "stale"
        moved = line.directory.set_aside(stage.name, state)
        line.console.print(f"{stage.name:<13} was {state}: moved to {moved.name}, made again", highlight=False)
    return False


def _make(line: Line, stage: Stage):
    """Do the stage's work, or go on with it, and write its manifest last. Its seconds are those of all its sessions together."""
    folder, started = line.folder(stage.name), time.time()
    recipe_hash, inputs = _identity(line, stage)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "begun.json", json.dumps(_mark(recipe_hash, inputs)) + "\n")
    log = MetricLog(folder / "metrics.jsonl", stage.name, stages.step_count(line.recipe, stage.name), line.console)
    try:
        stages.WORK[stage.name](line, folder, log)
    finally:
        log.close()
    (folder / "begun.json").unlink()
    manifest = line.directory.finish(stage.name, recipe_hash=recipe_hash, seed=line.recipe.seed, inputs=inputs,
                                     device=line.device.note, started=started)
    line.console.print(f"{stage.name:<13} {manifest.seconds:6.1f} s", highlight=False)
    return manifest


def _identity(line: Line, stage: Stage) -> tuple[str, dict[str, str]]:
    """What decides a stage's result: its recipe sections and seed, and the hashes of what it reads."""
    return line.recipe.section_hash(stage.sections), line.directory.inputs_from(stage.needs) | stages.outside_inputs(line, stage.name)


def _begun_otherwise(line: Line, stage: Stage, recipe_hash: str, inputs: dict[str, str]) -> bool:
    """Whether an unfinished stage was begun from something else, so that its checkpoints must not be continued."""
    path = line.folder(stage.name) / "begun.json"
    if not line.folder(stage.name).is_dir():
        return False
    return not path.is_file() or json.loads(path.read_text(encoding="utf-8")) != _mark(recipe_hash, inputs)


def _mark(recipe_hash: str, inputs: dict[str, str]) -> dict:
    return {"format_version": FORMAT_VERSION, "recipe_hash": recipe_hash, "inputs": inputs}


def _keep_recipe(directory: RunDir, recipe: recipes.Recipe, redo: bool) -> None:
    """A directory belongs to one recipe: another is refused, showing the keys, unless its stages are to be redone."""
    path = directory.path / "recipe.toml"
    if path.is_file() and not redo:
        rows = recipes.differing_keys(recipes.read_toml(path), recipes.read_toml_text(recipe.to_toml()))
        if rows:
            shown = "\n  ".join(rows)
            raise RunError(f"{directory.path} was made with another recipe:\n  {shown}\nUse another --out, or --redo to move its stages aside "
                           "and make them again.")
    write_atomically(path, recipe.to_toml())


def read_recipe(name_or_path: str, overrides: Iterable[str], seed: int | None) -> recipes.Recipe:
    return recipes.read_recipe(name_or_path, stages.SECTIONS, overrides, seed)
