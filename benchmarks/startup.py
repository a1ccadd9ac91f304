"""How long a person waits for a command. Each time a new process, the disk cache warm."""
import subprocess
import sys
import time
from typing import NamedTuple

from benchmarks.rounds import ROOT, NotMeasured, Spread
from benchmarks.tables import Table

# The command as it is installed, and a last word on standard error: did it load torch?
COMMAND = (sys.executable, "-c", "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); "
                                 "from pharmgpt.cli import main; main()")


class Command(NamedTuple):
    name: str
    arguments: tuple[str, ...]
    aim: str


COMMANDS = (
    Command("pharmgpt --help", ("--help",), "< .3 s"),
    Command("pharmgpt kb list", ("kb", "list"), "no torch"),
    Command("pharmgpt kb screen", ("kb", "screen", "warfarin, ibuprofen", "--egfr", "28"), "no torch"),
    Command("pharmgpt ask", ("ask", "Can I use metformin if my eGFR is 28?"), "first token < 3 s"),
)


class Started(NamedTuple):
    first: float  # seconds until something stands under the first line, which for `ask` is the stage's name
    seconds: float
    loads_torch: bool


def startup_table(rounds: int) -> Table:
    rows, notes = [], ["first words: until something stands under the first line; of `ask`, the first token. It asks the newest run."]
    for command in COMMANDS:
        try:
            once = [start(command) for _ in range(rounds + 1)][1:]  # the first one fills caches
        except NotMeasured as reason:
            notes.append(f"not measured: {reason}")
            continue
        rows.append({"command": command.name, "first words, s": Spread.of([started.first for started in once]),
                     "whole, s": Spread.of([started.seconds for started in once]),
                     "loads torch": "yes" if once[0].loads_torch else "no", "aim": command.aim})
    return Table("Start-up", rows, notes)


def start(command: Command) -> Started:
    begun = time.perf_counter()
    with subprocess.Popen([*COMMAND, *command.arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        process.stdout.readline()
        process.stdout.read(1)
        first = time.perf_counter() - begun
        _, complaints = process.communicate()
    seconds = time.perf_counter() - begun
    *said, loads_torch = complaints.decode().strip().splitlines() or [""]
    if process.returncode:
        raise NotMeasured(f"{command.name}: {' '.join(said) or f'ended with code {process.returncode}'}")
    return Started(first, seconds, loads_torch == "True")
