"""How fast this machine multiplies and copies, and how much of that our training step reaches.

    python -m benchmarks.ceiling [--quick]

A step of the classroom model is, before anything else, three products for every linear layer and the head: forward X Wᵀ, for the input's
gradient dY W, for the weight's dYᵀ X. Each is timed alone; the mix is all of them, each as often as a step needs it. The step is that of
the real `pretrain` in the same process, and products are timed between its rounds. Counted as the step's work are these products only:
attention, norms, the softmax over the vocabulary and Muon's own products are what it spends beside them.

N tokens a step, I inputs and O outputs of a layer
"""
import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks import ours
from benchmarks.rounds import Spread
from benchmarks.tables import Table, publish, screen
from benchmarks.workload import Training, classroom_training
from pharmgpt.model.device import Device, choose_device
from pharmgpt.model.transformer import ModelConfig

COPIED_BYTES = 256 * 2**20  # beyond every cache


class Length(NamedTuple):
    rounds: int
    steps: int  # of training, a round
    repeats: int  # of each product, a round


FULL, QUICK = Length(9, 6, 6), Length(2, 1, 1)


class Layer(NamedTuple):
    inputs: int
    outputs: int


class Product(NamedTuple):
    layer: Layer
    way: str  # forward, dX or dW
    tokens: int
    times: int  # in one step

    @property
    def flops(self) -> int:
        """Of one product: a multiplication and an addition for each of N · I · O."""
        return 2 * self.tokens * self.layer.inputs * self.layer.outputs


class Seen(NamedTuple):
    """One round: seconds of each product in each dtype, of one training step, of copying COPIED_BYTES."""

    products: dict[tuple[Product, torch.dtype], float]
    step: float
    copy: float


class Enough(Exception):
    """All rounds are done: this is how the training loop is left."""


def layers(model: ModelConfig) -> Counter[Layer]:
    """The model's linear layers and its head, and how often each shape occurs."""
    queries, keys, D = model.n_heads * model.head_dim, model.n_kv_heads * model.head_dim, model.d_model
    block = Counter([Layer(D, queries), Layer(D, keys), Layer(D, keys), Layer(queries, D),
                     Layer(D, model.d_ff), Layer(D, model.d_ff), Layer(model.d_ff, D)])
    found = Counter({layer: times * model.n_layers for layer, times in block.items()})
    found[Layer(D, model.vocab_size)] += 1
    return found


def products(model: ModelConfig, tokens: int) -> list[Product]:
    return [Product(layer, way, tokens, times) for layer, times in layers(model).items() for way in ("forward", "dX", "dW")]


def step_flops(model: ModelConfig, tokens: int) -> int:
    return sum(product.times * product.flops for product in products(model, tokens))


def mix_speed(seconds: dict[Product, float]) -> float:
    """FLOP/s of all products of a step, one after the other."""
    return sum(one.times * one.flops for one in seconds) / sum(one.times * took for one, took in seconds.items())


