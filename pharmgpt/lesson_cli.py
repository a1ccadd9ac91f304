"""`pharmgpt lesson`: the classroom simulators, their text's claims, and one question through all stages. Heavy imports wait.

Exit codes as everywhere: 0 done, 1 a loss that is no number any more, 2 wrong usage.
"""
import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False,
                  help="Four simulators of a second each, right and as published; what the text claims; one question through all. "
                       "Not medical advice.")

SeedOption = Annotated[int, typer.Option(min=0, help="Another seed, another run; the same seed, the same numbers.")]
EpochsOption = Annotated[int | None, typer.Option(min=1, help="How often to go through the data; default: the lesson's own.")]
LrOption = Annotated[float | None, typer.Option(help="Step size; default: the lesson's own. Try ten times as much.")]
PublishedOption = Annotated[bool, typer.Option("--as-published", help="Beside the mistakes of the text that this began as.")]
PlotOption = Annotated[str | None, typer.Option("--plot", metavar="terminal|FILE.png|FILE.html", help="Draw the curves.")]
RunOption = Annotated[Path | None, typer.Option("--run", help="A run; default: the newest finished one under runs/, if any.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


class LessonError(ValueError):
    """A setting that cannot be used: the message names it and the fix."""


@app.command()
def pretraining(seed: SeedOption = 0, epochs: EpochsOption = None, lr: LrOption = None, as_published: PublishedOption = False,
                plot: PlotOption = None, as_json: JsonOption = False) -> None:
    """Ten medical sequences, next word by next word: loss against ln V and against the floor."""
    _teach("pretraining", as_published, plot, as_json, seed=seed, epochs=epochs, lr=lr)


@app.command()
def sft(seed: SeedOption = 0, epochs: EpochsOption = None, lr: LrOption = None, as_published: PublishedOption = False,
        plot: PlotOption = None, as_json: JsonOption = False) -> None:
    """Five questions, four imperfect experts: what imitating them all is worth."""
    _teach("sft", as_published, plot, as_json, seed=seed, epochs=epochs, lr=lr)


@app.command()
def reward(seed: SeedOption = 0, epochs: EpochsOption = None, lr: LrOption = None, as_published: PublishedOption = False,
           plot: PlotOption = None, as_json: JsonOption = False) -> None:
    """Twenty preference pairs, five of them held out: Bradley-Terry, downhill."""
    _teach("reward", as_published, plot, as_json, seed=seed, epochs=epochs, lr=lr)


@app.command()
def ppo(seed: SeedOption = 0, epochs: EpochsOption = None, lr: LrOption = None,
        kl: Annotated[float | None, typer.Option(help="Price of a nat away from the SFT policy; 0: no leash.")] = None,
        as_published: PublishedOption = False, plot: PlotOption = None, as_json: JsonOption = False) -> None:
    """The SFT policy against the trained judge: reward, KL, and the true score that PPO never sees."""
    _teach("ppo", as_published, plot, as_json, seed=seed, epochs=epochs, lr=lr, kl=kl)


@app.command()
def claims(markdown: Annotated[bool, typer.Option("--markdown", help="As docs/claims.md.")] = False, as_json: JsonOption = False) -> None:
    """What the text claims: true, partly, false or depends, why, and the command that shows it."""
    from pharmgpt.lessons import claims as text

    if as_json:
        _print_json([claim._asdict() for claim in text.CLAIMS])
    else:
        print(text.as_markdown() if markdown else text.as_text(), end="\n" * (not markdown))


@app.command()
def trace(run_dir: RunOption = None, seed: SeedOption = 0, as_json: JsonOption = False) -> None:
    """The metformin question through all simulators, and through the real stages of a finished run beside them."""
    from pharmgpt.lessons import layout
    from pharmgpt.lessons import trace as lesson

    run = lesson.finished_run(run_dir)
    simulated, real = lesson.trace(seed), list(lesson.trace_run(run)) if run else []
    if as_json:
        _print_json({"question": lesson.ASKED, "simulators": [stop._asdict() for stop in simulated], "run": str(run) if run else None,
                     "stages": [stop._asdict() for stop in real], "note": layout.NOT_ADVICE})
    else:
        print(layout.trace_as_text(simulated, real, run))


def _teach(name: str, as_published: bool, plot: str | None, as_json: bool, **settings) -> None:
    """Run one lesson and show it."""
    import numpy as np

    from pharmgpt.lessons import charts, layout
    from pharmgpt.lessons.sheets import LESSONS

    lesson = LESSONS[name]
    config = _config(lesson.config, settings)
    with np.errstate(over="ignore", invalid="ignore"):  # steps that are too long are reported by the lesson itself
        sheet = (lesson.as_published if as_published else lesson.sheet)(config)
    drawn = charts.draw(sheet.panels, plot) if plot else ""
    if as_json:
        _print_json(layout.as_json(sheet))
        return
    print(layout.as_text(sheet), *([drawn] if drawn else []), sep="\n\n")


def _config(kind, settings: dict):
    """The lesson's config with what was given; what was not keeps its default."""
    from pydantic import ValidationError

    try:
        return kind(**{name: value for name, value in settings.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise LessonError(f"--{first['loc'][0]} {first['input']}: {first['msg'].lower()}") from None


def _print_json(value) -> None:
    print(json.dumps(value, ensure_ascii=False))
