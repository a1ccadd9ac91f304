"""`make test-resume`: every stage killed at random moments, with one rank and with two, and a checkpoint damaged in thousands of ways;
prints its figures. Half an hour.

    python tests/resume_at_scale.py [--kills 20] [--cuts 1000] [--flips 10000] [--seed 0] [--stages sft,ppo] [--ranks 1,2] [--compiled]

A kill is a real SIGKILL to a real process, a fork of this one, so that nobody waits for imports. Of two ranks one is killed, by turns, and
the other has to end by itself. Each killed run is run again and compared with an uninterrupted one of as many ranks by the SHA-256 of
every file that holds no clock. `make test` holds a sample of all this (test_kill, test_storage, test_parallel).
"""
import argparse
import os
import shutil
import signal
import socket
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
from pharmgpt import pipeline, stages
from pharmgpt.train import state as states
from pharmgpt.train.parallel import ranks_of_torchrun
from test_checkpoint import trained_state
from test_kill import digests

TRIES_A_KILL = 10  # a stage may be over before the kill comes
PATIENCE_SECONDS = 120  # for the rank that lost the other


class Killed(NamedTuple):
    kills: int
    after_checkpoint: int
    identical: int
    seconds: float


class Job:
    """The line, in processes of its own, one a rank."""

    def __init__(self, out: Path, ranks: int):
        self.out, self.status = out, {}
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.running = {_forked_rank(out, rank, ranks, port): rank for rank in range(ranks)}  # process → rank

    def is_over(self) -> bool:
        for process in list(self.running):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                self.status[self.running.pop(process)] = status
        return not self.running

    def wait_until(self, is_time: Callable[[], object], patience: float = float("inf")) -> None:
        """Or until the job is over, which must not come before the time."""
        deadline = time.monotonic() + patience
        while not is_time():
            if self.is_over():
                assert is_time(), self.said()
                return
            assert time.monotonic() < deadline, f"still running: {self.running}\n{self.said()}"
            time.sleep(0.0005)

    def kill(self, rank: int) -> None:
        """The others end by themselves."""
        for process in [process for process, other in self.running.items() if other == rank]:
            os.kill(process, signal.SIGKILL)
        self.wait_until(self.is_over, PATIENCE_SECONDS)

    def said(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.out.parent.glob(f"{self.out.name}-said-*.txt")))


def _forked_rank(out: Path, rank: int, ranks: int, port: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    try:
        path = out.with_name(f"{out.name}-said-{rank}.txt")
        with open(path, "w", encoding="utf-8") as said, redirect_stdout(said), redirect_stderr(said):
            try:
                with ranks_of_torchrun() as group:
                    pipeline.run(pipeline.read_recipe(str(RECIPE), (), None), out, Console(file=said), ranks=group)
                code = 0
            except BaseException:
                traceback.print_exc()
                raise
    finally:
        os._exit(code)


def finish(out: Path, ranks: int) -> None:
    job = Job(out, ranks)
    job.wait_until(job.is_over)
    assert not any(job.status.values()), job.said()


def begun(folder: Path) -> bool:
    return (folder / "begun.json").is_file()


def is_finished(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def has_checkpoint(folder: Path) -> bool:
    return bool(states.step_folders(folder))


def seconds_of(run: Path, ranks: int, stage: str, since: Callable[[Path], bool]) -> float:
    """From `since` to the stage's manifest, in a forked run."""
    shutil.rmtree(run / stage)
    job = Job(run, ranks)
    job.wait_until(lambda: since(run / stage))
    started = time.monotonic()
    job.wait_until(lambda: is_finished(run / stage))
    seconds = time.monotonic() - started
    job.wait_until(job.is_over)
    return seconds


def killed(run: Path, ranks: int, stage: str, since: Callable[[Path], bool], moment: float, victim: int) -> bool:
    """Make the stage anew and kill a rank `moment` seconds after `since`; whether that came before its end."""
    shutil.rmtree(run / stage)
    job = Job(run, ranks)
    job.wait_until(lambda: since(run / stage))
    time.sleep(moment)
    job.kill(victim)
    return not is_finished(run / stage)


def kill_often(reference: Path, ranks: int, stage: str, kills: int, random: Random) -> Killed:
    """Stages that take checkpoints are killed by turns at any moment and at one after the first checkpoint: loading takes most of their
    seconds here, and a kill before there is anything to resume proves little."""
    started, run, expected = time.monotonic(), reference.with_name("killed"), digests(reference)
    shutil.copytree(reference, run)
    moments = [begun, has_checkpoint] if stage in pipeline.TRAINED else [begun]
    lengths = [seconds_of(run, ranks, stage, since) for since in moments]
    done = after_checkpoint = identical = 0
    for _ in range(kills * TRIES_A_KILL):
        if done == kills:
            break
        turn, victim = done % len(moments), done // len(moments) % ranks
        if not killed(run, ranks, stage, moments[turn], random.uniform(0, lengths[turn]), victim):
            continue
        done += 1
        after_checkpoint += has_checkpoint(run / stage)
        finish(run, ranks)
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


def kill_table(arguments: argparse.Namespace, folder: Path, ranks: int, console: Console) -> Iterator[bool]:
    """Whether each stage survived every kill. Two ranks share only what trains: those stages are killed."""
    reference = folder / f"{ranks}-ranks" / "reference"
    reference.parent.mkdir()
    finish(reference, ranks)
    table = Table("stage", "kills", "of them after a checkpoint", "identical", "seconds",
                  title=f"SIGKILL at random moments, ranks: {ranks}, seed {arguments.seed}{', compiled' if arguments.compiled else ''}")
    for stage in arguments.stages.split(",") if arguments.stages else pipeline.NAMES if ranks == 1 else pipeline.TRAINED:
        found = kill_often(reference, ranks, stage, arguments.kills, Random(f"{arguments.seed} {stage}"))
        table.add_row(stage, *map(str, found[:3]), f"{found.seconds:.0f}")
        console.print(f"{stage}: {found.identical} of {found.kills} identical", highlight=False)
        yield found.identical == found.kills == arguments.kills
    console.print(table)


def damage_table(arguments: argparse.Namespace, folder: Path, console: Console) -> Iterator[bool]:
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
    parser.add_argument("--stages", default="", help="comma-separated; default: all, and with two ranks those that train")
    parser.add_argument("--ranks", default="1,2", help="comma-separated; empty: no kills")
    parser.add_argument("--compiled", action="store_true", help="as a person's run is; the default is eager, fp32")
    arguments, console = parser.parse_args(), Console(width=110)
    if arguments.compiled:
        stages.COMPILED_FROM = 0  # the fixture is too short to be compiled
    else:
        os.environ.update(eager_environment())
        os.environ.pop("CXX", None)
    torch.set_num_threads(1)  # a fork of a process with running threads may hang
    with tempfile.TemporaryDirectory() as folder:
        fine = list(damage_table(arguments, Path(folder), console))
        for ranks in filter(None, arguments.ranks.split(",")):
            fine += kill_table(arguments, Path(folder), int(ranks), console)
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