def operands(product: Product, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
    """Laid out as in training: nothing is copied into a kinder order first."""
    N, (I, O) = product.tokens, product.layer
    x, dy, w = (torch.randn(shape, device=device, dtype=dtype) for shape in ((N, I), (N, O), (O, I)))
    return {"forward": (x, w.t()), "dX": (dy, w), "dW": (dy.t(), x)}[product.way]


def clock(call: Callable[[], object], repeats: int, device: str) -> float:
    """Mean seconds of one call, after one that is not counted."""
    synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
    call()
    synchronise()
    begun = time.perf_counter()
    for _ in range(repeats):
        call()
    synchronise()
    return (time.perf_counter() - begun) / repeats


def look(work: Training, device: Device, length: Length) -> list[Seen]:
    """Rounds of training steps with the products between them. The training loop is left by an exception from its log."""
    between = Between(work, device, length)
    with tempfile.TemporaryDirectory() as out, suppress(Enough):
        ours.train(work, device, Path(out), between.lap)
    return between.seen


class Between:
    """What happens between two rounds of training: the step is clocked, everything else is timed, and the clock starts again."""

    def __init__(self, work: Training, device: Device, length: Length):
        self.device, self.length = device, length
        self.wanted = [(product, dtype) for product in products(work.model, work.tokens) for dtype in dtypes(device)]
        self.source, self.target = (torch.ones(COPIED_BYTES // 4, device=device.type) for _ in range(2))
        self.seen: list[Seen] = []
        self.started: float | None = None  # None: the round that ends first is the warm-up

    def lap(self, tokens: float) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        if self.started is not None:
            self.seen.append(self.look((time.perf_counter() - self.started) / self.length.steps))
        if len(self.seen) == self.length.rounds:
            raise Enough
        self.started = time.perf_counter()

    def look(self, step_seconds: float) -> Seen:
        repeats = self.length.repeats
        seconds = {(product, dtype): time_product(product, dtype, self.device, repeats) for product, dtype in self.wanted}
        return Seen(seconds, step_seconds, clock(lambda: self.target.copy_(self.source), repeats, self.device.type))


def dtypes(device: Device) -> list[torch.dtype]:
    """The one that training computes in first, and fp32."""
    return list(dict.fromkeys((device.autocast_dtype or torch.float32, torch.float32)))


def time_product(product: Product, dtype: torch.dtype, device: Device, repeats: int) -> float:
    a, b = operands(product, dtype, device.type)
    return clock(lambda: a @ b, repeats, device.type)


def tables(work: Training, device: Device, seen: list[Seen]) -> list[Table]:
    return [product_table(work, seen), ceiling_table(work, dtypes(device), seen)]


def product_table(work: Training, seen: list[Seen]) -> Table:
    total = step_flops(work.model, work.tokens)
    rows = [{"layer": f"{product.layer.inputs} → {product.layer.outputs}", "product": product.way, "dtype": short_name(dtype),
             "times a step": product.times, "GFLOP/s": Spread.of([product.flops / one.products[product, dtype] / 1e9 for one in seen]),
             "% of the work": 100 * product.times * product.flops / total} for product, dtype in seen[0].products]
    return Table(f"Matrix products of a training step, {work.tokens} tokens", rows)


def ceiling_table(work: Training, dtypes: list[torch.dtype], seen: list[Seen]) -> Table:
    """The first of `dtypes` is the one that training is compared with, round by round."""
    total = step_flops(work.model, work.tokens)
    mixes = {dtype: [mix_speed({product: took for (product, of), took in one.products.items() if of == dtype}) for one in seen]
             for dtype in dtypes}
    reached = [total / one.step for one in seen]
    rows = [row(f"the mix of products, {short_name(dtype)}", [mix / 1e9 for mix in found], "GFLOP/s") for dtype, found in mixes.items()]
    rows += [row("training step, its products only", [speed / 1e9 for speed in reached], "GFLOP/s"),
             row("share of the mix", [100 * speed / mix for speed, mix in zip(reached, mixes[dtypes[0]], strict=True)], "%", "≥ 45"),
             row("training", [work.tokens / one.step for one in seen], "tokens/s"),
             row("memory, read and written", [2 * COPIED_BYTES / one.copy / 1e9 for one in seen], "GB/s")]
    return Table("The ceiling, and our training step below it", rows, [f"A step holds {total / 1e9:.1f} GFLOP of products."])


def row(what: str, values: list[float], unit: str, aim: str | None = None) -> dict:
    return {"what": what, "value": Spread.of(values), "unit": unit, "aim": aim}


def short_name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ceiling", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short rounds: does it work, not how fast is it")
    name, length = ("ceiling-quick", QUICK) if parser.parse_args().quick else ("ceiling", FULL)
    device, work = choose_device(), classroom_training(length.steps)
    publish(name, tables(work, device, look(work, device, length)), device, screen())


if __name__ == "__main__":
    main()
