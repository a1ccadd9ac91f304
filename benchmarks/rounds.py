"""Contenders take turns: each is a process of its own that warms up once; then ours, theirs, ours, theirs … so that what disturbs the
machine disturbs both. Ratios are taken within a round.
"""
import json
import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 20  # for a worker that was told to leave


class Contender(NamedTuple):
    name: str
    command: tuple[str, ...]


class Round(NamedTuple):
    seconds: float
    work: float  # tokens, steps: what the benchmark counts

    @property
    def speed(self) -> float:
        return self.work / self.seconds


class Spread(NamedTuple):
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


class NotMeasured(RuntimeError):
    """A contender that cannot take part: the message says which and why."""


class Worker:
    """The process of one contender, from start to warm."""

    def __init__(self, contender: Contender):
        if not Path(contender.command[0]).is_file():
            raise NotMeasured(f"{contender.name}: no interpreter at {contender.command[0]}; `make bench` installs the peers")
        self.name = contender.name
        self.said = tempfile.TemporaryFile()
        self.process = subprocess.Popen(contender.command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said,
                                        text=True)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.said.close()

    def warm_up(self) -> float:
        """Seconds from the first line of its work to the end of the warm-up, compilation included."""
        return self._answer()["seconds"]

    def round(self) -> Round:
        with suppress(BrokenPipeError):  # it is gone: the answer that does not come says so
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        answer = self._answer()
        return Round(answer["seconds"], answer["work"])

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise NotMeasured(f"{self.name}: ended with code {self.process.wait()}: {self._last_words()}")
        return json.loads(line)

    def _last_words(self) -> str:
        """The last line that names an error, which hints may follow; without one the last line."""
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return next((line for line in reversed(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)), lines[-1])


class Measured(NamedTuple):
    """Rounds by contender, all of one length; the seconds each took to warm up; why others are missing."""

    rounds: dict[str, list[Round]]
    warm_ups: dict[str, float]
    missing: list[str]


def interleave(contenders: Sequence[Contender], rounds: int, say: Callable[[str], None] = lambda line: None) -> Measured:
    """`rounds` rounds of each, in turn. Who fails at any time is left out whole: half a series cannot be paired."""
    measured = Measured({}, {}, [])
    with ExitStack() as alive:
        workers = [worker for contender in contenders if (worker := _warm(contender, alive, measured, say))]
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for worker in list(workers):
                try:
                    measured.rounds.setdefault(worker.name, []).append(worker.round())
                except NotMeasured as reason:
                    workers.remove(worker)
                    del measured.rounds[worker.name]
                    measured.missing.append(str(reason))
    return measured


def _warm(contender: Contender, alive: ExitStack, measured: Measured, say: Callable[[str], None]) -> Worker | None:
    say(f"{contender.name}: warming up")
    try:
        worker = alive.enter_context(Worker(contender))
        measured.warm_ups[contender.name] = worker.warm_up()
    except NotMeasured as reason:
        measured.missing.append(str(reason))
        say(f"not measured: {reason}")
        return None
    return worker


def paired_ratio(ours: Sequence[Round], theirs: Sequence[Round]) -> Spread:
    """How many times as fast we are, round by round."""
    return Spread.of([one.speed / other.speed for one, other in zip(ours, theirs, strict=True)])
