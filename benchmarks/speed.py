"""Ours against the peers that pip can install: training, generation, PPO, and how fast commands answer.

    make bench                                                    # installs the peers into .venv-peers, then everything at full length
    python -m benchmarks.speed [--quick] [--peers PYTHON]         # PYTHON: an interpreter with torch, transformers and trl 1.12

Every contender is a process of its own and warms up once; then they take turns. A peer that is not there is named and left out.
"""
import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from benchmarks.rounds import ROOT, Contender, Measured, Spread, interleave, paired_ratio
from benchmarks.startup import startup_table
from benchmarks.tables import Table, publish, screen
from benchmarks.workload import Answering, as_argument, classroom_training
from pharmgpt.model.device import Device, choose_device

PEERS = ROOT / ".venv-peers" / "bin" / "python"
PEER_SCRIPTS = ROOT / "benchmarks" / "peers"
OURS = "PharmGPT"


class Length(NamedTuple):
    rounds: int
    steps: int  # of training, a round


FULL, QUICK = Length(9, 12), Length(3, 2)


class Peer(NamedTuple):
    contender: Contender
    aim: float  # times as fast as it is what we want to be


class Contest(NamedTuple):
    title: str
    unit: str
    ours: Contender
    peers: list[Peer]


def contests(device: Device, peers: Path, length: Length) -> Iterator[Contest]:
    training = classroom_training(length.steps)
    model = training.model
    shape = f"{training.rows} × {training.row_tokens} tokens a step, {length.steps} steps a round"
    work = as_argument(training, device)
    yield Contest(f"Training, classroom model: {shape}", "tokens/s", ours("train", work), [
        Peer(peer("HF Trainer, best settings", peers, "hf.py", "train-best", work), 1.6),
        Peer(peer("HF Trainer, as people run it", peers, "hf.py", "train-default", work), 3.0)])
    for answers in (64, 256):
        work = as_argument(Answering(model, answers), device)
        yield Contest(f"Generation: {answers} answers, 64 + 64 tokens", "new tokens/s", ours("generate", work), [
            Peer(peer("HF generate", peers, "hf.py", "generate", work), 4.0)])
    work = as_argument(Answering(model, 32), device)
    yield Contest("A PPO iteration: 32 × (64 + 64) tokens, 4 epochs", "tokens/s", ours("ppo", work), [
        Peer(peer("TRL PPO", peers, "trl_ppo.py", work), 4.0)])


def ours(kind: str, work: str) -> Contender:
    return Contender(OURS, (sys.executable, "-m", "benchmarks.ours", kind, work))


def peer(name: str, python: Path, script: str, *arguments: str) -> Contender:
    return Contender(name, (str(python), str(PEER_SCRIPTS / script), *arguments))


def contest_table(contest: Contest, measured: Measured) -> Table:
    aims = {peer.contender.name: peer.aim for peer in contest.peers}
    mine = measured.rounds.get(OURS)
    rows = []
    for name, rounds in measured.rounds.items():
        compared = mine is not None and name != OURS
        rows.append({"who": name, contest.unit: Spread.of([one.speed for one in rounds]),
                     "seconds a round": Spread.of([one.seconds for one in rounds]), "warm-up s": measured.warm_ups[name],
                     "ours / theirs": paired_ratio(mine, rounds) if compared else None, "aim": f"≥ {aims[name]:g}" if compared else None})
    return Table(contest.title, rows, [f"not measured: {reason}" for reason in measured.missing])


def measure(device: Device, peers: Path, length: Length, say: Callable[[str], None]) -> Iterator[Table]:
    for contest in contests(device, peers, length):
        say(contest.title)
        contenders = [contest.ours, *(peer.contender for peer in contest.peers)]
        yield contest_table(contest, interleave(contenders, length.rounds, say))
    yield startup_table(length.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=PEERS, help="the peers' Python interpreter")
    parser.add_argument("--quick", action="store_true", help="short rounds: does it work, not how fast is it")
    chosen = parser.parse_args()
    device = choose_device()
    say = Console(stderr=True, style="dim", highlight=False).print
    name = "speed-quick" if chosen.quick else "speed"
    tables = list(measure(device, chosen.peers.absolute(), QUICK if chosen.quick else FULL, say))
    publish(name, tables, device, screen())


if __name__ == "__main__":
    main()
