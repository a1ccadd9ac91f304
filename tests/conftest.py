"""The fixture line: one whole run of seconds, made once a test process; and the command, called as a person calls it.

The command is run without a C++ compiler in sight, so that it trains eagerly: exact, and nothing to wait for.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from pharmgpt.corpus.split import split_drugs
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.subset import named_set

RECIPE = Path(__file__).parent / "recipes" / "fixture.toml"
COMMAND = (sys.executable, "-c", "from pharmgpt.cli import main; main()")


class Done(NamedTuple):
    code: int
    out: str
    err: str


def eager_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CXX", "PATH")}
    return kept | {"PATH": "", "OMP_NUM_THREADS": "1"}


def start(*arguments: str | Path) -> subprocess.Popen:
    """The command in a process of its own, still running."""
    return subprocess.Popen([*COMMAND, *map(str, arguments)], env=eager_environment(), text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def train(out: Path, *arguments: str | Path) -> Done:
    process = start("run", RECIPE, "--out", out, *arguments)
    said = process.communicate()
    return Done(process.returncode, *said)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """An uninterrupted run of the fixture recipe. Read it; change only a copy."""
    out = tmp_path_factory.mktemp("line") / "run"
    done = train(out)
    assert done.code == 0, done.err
    return out


@pytest.fixture
def line(finished, tmp_path) -> Path:
    """A copy of the finished run, to break."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def command(monkeypatch, capsys):
    """`pharmgpt …` in this process: command("ask", "…") → exit code, standard output, standard error."""
    from pharmgpt.cli import main

    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    torch.set_num_threads(1)

    def call(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["pharmgpt", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def kb():
    return named_set(load(), "classroom")


@pytest.fixture(scope="session")
def split(kb):
    return split_drugs(kb, 14, seed=0)
