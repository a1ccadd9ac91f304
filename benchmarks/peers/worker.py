"""A worker's side of a benchmark: it warms up, says so, and then clocks one round each time it reads "go".

Standard library only: peers import it in an environment that knows nothing of pharmgpt. Answers go to what was standard output, one JSON
object a line; what libraries print goes to standard error from then on.
"""
import ctypes
import json
import os
import platform
import sys
import time
from collections.abc import Callable

GLIBC_M_TRIM_THRESHOLD, GLIBC_M_TOP_PAD, GLIBC_M_MMAP_MAX = -1, -2, -4  # malloc.h


class Turns:
    """`lap` is called wherever a stretch of work ends, also deep inside somebody's training loop. The first stretch is the warm-up."""

    def __init__(self, synchronise: Callable[[], object] = lambda: None):
        self.synchronise = synchronise  # a GPU is asked whether it is done before a clock is read
        self.warm = False
        self.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self.started = time.perf_counter()

    def lap(self, work: float) -> None:
        """Answer for the stretch that ended, then wait; ends the process when nobody will say "go" again."""
        self.synchronise()
        seconds = time.perf_counter() - self.started
        self._say({"seconds": seconds, "work": work} if self.warm else {"ready": True, "seconds": seconds})
        self.warm = True
        if sys.stdin.readline().strip() != "go":
            sys.exit(0)
        self.started = time.perf_counter()

    def _say(self, answer: dict) -> None:
        print(json.dumps(answer), file=self.answers, flush=True)


def keep_memory() -> None:
    """pharmgpt.model.device.tune_allocator in three lines, so that a peer's best settings have it too."""
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((GLIBC_M_MMAP_MAX, 0), (GLIBC_M_TRIM_THRESHOLD, 2**31 - 1), (GLIBC_M_TOP_PAD, 64 * 2**20)):
            mallopt(option, value)
