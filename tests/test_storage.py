"""Whatever fails while something is written, the last good checkpoint loads; whatever a disk loses is noticed, named and moved aside."""
import contextlib
import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from random import Random

import pytest

from conftest import RECIPE
from damage import STEP_FILES, cut, equal, flip_a_bit, survived, two_steps, warnings_told
from faults import Faults
from pharmgpt.model.checkpoint import CheckpointError, load_model, remove_folder, require_intact, save_model, seal
from pharmgpt.run.directory import RunDir, RunError, write_atomically
from pharmgpt.train import state as states
from test_checkpoint import trained_state
from test_directory import finish
from test_transformer import random_model

@pytest.fixture
def quick_disk(monkeypatch):
    """Fsync waits for a real disk; where only its failing matters, nobody needs to."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


KINDS = [(error, for_good) for error in (errno.EIO, errno.ENOSPC) for for_good in (False, True)]


# ---- failing calls


@pytest.mark.parametrize(("error", "for_good"), KINDS)
def test_whichever_call_fails_while_a_checkpoint_is_written_the_last_good_one_loads(tmp_path, quick_disk, error, for_good):
    base = tmp_path / "base"
    two_steps(base)
    newest = trained_state(steps=4)
    expected = {step: trained_state(steps=step) for step in (2, 3, 4)}
    fresh = trained_state(seed=5)
    with Faults() as counted:
        states.save(shutil.copytree(base, tmp_path / "count"), newest)
    assert counted.count > 20
    refused = 0
    for place in range(counted.count):
        out = shutil.copytree(base, tmp_path / f"at-{place}")
        with Faults(place, error, for_good):
            try:
                states.save(out, newest)
            except OSError as failure:
                assert failure.errno == error
                refused += 1
        step = states.resume(out, fresh)
        assert step in (3, 4) and equal(fresh, expected[step]), place
        states.save(out, newest)
        assert states.resume(out, fresh) == 4 and equal(fresh, newest), place
        assert not list(tmp_path.glob("*.damaged-*"))
        shutil.rmtree(out)
    assert refused > 15


@pytest.mark.parametrize(("error", "for_good"), KINDS)
def test_whichever_call_fails_a_stage_is_unfinished_or_finished_whole(tmp_path, quick_disk, error, for_good):
    with Faults() as counted:
        finish(RunDir(tmp_path / "count"))
    assert counted.count > 10
    for place in range(counted.count):
        run = RunDir(tmp_path / f"at-{place}")
        with Faults(place, error, for_good), pytest.MonkeyPatch.context() as patch:
            patch.setattr("pharmgpt.run.directory.git_state", lambda: ("", False))
            try:
                finish(run)
            except OSError as failure:
                assert failure.errno == error
        assert run.manifest("sft") is None or run.state("sft", "r1", {"corpus/a.jsonl": "aa"}) == "finished", place
        shutil.rmtree(run.path, ignore_errors=True)


@pytest.mark.parametrize(("error", "for_good"), KINDS)
def test_whichever_call_fails_results_are_the_old_ones_or_the_new_ones(tmp_path, quick_disk, error, for_good):
    path = tmp_path / "results.json"
    with Faults() as counted:
        write_atomically(path, "old")
    for place in range(counted.count):
        write_atomically(path, "old")
        with Faults(place, error, for_good), contextlib.suppress(OSError):
            write_atomically(path, "new")
        assert path.read_text() in ("old", "new")


def test_whichever_call_fails_a_deleted_checkpoint_is_gone_or_whole(tmp_path, quick_disk):
    with Faults() as counted:
        two_steps(tmp_path / "count")
        counted.count = 0
        remove_folder(states.newest_step(tmp_path / "count"))
    assert counted.count > 5
    for place in range(counted.count):
        two_steps(tmp_path / f"at-{place}")
        newest = states.newest_step(tmp_path / f"at-{place}")
        with Faults(place, errno.EIO), contextlib.suppress(OSError):
            remove_folder(newest)
        if newest.exists():
            require_intact(newest)


def test_a_checkpoint_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    """Content, then the folder that names it, then the rename, then the folder above: in that order a power cut leaves old or new."""
    events, fsync, replace = [], os.fsync, os.replace

    def synced(descriptor):
        events.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2]))
        fsync(descriptor)

    def renamed(source, target):
        events.append(("rename", str(target).rpartition("/")[2]))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    states.save(tmp_path / "sft", trained_state())
    for name in STEP_FILES:
        assert events.index(("sync", f"{name}.tmp")) < events.index(("rename", name))
    assert events[-3:] == [("sync", ".step-000002.tmp"), ("rename", "step-000002"), ("sync", "sft")]


def test_what_a_manifest_names_is_on_the_disk_before_the_manifest(tmp_path, monkeypatch):
    events, fsync = [], os.fsync

    def synced(descriptor):
        events.append(os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2])
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    finish(RunDir(tmp_path / "run"))
    assert {"weights.safetensors", "step-000002", "sft", "run"} <= set(events[2:events.index("manifest.json.tmp")])  # two were begin()'s


# ---- damage


@pytest.mark.parametrize(("damage", "times"), [(cut, 60), (flip_a_bit, 120)])
def test_every_cut_and_every_flipped_bit_is_noticed_named_and_moved_aside(tmp_path, damage, times):
    """A sample; `make test-resume` makes 1,000 cuts and 10,000 flips."""
    random, out, state = Random(0), tmp_path / "sft", trained_state(seed=5)
    good = two_steps(out)
    with warnings_told() as told:
        assert all(survived(out, damage, random, good, state, told) for _ in range(times))
    assert states.resume(out, state) == 3


@pytest.mark.parametrize("name", STEP_FILES)
def test_a_file_that_is_gone_is_damage(tmp_path, name):
    out, state = tmp_path / "sft", trained_state(seed=5)
    good = two_steps(out)
    (states.newest_step(out) / name).unlink()
    assert states.resume(out, state) == 2 and equal(state, good)
    assert (tmp_path / "sft.damaged-1/step-000003").is_dir()


def test_where_every_step_is_damaged_the_stage_starts_anew_and_keeps_them_all(tmp_path, caplog):
    out, state = tmp_path / "sft", trained_state(seed=5)
    two_steps(out)
    for folder in states.step_folders(out):
        (folder / "state.json").write_bytes(b"")
    untouched = trained_state(seed=5)
    assert states.resume(out, state) == 0 and equal(state, untouched)
    assert {path.parent.name for path in tmp_path.glob("sft.damaged-*/step-*")} == {"sft.damaged-1", "sft.damaged-2"}
    assert caplog.text.count("state.json: damaged") == 2


def test_a_damaged_step_does_not_push_a_good_one_out(tmp_path):
    """Retention counts what loads: three steps lie there, as after a kill in the middle of deleting; the newest two are damaged."""
    out, state = tmp_path / "sft", trained_state(seed=5)
    for steps in (2, 3, 4):
        states.save(out, trained_state(steps=steps), kept=3)
    for folder in states.step_folders(out)[1:]:
        flip_a_bit(folder / "weights.safetensors", Random(0))
    assert states.resume(out, state) == 2 and equal(state, trained_state(steps=2))


def test_the_checksums_are_those_of_sha256sum(tmp_path):
    two_steps(tmp_path / "sft")
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=states.newest_step(tmp_path / "sft"), check=False)
    assert done.returncode == 0


def test_a_hidden_file_that_the_desktop_left_is_no_damage(tmp_path):
    two_steps(tmp_path / "sft")
    (states.newest_step(tmp_path / "sft") / ".DS_Store").write_text("icons")
    require_intact(states.newest_step(tmp_path / "sft"))


def test_a_changed_description_is_refused_by_whoever_loads_the_model(tmp_path):
    """The weights' own checksum does not cover how a judge reads, or a base of the rotary angles."""
    save_model(random_model(), tmp_path)
    seal(tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(description | {"judge": {"offset": 1.0}}))
    with pytest.raises(CheckpointError, match="model.json: damaged"):
        load_model(tmp_path)


