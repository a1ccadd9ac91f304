"""Ctrl-C and SIGTERM: a checkpoint at the end of the step, a clear line, the exit code; and the next run goes on from that very step."""
import os
import signal
import time
from pathlib import Path

import pytest
from conftest import RECIPE, start

from pharmgpt.run.signals import Signals, caught
from pharmgpt.train.state import step_folders
from test_ppo import CONFIG as PPO_CONFIG
from test_ppo import Records, folders  # noqa: F401
from test_ppo import run as run_ppo
from test_pretrain import ListLog, run, tokenizer  # noqa: F401

PATIENCE_SECONDS = 60
NEVER_DUE = ("--set", "pretrain.steps=100000", "--set", "pretrain.checkpoint_every=100000", "--set", "pretrain.dev_every=100000")


class StopAsked(ListLog):
    """Somebody asks for a stop during step `at`."""

    def __init__(self, at: int):
        super().__init__()
        self.at, self.asked = at, 0

    def stop_asked(self) -> bool:
        self.asked += 1
        return self.asked == self.at

    def stop(self, step: int) -> None:
        raise SystemExit(143)


@pytest.mark.parametrize("step", [1, 5, 8, 11, 12])
def test_a_stage_that_is_stopped_keeps_every_step_it_made_and_ends_the_same(tokenizer, tmp_path, step):  # noqa: F811
    """Checkpoints are due at 4, 8 and 12 only."""
    whole = run(tokenizer, tmp_path / "whole")
    with pytest.raises(SystemExit):
        run(tokenizer, tmp_path / "stopped", StopAsked(step))
    assert max(path.name for path in (tmp_path / "stopped").glob("step-*")) == f"step-{step:06d}"
    log = ListLog()
    resumed = run(tokenizer, tmp_path / "stopped", log)
    assert log.truncated == [step]
    for name in ("weights.safetensors", "optimizer.safetensors", "state.json", "model.json", "SHA256SUMS"):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name
    assert [path.name for path in step_folders(tmp_path / "stopped")] == [path.name for path in step_folders(tmp_path / "whole")]


def test_ppo_that_is_stopped_ends_the_same(folders, tmp_path):  # noqa: F811
    config = PPO_CONFIG.model_copy(update={"checkpoint_every": 100})
    whole, _ = run_ppo(folders, tmp_path / "whole", config)
    with pytest.raises(SystemExit):
        run_ppo(folders, tmp_path / "stopped", config, log=StopAsked(2))
    assert [path.name for path in (tmp_path / "stopped").glob("step-*")] == ["step-000002"]
    stopped, _ = run_ppo(folders, tmp_path / "stopped", config, log=Records())
    for name in ("weights.safetensors", "optimizer.safetensors", "state.json"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes(), name


def wait_for(process, is_time) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_time() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def logged(path: Path) -> bool:
    return path.is_file() and path.read_text().count('"loss"') > 2


@pytest.mark.parametrize(("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_the_signal_becomes_a_checkpoint_a_line_and_an_exit_code(tmp_path, number, code, word):
    """No checkpoint is due in 100,000 steps, so the one that is found was written for the signal."""
    process = start("run", RECIPE, "--out", tmp_path / "run", *NEVER_DUE, "--until", "pretrain")
    wait_for(process, lambda: logged(tmp_path / "run/pretrain/metrics.jsonl"))
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    saved = [int(path.name.removeprefix("step-")) for path in (tmp_path / "run/pretrain").glob("step-*")]
    assert process.returncode == code and len(saved) == 1 and f"stopped after step {saved[0]}; its checkpoint is written" in out
    assert "stopping after this step" in err and f"{word}: what was finished is kept" in err and "Traceback" not in err
    assert not (tmp_path / "run/pretrain/manifest.json").exists()


def test_where_no_checkpoint_can_be_written_the_run_stops_at_once(tmp_path):
    process = start("run", RECIPE, "--out", tmp_path / "run")
    wait_for(process, lambda: (tmp_path / "run/corpus/begun.json").is_file())
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 143 and "terminated: what was finished is kept" in err and "Traceback" not in err


def test_a_second_signal_does_not_wait():
    signals = Signals()
    signals.can_wait = True
    signals.receive(signal.SIGTERM, None)
    assert signals.received == signal.SIGTERM
    with pytest.raises(SystemExit) as stop:
        signals.receive(signal.SIGINT, None)
    assert stop.value.code == 130


def test_a_signal_in_a_stage_s_last_moments_stops_before_the_next_stage():
    signals = Signals()
    signals.stop_if_received()
    signals.can_wait = True
    signals.receive(signal.SIGTERM, None)
    with pytest.raises(SystemExit):
        signals.stop_if_received()


def test_handlers_are_put_back_where_they_were():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit), caught():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
