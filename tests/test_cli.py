"""The command itself: help at once and without torch, exit codes, one line instead of a traceback."""
import os
import re
import subprocess
import sys
import time

import pytest

from pharmgpt import cli, pipeline
from pharmgpt.train.optimizer import NonFiniteError

COMMANDS = ("run", "ask", "chat", "exam", "report", "reward", "kb", "lesson", "bench")


def test_help_lists_the_commands_at_once_and_without_torch():
    code = ("import sys\nfrom pharmgpt.cli import main\nsys.argv = ['pharmgpt', '--help']\n"
            "try:\n    main()\nfinally:\n    assert not {'torch', 'numpy', 'pydantic'} & sys.modules.keys()")
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 1.5
    assert all(re.search(rf"\b{name}\b", done.stdout) for name in COMMANDS) and "Not medical advice" in done.stdout


def test_screening_a_list_needs_no_torch():
    code = ("import sys\nfrom pharmgpt.cli import main\nsys.argv = ['pharmgpt', 'kb', 'screen', 'warfarin, ibuprofen', '--json']\n"
            "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and '"major"' in done.stdout, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(command, name):
    done = command(name, "--help")
    assert done.code == 0 and "Usage" in done.out


@pytest.mark.parametrize("arguments", [("frobnicate",), ("run", "tiny", "--sed", "1"), ("run", "--seed", "many"), ("kb", "show")])
def test_wrong_usage_is_exit_code_2(command, arguments):
    done = command(*arguments)
    assert done.code == 2 and "Traceback" not in done.err


@pytest.mark.parametrize("options", [(), ("--stage", "all"), ("--json",)])
def test_ask_without_a_question_shows_one(command, options):
    done = command("ask", *options)
    assert done.code == 2 and done.err.startswith("pharmgpt: ") and "eGFR is 28" in done.err


def test_ask_takes_a_question_or_a_file_but_not_both(command, tmp_path):
    assert command("ask", "hi", "--file", tmp_path / "q.jsonl").code == 2


def test_without_any_run_the_message_says_how_to_make_one(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ask", "chat", "exam", "report"):
        done = command(name, *["hi"] * (name == "ask"))
        assert done.code == 2 and "pharmgpt run tiny" in done.err


@pytest.mark.parametrize(("error", "code", "says"), [
    (KeyboardInterrupt(), 130, "interrupted: what was finished is kept"),
    (OSError(28, "No space left on device"), 1, "No space left on device; free the disk"),
    (OSError(28, "No space left on device", "runs/x"), 1, "runs/x: No space left"),
    (PermissionError(13, "Permission denied", "runs/x"), 2, "runs/x: Permission denied; check the path"),
    (NonFiniteError("the loss is nan; see replay"), 1, "pharmgpt: the loss is nan"),
])
def test_what_goes_wrong_ends_in_one_line_and_its_exit_code(command, monkeypatch, error, code, says):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(pipeline, "run", fail)
    done = command("run", "tiny")
    assert done.code == code and says in done.err and "Traceback" not in done.err and len(done.err.strip().splitlines()) == 1


def test_a_defect_of_ours_is_not_dressed_up_as_bad_input(command, monkeypatch):
    monkeypatch.setattr(pipeline, "run", lambda *_, **__: int("x"))
    with pytest.raises(ValueError, match="invalid literal"):
        command("run", "tiny")


def test_exit_codes_are_the_documented_ones():
    assert (cli.DONE, cli.FAILED, cli.WRONG_USE, cli.INTERRUPTED) == (0, 1, 2, 130)


def test_threads_that_wait_sleep_unless_somebody_says_otherwise():
    said = "import os, pharmgpt; print(os.environ['OMP_WAIT_POLICY'])"
    without = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for given, wanted in ((without, "PASSIVE"), (without | {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        assert subprocess.run([sys.executable, "-c", said], env=given, capture_output=True, text=True, check=True).stdout.strip() == wanted
