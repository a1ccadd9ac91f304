"""The `pharmgpt` command: wiring only. What a command needs is imported when it runs, so that `--help` answers at once."""
import json
import os
import sys
from itertools import product
from pathlib import Path
from typing import Annotated

import typer

from pharmgpt.bench_cli import bench
from pharmgpt.data_cli import app as data_app
from pharmgpt.kb_cli import app as kb_app
from pharmgpt.lesson_cli import app as lesson_app

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
                  help="Train a drug-safety language model from scratch, examine what each stage taught it, and ask it. "
                       "Not medical advice.")
app.add_typer(kb_app, name="kb")
app.add_typer(data_app, name="data")
app.add_typer(lesson_app, name="lesson")
app.command()(bench)

RUNS = Path("runs")
RunOption = Annotated[Path | None, typer.Option("--run", help="A run directory; default: the newest finished one under runs/.")]
StageOption = Annotated[str, typer.Option("--stage", help="pretrain (or base), sft, ppo, or all.")]
DONE, FAILED, WRONG_USE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A preset (tiny, classroom, laptop, gpu) or the path of a TOML recipe.")] = "classroom",
    out: Annotated[Path | None, typer.Option(help="Run directory; default runs/<recipe>-s<seed>.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change one recipe key: section.key=value.")] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    seed: Annotated[int | None, typer.Option(help="Overrides the recipe's seed.")] = None,
    redo: Annotated[bool, typer.Option("--redo", help="Move stages of another recipe aside and make them again.")] = False,
) -> None:
    """Walk the whole line; skip what is finished, resume what is not."""
    from rich.console import Console

    from pharmgpt import pipeline
    from pharmgpt.train.parallel import ranks_of_torchrun

    chosen = pipeline.read_recipe(recipe, set_ or (), seed)
    with ranks_of_torchrun() as ranks:
        console, directory = Console(quiet=not ranks.leads), out or RUNS / f"{chosen.name}-s{chosen.seed}"
        pipeline.run(chosen, directory, console, until=until, redo=redo, ranks=ranks)
        if until is None and ranks.leads:
            report(directory)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help='For example "Can I use metformin if my eGFR is 28?"')] = "",
    run_dir: RunOption = None,
    stage: StageOption = "ppo",
    file: Annotated[Path | None, typer.Option(help='Questions as JSONL: {"id", "prompt"} a line.')] = None,
    out: Annotated[Path | None, typer.Option(help="Where --file writes its answers, one line a question and stage.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """One answer, or one from every stage, with its reward and its claims checked."""
    from pharmgpt import pipeline
    from pharmgpt.serve.session import as_messages, stage_names
    from pharmgpt.text.records import Prompt, read_jsonl

    stages = stage_names(stage)
    if (file is None) == (question == ""):
        raise UsageError('give one question, or --file questions.jsonl: pharmgpt ask "Can I use metformin if my eGFR is 28?"')
    prompts = [Prompt("", question)] if file is None else list(read_jsonl(file, Prompt))
    for prompt in prompts:
        if file and not prompt.prompt.strip():
            raise UsageError(f"{file}: question {prompt.id!r} is empty; write one, or delete its line")
    session = pipeline.open_session(run_dir)
    if out or as_json:
        _write_lines((session.ask(prompt.prompt, name, prompt.id).as_json() for prompt, name in product(prompts, stages)), out)
        return
    from rich.console import Console

    from pharmgpt.serve.terminal import NOT_ADVICE, answer_aloud

    console = Console()
    for prompt, name in product(prompts, stages):
        console.print(f"[bold]{name}[/]")
        answer_aloud(session, as_messages(prompt.prompt), name, console)
        console.print()
    console.print(f"[dim]{NOT_ADVICE}[/]")


@app.command()
def chat(run_dir: RunOption = None, stage: StageOption = "ppo") -> None:
    """Talk with the model; answers stream, and their claims are checked."""
    from rich.console import Console

    from pharmgpt import pipeline
    from pharmgpt.serve.session import stage_names
    from pharmgpt.serve.terminal import chat as talk

    talk(pipeline.open_session(run_dir), stage_names(stage)[0], Console())


@app.command()
def exam(
    run_dir: RunOption = None,
    stage: Annotated[str, typer.Option("--stage", help="pretrain (or base), experts, sft, reward, ppo, or all.")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="For programs: as in results.json.")] = False,
) -> None:
    """Sit the exam of every finished stage, or of one, where it is not up to date; print the scores."""
    from rich.console import Console

    from pharmgpt import pipeline

    results = pipeline.examine(run_dir, stage, Console(stderr=True))
    if as_json:
        print(json.dumps(results))
        return
    pipeline.print_table(results, Console())


@app.command("report")
def report_command(run_dir: RunOption = None) -> None:
    """Write report.html again from what the run left."""
    from pharmgpt import pipeline

    report(pipeline.find_run(run_dir))


@app.command()
def reward(
    file: Annotated[Path, typer.Option(help='Pairs as JSONL: {"prompt", "chosen", "rejected"} a line.')],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: standard output.")] = None,
    run_dir: RunOption = None,
) -> None:
    """Score pairs of answers with the run's reward model."""
    from pharmgpt import pipeline
    from pharmgpt.text.records import PlainPair, read_jsonl

    pairs = list(read_jsonl(file, PlainPair))
    _write_lines(pipeline.score_pairs(run_dir, pairs), out)


def report(directory: Path) -> None:
    from pharmgpt.report.page import write_report

    print(f"report: {write_report(directory)}")


class UsageError(ValueError):
    """A command used in a way that cannot work; the message shows one that does."""


def _write_lines(records, out: Path | None) -> None:
    if out is None:
        for record in records:
            print(json.dumps(record, ensure_ascii=False), flush=True)
        return
    with open(out, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def main() -> None:
    """Run the command and turn what can go wrong into one clear message and an exit code."""
    try:
        app()
    except SystemExit as stop:  # typer has already turned Ctrl-C into one
        if stop.code in (INTERRUPTED, TERMINATED):
            word = "interrupted" if stop.code == INTERRUPTED else "terminated"
            print(f"{word}: what was finished is kept; the same command goes on from there", file=sys.stderr)
        raise
    except BrokenPipeError:  # whoever reads our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _fail(*_disk_trouble(error))
    except MemoryError as error:
        _fail(str(error) or "out of memory: end other programs, then run again: what was finished is kept", FAILED)
    except (ValueError, ArithmeticError, RuntimeError) as error:  # ours: bad input, a loss that is no number, a lost rank
        if not type(error).__module__.startswith("pharmgpt"):
            raise
        _fail(str(error), WRONG_USE if isinstance(error, ValueError) else FAILED)


def _disk_trouble(error: OSError) -> tuple[str, int]:
    """A wrong path is the person's to mend; a disk that is full or fails is not."""
    if isinstance(error, (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)):
        return f"{error.filename}: {error.strerror}; check the path", WRONG_USE
    where = error.filename or "writing a file"
    return f"{where}: {error.strerror}; free the disk or mend it, then run again: what was finished is kept", FAILED


def _fail(message: str, code: int) -> None:
    print(f"pharmgpt: {message}", file=sys.stderr)
    sys.exit(code)
