"""The cores of a CPU at work side by side, each alone on one thread.

Two threads that share every operation wake each other for it: of a product of 64 × 256 × 256 that is more than half (139 µs shared, 63
alone), of a training step some 8 %, and twice that beside a busy program. With a part of the rows each they meet twice a step. Compiled
kernels hold Python's lock, so more than two would wait for each other: `Halves` is for two.

B rows, T tokens, D model width
"""
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import Any

import torch
from torch import Tensor, nn


def side_by_side(work: Callable[[Any], Any], items: Sequence[Any], cores: int) -> Iterator[Any]:
    """`work` of each item, in order, `cores` of them at a time."""
    if cores == 1 or len(items) <= 1:
        yield from map(work, items)
        return
    yield from lone_threads(cores).map(work, items)


@cache
def lone_threads(count: int) -> ThreadPoolExecutor:
    """Threads in which torch uses no other. The same ones each time: what a thread has freed, glibc keeps for that thread alone."""
    threads, pool = torch.get_num_threads(), ThreadPoolExecutor(count, initializer=_be_alone)
    all_are_there = Barrier(count)  # or the first would take every place
    list(pool.map(lambda _: all_are_there.wait(), range(count)))
    torch.set_num_threads(threads)  # what threads to come begin with
    return pool


def _be_alone() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # a thread's first look takes over what is set for all


class Halves:
    """`run_trunk` for training, its rows halved between two cores: the same outputs and gradients to rounding."""

    def __init__(self, run_trunk: Callable[..., Tensor]):
        self.run_trunk = run_trunk
        self.met: set[tuple] = set()

    def __call__(self, trunk: nn.Module, ids: Tensor, positions: Tensor, may_attend: Tensor, caches: None = None) -> Tensor:
        """As run_trunk: (B, T), (B, T), (B or 1, 1, T, T) → (B, T, D). Training has no caches."""
        if len(ids) < 2:
            return self.run_trunk(trunk, ids, positions, may_attend)
        rows = (ids, positions, may_attend.expand(len(ids), -1, -1, -1))
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None  # a thread does not inherit it
        return _InHalves.apply(self, trunk, dtype, rows, *(weight for weight in trunk.parameters() if weight.requires_grad))

    def of_each(self, work: Callable, parts: Iterable[tuple], *shape: object) -> list:
        """`work` of both parts. What has not met this shape compiles first, and the other core waits for it."""
        if shape in self.met:
            return list(lone_threads(2).map(work, *zip(*parts, strict=True)))
        self.met.add(shape)
        return [lone_threads(2).submit(work, *part).result() for part in parts]


class _InHalves(torch.autograd.Function):
    @staticmethod
    def forward(ctx, halves: Halves, trunk: nn.Module, dtype: torch.dtype | None, rows: tuple[Tensor, ...], *weights: Tensor) -> Tensor:
        def run(*part: Tensor) -> Tensor:
            with torch.enable_grad(), torch.autocast("cpu", dtype, enabled=dtype is not None):
                return halves.run_trunk(trunk, *part)
        ctx.halves, ctx.weights, ctx.shape = halves, weights, rows[0].shape
        ctx.outputs = halves.of_each(run, zip(*(x.chunk(2) for x in rows), strict=True), "forward", ctx.shape, dtype)
        return torch.cat([output.detach() for output in ctx.outputs])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        def pull(output: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
            return torch.autograd.grad(output, ctx.weights, grad)
        parts = zip(ctx.outputs, grad.split([len(output) for output in ctx.outputs]), strict=True)
        found = ctx.halves.of_each(pull, parts, "backward", ctx.shape, grad.dtype)
        return None, None, None, None, *map(torch.add, *found)
