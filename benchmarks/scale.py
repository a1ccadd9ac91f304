"""What a training step costs as tokens, parameters, batch and sequence grow, and what a second process brings.

    python -m benchmarks.scale [--quick]

Along each axis one number of the classroom model changes and the rest stays. The points of an axis are processes that take turns.
"""
import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from benchmarks.ceiling import step_flops
from benchmarks.rounds import ROOT, Contender, Measured, NotMeasured, Spread, interleave
from benchmarks.tables import Table, publish, screen
from benchmarks.workload import Training, as_argument, classroom_training
from pharmgpt.model.device import Device, choose_device
from pharmgpt.model.transformer import Transformer
from pharmgpt.run.metrics import read_metrics

ROUNDED_UP = 64  # widths inside a block: what matrix units like


class Length(NamedTuple):
    rounds: int
    steps: int  # of training, a round
    batch: tuple[int, ...]  # rows
    sequence: tuple[int, ...]  # tokens a row, at equal tokens a step
    width: tuple[int, ...]
    depth: tuple[int, ...]
    process_steps: int


FULL = Length(5, 4, (8, 16, 32, 64), (64, 128, 256, 512), (128, 256, 512), (1, 3, 6, 12), 60)
QUICK = Length(2, 1, (8, 32), (), (), (1,), 4)


class Point(NamedTuple):
    value: int
    work: Training


def axes(base: Training, length: Length) -> dict[str, list[Point]]:
    return {"rows a batch": [Point(rows, replace(base, rows=rows)) for rows in length.batch],
            "tokens a row": [Point(tokens, replace(base, rows=base.tokens // tokens, row_tokens=tokens)) for tokens in length.sequence],
            "width": [Point(width, widened(base, width)) for width in length.width],
            "layers": [Point(layers, with_model(base, n_layers=layers)) for layers in length.depth]}


def widened(base: Training, width: int) -> Training:
    """Heads keep their size, so there are more of them; the block's inner width keeps its proportion."""
    model = base.model
    heads = width // model.head_dim
    inner = -(-width * model.d_ff // model.d_model // ROUNDED_UP) * ROUNDED_UP
    return with_model(base, d_model=width, n_heads=heads, n_kv_heads=heads, d_ff=inner)


def with_model(base: Training, **changes: int) -> Training:
    return replace(base, model=base.model.model_copy(update=changes))


def axis_table(name: str, points: list[Point], measured: Measured) -> Table:
    rows = []
    for point in points:
        if str(point.value) not in measured.rounds:
            continue
        work, rounds = point.work, measured.rounds[str(point.value)]
        step_seconds = [one.seconds / work.steps for one in rounds]
        rows.append({name: point.value, "parameters": parameters(work), "tokens a step": work.tokens, "ms a step":
                     Spread.of([1000 * seconds for seconds in step_seconds]), "tokens/s": Spread.of([one.speed for one in rounds]),
                     "GFLOP/s of products": Spread.of([step_flops(work.model, work.tokens) / seconds / 1e9 for seconds in step_seconds]),
                     "warm-up s": measured.warm_ups[str(point.value)]})
    return Table(f"A training step against {name}", rows, [f"not measured: {reason}" for reason in measured.missing])


def parameters(work: Training) -> int:
    return sum(parameter.numel() for parameter in Transformer(work.model).parameters())


def measure(base: Training, device: Device, length: Length, say: Callable[[str], None]) -> Iterator[Table]:
    for name, points in axes(base, length).items():
        if points:
            say(name)
            contenders = [Contender(str(point.value), (sys.executable, "-m", "benchmarks.ours", "train", as_argument(point.work, device)))
                          for point in points]
            yield axis_table(name, points, interleave(contenders, length.rounds, say))
    yield process_table(length, say)


# ── One process and two. Runs once pharmgpt.train.parallel exists; until then it says that it does not. ──────────────────────────────


def process_table(length: Length, say: Callable[[str], None]) -> Table:
    if importlib.util.find_spec("pharmgpt.train.parallel") is None:
        return Table("One process and two", [], ["One process and two: not measured: pharmgpt.train.parallel does not exist."])
    rows, notes = [], []
    for processes in (1, 2):
        say(f"{processes} under torchrun")
        try:
            speeds = pretrain_under_torchrun(processes, length.process_steps)
        except NotMeasured as reason:
            notes.append(f"not measured: {reason}")
        else:
            rows.append({"processes": processes, "tokens/s": Spread.of(speeds)})
    return Table("One process and two, the cores shared among them", rows, notes)


def pretrain_under_torchrun(processes: int, steps: int) -> list[float]:
    """Tokens a second of all processes together, as the classroom recipe's pretraining logged them; the first reading holds compilation."""
    threads = max(1, (os.cpu_count() or 1) // processes)
    settings = (f"pretrain.steps={2 * steps}", f"pretrain.log_every={max(1, steps // 4)}", f"pretrain.dev_every={2 * steps}",
                f"pretrain.checkpoint_every={2 * steps}", "corpus.documents=4000")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "-m", "pharmgpt", "run", "classroom",
             "--until", "pretrain", "--out", f"{folder}/run", *(part for setting in settings for part in ("--set", setting))],
            cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": str(threads)}, capture_output=True, text=True, check=False)
        records = read_metrics(Path(folder, "run", "pretrain", "metrics.jsonl"))
    speeds = [record["tokens_per_second"] for record in records if "tokens_per_second" in record][1:]
    if done.returncode or not speeds:
        raise NotMeasured(f"{processes} under torchrun: ended with code {done.returncode}: {done.stderr.strip()[-300:]}")
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few points, short rounds: does it work, not how fast is it")
    name, length = ("scale-quick", QUICK) if parser.parse_args().quick else ("scale", FULL)
    device, say = choose_device(), Console(stderr=True, style="dim", highlight=False).print
    publish(name, list(measure(classroom_training(length.steps), device, length, say)), device, screen())


if __name__ == "__main__":
    main()