def test_several_damaged_files_are_all_named(tmp_path):
    two_steps(tmp_path / "sft")
    folder = states.newest_step(tmp_path / "sft")
    for name in ("model.json", "state.json"):
        (folder / name).write_text("{}")
    with pytest.raises(CheckpointError, match=r"2 files: model.json, state.json"):
        require_intact(folder)


# ---- what a kill leaves half written


def test_half_written_files_of_a_killed_run_are_no_part_of_the_stage(tmp_path):
    """A manifest.json.tmp among the outputs would be missed at the next start, and the stage called damaged."""
    run = RunDir(tmp_path / "run")
    run.begin("sft", "r1", {})
    for name in ("manifest.json.tmp", "ledger.json.tmp", ".step-000002.old.tmp/model.json", "step-000004/x.tmp"):
        (run.stage("sft") / name).parent.mkdir(exist_ok=True)
        (run.stage("sft") / name).write_text("half")
    finish(run)
    assert list(run.manifest("sft").outputs) == ["sft/step-000002/weights.safetensors"]


@pytest.mark.parametrize("jump_seconds", [-86_400, 86_400])
def test_a_clock_that_jumps_while_a_stage_works_does_not_reach_its_seconds(line, command, monkeypatch, jump_seconds):
    (line / "exam/ppo/manifest.json").unlink()
    clock = time.time
    jumps = itertools.count()
    monkeypatch.setattr(time, "time", lambda: clock() + next(jumps) * jump_seconds)
    assert command("run", RECIPE, "--out", line).code == 0
    assert 0 < RunDir(line).manifest("exam/ppo").seconds < 600


# ---- the lock


def test_a_second_run_is_told_which_process_holds_the_directory_and_what_to_do(tmp_path):
    run = RunDir(tmp_path / "run")
    code = "import sys; from pathlib import Path; from pharmgpt.run.directory import RunDir\nwith RunDir(Path(sys.argv[1])).locked(): pass"
    with run.locked():
        for _ in range(2):  # being refused does not wipe the holder's number away
            done = subprocess.run([sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, check=False)
            assert f"process {os.getpid()}" in done.stderr and "Ctrl-C" in done.stderr and "--out" in done.stderr


def test_a_lock_file_left_by_a_killed_process_locks_nobody_out(tmp_path):
    run = RunDir(tmp_path / "run")
    code = ("import os, signal, sys; from pathlib import Path; from pharmgpt.run.directory import RunDir\n"
            "with RunDir(Path(sys.argv[1])).locked(): os.kill(os.getpid(), signal.SIGKILL)")
    assert subprocess.run([sys.executable, "-c", code, str(run.path)], check=False).returncode == -9
    assert (run.path / ".lock").read_text().strip()
    with run.locked(), pytest.raises(RunError, match=str(os.getpid())), run.locked():
        pass
