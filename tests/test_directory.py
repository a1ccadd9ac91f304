"""The run directory: what counts as finished, what is stale, what is damaged; writing that a crash cannot tear."""
import json
import os
import subprocess
import sys
import time

import pytest

from pharmgpt.run import directory as module
from pharmgpt.run.directory import RunDir, RunError, newest_run, sha256, write_atomically

INPUTS = {"corpus/a.jsonl": "aa"}


@pytest.fixture
def run(tmp_path):
    return RunDir(tmp_path / "run")


def finish(run: RunDir, stage: str = "sft", recipe_hash: str = "r1", inputs=INPUTS):
    folder = run.stage(stage)
    run.begin(stage, recipe_hash, inputs)
    (folder / "step-000002").mkdir(exist_ok=True)
    (folder / "step-000002" / "weights.safetensors").write_bytes(b"weights")
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    return run.finish(stage, recipe_hash=recipe_hash, seed=7, inputs=inputs, device="cpu", started=time.time(), seconds=1.5)


def test_a_manifest_says_what_a_stage_was_made_from_and_what_it_left(run):
    made = finish(run)
    read = run.manifest("sft")
    assert read == made and (read.stage, read.recipe_hash, read.seed, read.inputs, read.device) == ("sft", "r1", 7, INPUTS, "cpu")
    assert read.outputs == {"sft/step-000002/weights.safetensors": sha256(run.path / "sft/step-000002/weights.safetensors")}
    assert read.versions["torch"].startswith("2.13") and read.started.endswith("Z") and read.seconds == 1.5


def test_no_manifest_is_not_finished(run):
    run.begin("sft", "r1", INPUTS)
    assert run.manifest("sft") is None and run.state("sft", "r1", INPUTS) == "unfinished"


def test_the_manifest_is_written_last_so_a_failure_before_it_leaves_the_stage_unfinished(run, monkeypatch):
    monkeypatch.setattr(module, "write_atomically", lambda path, text: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    run.stage("sft").mkdir(parents=True)
    with pytest.raises(OSError, match="No space"):
        run.finish("sft", recipe_hash="r1", seed=0, inputs={}, device="", started=0.0, seconds=0.0)
    assert run.state("sft", "r1", {}) == "unfinished"


def test_until_the_manifest_is_there_the_stage_can_still_be_continued(run, monkeypatch):
    """Hashing large outputs takes seconds; a kill in that window must not throw the work away."""
    run.begin("sft", "r1", INPUTS)
    monkeypatch.setattr(module, "installed_versions", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        finish(run)
    assert run.state("sft", "r1", INPUTS) == "unfinished" and not run.begun_otherwise("sft", "r1", INPUTS)


@pytest.mark.parametrize(("recipe_hash", "inputs"), [("r2", INPUTS), ("r1", {"corpus/a.jsonl": "bb"}), ("r1", {}),
                                                    ("r1", INPUTS | {"knowledge": "cc"})])
def test_another_recipe_or_other_inputs_make_a_stage_stale(run, recipe_hash, inputs):
    finish(run)
    assert run.state("sft", "r1", INPUTS) == "finished"
    assert run.state("sft", recipe_hash, inputs) == "stale"


def test_another_format_version_makes_a_stage_stale(run):
    finish(run)
    edit_manifest(run, format_version=0)
    assert run.state("sft", "r1", INPUTS) == "stale"


def test_another_commit_or_clock_does_not_make_a_stage_stale(run):
    finish(run)
    edit_manifest(run, commit="0" * 40, dirty=True, started="1999-01-01T00:00:00Z", seconds=9.0, versions={}, command="x")
    assert run.state("sft", "r1", INPUTS) == "finished"


def edit_manifest(run, **changes):
    path = run.stage("sft") / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_flipped_byte_and_a_missing_file_are_damage_and_named(run):
    manifest, weights = finish(run), run.path / "sft/step-000002/weights.safetensors"
    weights.write_bytes(b"weighty")
    assert run.state("sft", "r1", INPUTS) == "damaged" and run.damaged_files(manifest) == ["sft/step-000002/weights.safetensors"]
    weights.unlink()
    assert run.state("sft", "r1", INPUTS) == "damaged" and run.damaged_files(manifest) == ["sft/step-000002/weights.safetensors"]


def test_the_log_holds_clocks_so_it_is_never_damage(run):
    finish(run)
    (run.stage("sft") / "metrics.jsonl").write_text("")
    assert run.state("sft", "r1", INPUTS) == "finished"


def test_a_stage_set_aside_keeps_its_files_under_a_new_name_each_time(run):
    finish(run)
    assert run.set_aside("sft", "damaged").name == "sft.damaged-1"
    finish(run)
    assert run.set_aside("sft", "damaged").name == "sft.damaged-2"
    assert (run.path / "sft.damaged-1/step-000002/weights.safetensors").read_bytes() == b"weights"
    assert not run.stage("sft").exists()


def test_an_unreadable_manifest_is_named_with_the_fix(run):
    finish(run)
    (run.stage("sft") / "manifest.json").write_text('{"stage": "sf')
    with pytest.raises(RunError, match=r"manifest\.json: not a readable manifest.*move the folder"):
        run.manifest("sft")


def test_a_stage_that_another_needs_must_be_finished(run):
    finish(run)
    assert list(run.inputs_from(("sft",))) == ["sft/step-000002/weights.safetensors"]
    with pytest.raises(RunError, match="ppo is not finished"):
        run.inputs_from(("sft", "ppo"))


def test_an_unfinished_stage_is_continued_only_from_what_it_was_begun_from(run):
    assert not run.begun_otherwise("sft", "r1", INPUTS)  # nothing there yet
    run.begin("sft", "r1", INPUTS)
    assert not run.begun_otherwise("sft", "r1", INPUTS)
    assert run.begun_otherwise("sft", "r2", INPUTS) and run.begun_otherwise("sft", "r1", {})


@pytest.mark.parametrize("content", [None, b"", b'{"recipe', b"\xff"])
def test_checkpoints_of_unknown_origin_are_not_continued(run, content):
    run.stage("sft").mkdir(parents=True)
    if content is not None:
        (run.stage("sft") / "begun.json").write_bytes(content)
    assert run.begun_otherwise("sft", "r1", INPUTS)


def test_a_second_process_is_refused_and_the_first_goes_on(run):
    code = ("import sys; from pathlib import Path; from pharmgpt.run.directory import RunDir, RunError\n"
            "try:\n    with RunDir(Path(sys.argv[1])).locked(): pass\nexcept RunError as error: print(error); sys.exit(2)")
    command = [sys.executable, "-c", code, str(run.path)]
    with run.locked():
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 2 and "in use by another pharmgpt run" in second.stdout
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_atomic_writing_replaces_a_file_whole(tmp_path):
    path = tmp_path / "deep" / "results.json"
    write_atomically(path, "old")
    write_atomically(path, "new é")
    assert path.read_text(encoding="utf-8") == "new é" and [each.name for each in path.parent.iterdir()] == ["results.json"]


def test_a_failure_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_the_newest_run_is_the_one_whose_results_were_written_last(tmp_path):
    for name, when in (("a", 100), ("b", 300), ("c", 200)):
        write_atomically(tmp_path / name / "results.json", "{}")
        os.utime(tmp_path / name / "results.json", (when, when))
    (tmp_path / "unfinished").mkdir()
    assert newest_run(tmp_path).name == "b"


def test_where_no_run_is_finished_the_message_says_how_to_make_one(tmp_path):
    with pytest.raises(RunError, match="pharmgpt run tiny"):
        newest_run(tmp_path / "runs")
