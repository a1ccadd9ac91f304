"""`make test-resume`: every stage killed at random moments, a checkpoint damaged in thousands of ways; prints its figures. Minutes.

    python tests/resume_at_scale.py [--kills 20] [--cuts 1000] [--flips 10000] [--seed 0] [--stages sft,ppo]

A kill is a real SIGKILL to a real process, a fork of this one, so that nobody waits for imports. Each killed run is run again and
compared with an uninterrupted one by the SHA-256 of every file that holds no clock. `make test` holds a sample of all this (test_kill,
test_storage).
"""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from conftest import RECIPE, eager_environment
from damage import cut, flip_a_bit, survived, two_steps, warnings_told
from pharmgpt import pipeline
from pharmgpt.train import state as states
from test_checkpoint import trained_state
from test_kill import digests

TRIES_A_KILL = 10  # a stage may be over before the kill comes


class Killed(NamedTuple):
    kills: int
    after_checkpoint: int
    identical: int
    seconds: float


def forked_run(out: Path) -> int:
    """The line, in a process of its own; returns its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with open(out.with_name("said.txt"), "w", encoding="utf-8") as said, redirect_stdout(said), redirect_stderr(said):
            try:
                pipeline.run(pipeline.read_recipe(str(RECIPE), (), None), out, Console(file=said))
                code = 0
            except BaseException:
                traceback.print_exc()
                raise
    finally:
        os._exit(code)


def finish(out: Path) -> None:
    _, status = os.waitpid(forked_run(out), 0)
    assert status == 0, out.with_name("said.txt").read_text()


def wait_until(is_time: Callable[[], object], child: int, out: Path) -> None:
    while not is_time():
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            assert is_time(), out.with_name("said.txt").read_text()
            return
        time.sleep(0.0005)


def begun(folder: Path) -> bool:
    return (folder / "begun.json").is_file()


def is_finished(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def has_checkpoint(folder: Path) -> bool:
    return bool(states.step_folders(folder))


def seconds_of(run: Path, stage: str, since: Callable[[Path], bool]) -> float:
    """From `since` to the stage's manifest, in a forked run."""
    shutil.rmtree(run / stage)
    child = forked_run(run)
    wait_until(lambda: since(run / stage), child, run)
    started = time.monotonic()
    wait_until(lambda: is_finished(run / stage), child, run)
    seconds = time.monotonic() - started
    os.waitpid(child, 0)
    return seconds


def killed(run: Path, stage: str, since: Callable[[Path], bool], moment: float) -> bool:
    """Make the stage anew and kill it `moment` seconds after `since`; whether that came before its end."""
    shutil.rmtree(run / stage)
    child = forked_run(run)
    wait_until(lambda: since(run / stage), child, run)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return not is_finished(run / stage)


def kill_often(reference: Path, stage: str, kills: int, random: Random) -> Killed:
    """Stages that take checkpoints are killed by turns at any moment and at one after the first checkpoint: loading takes most of their
    seconds here, and a kill before there is anything to resume proves little."""
    started, run, expected = time.monotonic(), reference.with_name("killed"), digests(reference)
    shutil.copytree(reference, run)
    moments = [begun, has_checkpoint] if stage in pipeline.TRAINED else [begun]
    lengths = [seconds_of(run, stage, since) for since in moments]
    done = after_checkpoint = identical = 0
    for _ in range(kills * TRIES_A_KILL):
        if done == kills:
            break
        turn = done % len(moments)
        if not killed(run, stage, moments[turn], random.uniform(0, lengths[turn])):
            continue
        done += 1
        after_checkpoint += has_checkpoint(run / stage)
        finish(run)
        if digests(run) == expected:
            identical += 1
        else:
            shutil.rmtree(run)
            shutil.copytree(reference, run)
    shutil.rmtree(run)
    return Killed(done, after_checkpoint, identical, time.monotonic() - started)


def damaged_often(folder: Path, damage, times: int, random: Random) -> tuple[int, float]:
    """(how many were noticed, named, moved aside, and resumed from the step before; seconds)"""
    started, state = time.monotonic(), trained_state(seed=5)
    good = two_steps(folder / "sft")
    with warnings_told() as told:
        fine = sum(survived(folder / "sft", damage, random, good, state, told) for _ in range(times))
    return fine, time.monotonic() - started


def figures(arguments: argparse.Namespace, folder: Path, console: Console) -> Iterator[bool]:
    """Whether each row of the two tables is as promised."""
    reference = folder / "reference"
    finish(reference)
    table = Table("stage", "kills", "of them after a checkpoint", "identical", "seconds",
                  title=f"SIGKILL at random moments, seed {arguments.seed}")
    for stage in arguments.stages.split(",") if arguments.stages else pipeline.NAMES:
        found = kill_often(reference, stage, arguments.kills, Random(f"{arguments.seed} {stage}"))
        table.add_row(stage, *map(str, found[:3]), f"{found.seconds:.0f}")
        console.print(f"{stage}: {found.identical} of {found.kills} identical", highlight=False)
        yield found.identical == found.kills == arguments.kills
    console.print(table)
    table = Table("damage", "times", "noticed, named, moved aside, resumed from the step before", "seconds")
    for name, damage, times in (("cut short", cut, arguments.cuts), ("one bit flipped", flip_a_bit, arguments.flips)):
        (folder / name).mkdir()
        fine, seconds = damaged_often(folder / name, damage, times, Random(f"{arguments.seed} {name}"))
        table.add_row(name, str(times), str(fine), f"{seconds:.0f}")
        yield fine == times
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("kills", 20), ("cuts", 1000), ("flips", 10_000), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--stages", default="", help="comma-separated; default: all")
    os.environ.update(eager_environment())
    os.environ.pop("CXX", None)
    torch.set_num_threads(1)  # a fork of a process with running threads may hang
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(not all(list(figures(parser.parse_args(), Path(folder), Console(width=110)))))


if __name__ == "__main__":
    main()
