"""`pharmgpt bench`: the checkout's benchmarks at short lengths. They are no part of the package: peers and results belong to a checkout."""
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
NAMES = ("speed", "ceiling", "scale")


class BenchError(ValueError):
    """Benchmarks that are not there or that failed; the message says what to do."""


def bench() -> None:
    """Speed against peers, the machine's ceiling, what growing costs: short, a few minutes. `make bench` runs them long."""
    if not all((BENCHMARKS / f"{name}.py").is_file() for name in NAMES):
        raise BenchError(f"{BENCHMARKS}: no benchmarks there. They come with the source checkout, not with the package: clone the "
                         "repository and run `make bench` in it")
    for name in NAMES:
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", "--quick"], cwd=BENCHMARKS.parent, check=False)
        if done.returncode:
            raise BenchError(f"benchmarks/{name}.py ended with code {done.returncode}; what it said stands above")
