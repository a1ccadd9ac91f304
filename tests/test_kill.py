"""A stage killed at its worst moment and started again ends as if nothing had happened: equal to the byte.

Only the killed stage is made again. Later stages stay where they are, and a stage's hashes are what makes the next one stale: had one
byte come out differently, they would have been moved aside.
"""
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import RECIPE, start

from pharmgpt.pipeline import NAMES
from pharmgpt.run.directory import RunDir
from pharmgpt.run.metrics import read_metrics

TRAINED = ("pretrain", "sft", "reward", "ppo")
PATIENCE_SECONDS, TRIES = 60, 3


def past_its_first_checkpoint(folder: Path) -> bool:
    """A later step is logged than the oldest checkpoint holds: what is killed now has something to repeat."""
    saved = [int(path.name.removeprefix("step-")) for path in folder.glob("step-*")]
    log = folder / "metrics.jsonl"
    if not saved or not log.is_file():
        return False
    lines = log.read_text(encoding="utf-8").split("\n")[:-1]
    return max((json.loads(line)["step"] for line in lines), default=0) > min(saved)


def begun(folder: Path) -> bool:
    return (folder / "begun.json").is_file()


def kill_in(run: Path, stage: str, is_time: Callable[[Path], bool]) -> None:
    """Start the line on `run`, which lacks `stage`, and kill it without a word of warning once it is time."""
    for _ in range(TRIES):
        shutil.rmtree(run / stage, ignore_errors=True)
        process, deadline = start("run", RECIPE, "--out", run), time.monotonic() + PATIENCE_SECONDS
        while not is_time(run / stage) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        said = process.communicate()
        if not (run / stage / "manifest.json").exists():  # else the stage was over before this busy machine let us kill it
            break
    assert is_time(run / stage) and not (run / stage / "manifest.json").exists(), said


def digests(run: Path) -> dict[str, str]:
    """Weights, optimiser states, transcripts, samples, scores, results: all files but those with clocks and those moved aside."""
    clocks = {"manifest.json", "metrics.jsonl", "timings.json", "report.html", ".lock"}
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(run.rglob("*")) if path.is_file() and path.name not in clocks and ".damaged-" not in str(path)}


@pytest.mark.parametrize("stage", [*TRAINED, "preferences", "exam/ppo"])
def test_a_stage_killed_and_run_again_is_equal_to_the_byte(stage, line, finished, command):
    kill_in(line, stage, past_its_first_checkpoint if stage in TRAINED else begun)
    done = command("run", RECIPE, "--out", line)
    assert done.code == 0, done.err
    assert digests(line) == digests(finished)
    assert done.out.count("finished before") == len(NAMES) - 1


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "state.json", "model.json", "SHA256SUMS"])
def test_a_torn_checkpoint_is_moved_aside_and_costs_only_its_steps(line, finished, command, name, caplog):
    reopened(line, "sft")
    torn = max((line / "sft").glob("step-*")) / name
    torn.write_bytes(torn.read_bytes()[:50])
    done = command("run", RECIPE, "--out", line)
    assert done.code == 0 and done.out.count("finished before") == len(NAMES) - 1
    assert digests(line) == digests(finished)
    assert f"{torn}: damaged" in caplog.text and "moved to" in caplog.text
    assert (line / "sft.damaged-1" / torn.parent.name / name).read_bytes() == torn.read_bytes()[:50]
    assert [record["step"] for record in read_metrics(line / "sft/metrics.jsonl")] == [
        record["step"] for record in read_metrics(finished / "sft/metrics.jsonl")]


def reopened(run: Path, stage: str) -> None:
    """All steps are done; the manifest is not written."""
    directory = RunDir(run)
    manifest = directory.manifest(stage)
    directory.begin(stage, manifest.recipe_hash, manifest.inputs)
    (run / stage / "manifest.json").unlink()


def test_a_kill_before_the_manifest_repeats_nothing_and_leaves_no_half_deleted_checkpoint(line, finished, command):
    """All steps are done, an old checkpoint is half deleted, the manifest is not written."""
    reopened(line, "pretrain")
    (line / "pretrain/step-000004").mkdir()
    (line / "pretrain/step-000004/model.json").write_text("{}")
    logged = (line / "pretrain/metrics.jsonl").read_bytes()
    assert command("run", RECIPE, "--out", line).code == 0
    assert digests(line) == digests(finished)
    assert (line / "pretrain/metrics.jsonl").read_bytes() == logged


def test_what_is_compared_holds_all_that_matters(finished):
    found = digests(finished)
    for stage in TRAINED:
        assert any(name.startswith(f"{stage}/step-") and name.endswith("/weights.safetensors") for name in found)
        assert any(name.startswith(f"{stage}/step-") and name.endswith("/optimizer.safetensors") for name in found)
    assert {"preferences/samples.jsonl", "exam/sft/transcripts.jsonl", "exam/ppo/scores.json", "results.json"} <= found.keys()
