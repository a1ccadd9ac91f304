"""Where tensors live, in which precision products run, and whether functions are compiled. One value says all three."""
import contextlib
import ctypes
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist

from pharmgpt.model.cores import Halves
from pharmgpt.model.transformer import run_block, run_trunk

GLIBC_M_TRIM_THRESHOLD, GLIBC_M_TOP_PAD, GLIBC_M_MMAP_MAX = -1, -2, -4  # malloc.h


@dataclass(frozen=True)
class Device:
    """`autocast_dtype` None: plain fp32. `note` says in a sentence what was chosen and why."""

    type: str
    autocast_dtype: torch.dtype | None = None
    compile: bool = False
    note: str = ""

    def autocast(self) -> contextlib.AbstractContextManager:
        return autocast(self.type, self.autocast_dtype)

    def compiled(self, function: Callable) -> Callable:
        """`function(model, …)` with the model compiled for the shapes that it is called with; itself where nothing compiles.

        On a CPU it is one block: a quarter of the graph, as fast, and shared by all layers; two cores take half of the rows each. On a GPU
        it is the trunk, captured, because there a small model waits for launches; among ranks a block again, whose weights FSDP puts
        together around it. Either is shared by all losses, models and stages of one shape. Call it with a few fixed shapes only: each costs
        seconds, and backward another few.
        """
        if not self.compile:
            return function
        parts = self._compiled_parts()

        def call(model, *arguments):
            vars(model.model).update(parts)
            if self.captures:
                torch.compiler.cudagraph_mark_step_begin()  # nobody reads again what an earlier call gave back
            try:
                return function(model, *arguments)
            finally:
                model.model.run_block, model.model.run_trunk = run_block, run_trunk  # generation calls the same model with many shapes
        return call

    def _compiled_parts(self) -> dict[str, Callable]:
        if self.captures:
            return {"run_trunk": self.captured(run_trunk)}
        block = {"run_block": torch.compile(run_block, dynamic=False)}
        two_cores = self.type == "cpu" and torch.get_num_threads() == 2 and not dist.is_initialized()
        return block | ({"run_trunk": Halves(run_trunk)} if two_cores else {})

    @property
    def captures(self) -> bool:
        """Whether graphs are captured: on one GPU. Among several it was never tried."""
        return self.compile and self.type == "cuda" and not dist.is_initialized()

    def captured(self, function: Callable) -> Callable:
        """A function of tensors of a few fixed shapes, which a GPU then launches at once, as one captured graph; elsewhere itself. What it
        gives back is overwritten by the next call of what `compiled` gave."""
        return torch.compile(function, dynamic=False, mode="reduce-overhead") if self.captures else function


def autocast(device_type: str, dtype: torch.dtype | None) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext() if dtype is None else torch.autocast(device_type, dtype)


EAGER = Device("cpu")  # fp32, eager: what tests and exactness use


def choose_device(threads: int | None = None, compile: bool | None = None) -> Device:
    """The fastest device that is here, tuned; `compile` and `threads` overrule what would be chosen."""
    tune_allocator()
    if threads:
        torch.set_num_threads(threads)
    type, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", _cpu_dtype())
    if type == "cuda":
        torch.set_float32_matmul_precision("high")
        repeat_to_the_bit()
    else:
        torch.set_flush_denormal(True)  # softmax tails are denormal, and arithmetic on them was ten times slower
    can, reason = _can_compile(type)
    chosen = can if compile is None else compile
    said = "compiled" if chosen else "eager" if can else f"eager: {reason}"
    return Device(type, dtype, chosen, f"{type}, {'fp32' if dtype is None else 'bf16'}, {torch.get_num_threads()} threads, {said}")


def repeat_to_the_bit() -> None:
    """Let a GPU add in one order, always, so that a run that was killed ends as one that was not: its fastest kernels add in any."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first product
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it looks for bugs, and costs a pass over every new tensor


@contextlib.contextmanager
def inference() -> Iterator[None]:
    """No gradients, and of kernels the fast ones: saying a token adds nothing up in an order that could change, but torch cannot know
    that, and would copy the whole cache to write one slot of it."""
    with torch.inference_mode(), any_order() if torch.are_deterministic_algorithms_enabled() else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def any_order() -> Iterator[None]:
    """Strict kernels off, then on again. Enter it only where they are on: torch loads its compiler to change the setting, for 1.7 s."""
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True)


def product_speed(device: Device, times: int = 12) -> float:
    """Floating-point operations a second of matrix products on this device when nobody disturbs it: what a wait is estimated from."""
    size = 8192 if device.type == "cuda" else 1024
    a = torch.ones(size, size, device=device.type, dtype=device.autocast_dtype or torch.float32)
    fastest = math.inf
    for _ in range(times):
        start = time.perf_counter()
        (a @ a)[0, 0].item()
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * size**3 / fastest


def tune_allocator() -> bool:
    """Tell glibc to keep freed memory and never to map a block of its own: fresh pages cost more than the arithmetic on them."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # ONE arena would be slower (measured 30 %): only these three.
    return all([mallopt(GLIBC_M_MMAP_MAX, 0), mallopt(GLIBC_M_TRIM_THRESHOLD, 2**31 - 1), mallopt(GLIBC_M_TOP_PAD, 64 * 2**20)])


def has_amx() -> bool:
    return _is_x86() and torch.cpu._is_amx_tile_supported()


def _cpu_dtype() -> torch.dtype | None:
    """bf16 where the CPU multiplies it: AMX tiles, or AVX-512's BF16 instructions (a training step is 2.1 to 2.5 times as fast on
    Zen 4). With plain AVX-512, bf16 products ran at 165 GFLOP/s against 290 in fp32."""
    return torch.bfloat16 if has_amx() or (_is_x86() and torch.cpu._is_avx512_bf16_supported()) else None


def _is_x86() -> bool:
    return platform.machine() in ("x86_64", "AMD64")


def _can_compile(type: str) -> tuple[bool, str]:
    """Triton links its kernels with a C compiler, inductor writes C++ for a CPU."""
    variable, names = ("CC", ("gcc", "clang", "cc")) if type == "cuda" else ("CXX", ("g++", "clang++", "cl"))
    compiler = os.environ.get(variable) or next((name for name in names if shutil.which(name)), None)
    return compiler is not None, f"no {'C' if type == 'cuda' else 'C++'} compiler found (install g++ to train about 1.6 times faster)"
