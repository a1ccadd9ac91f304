"""The whole line on the fixture recipe: what it leaves, what a second run makes, and how it ends when something is wrong."""
import errno
import hashlib
import io
import json
import math
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
from conftest import RECIPE, start, train
from rich.console import Console

from pharmgpt import stages
from pharmgpt.pipeline import LESSON, NAMES, _wait, open_session, read_recipe
from pharmgpt.run.directory import RunDir
from pharmgpt.run.metrics import read_metrics
from pharmgpt.serve.session import STAGES, as_messages
from pharmgpt.serve.terminal import answer_aloud

ANSWERING = [
    "gold_seen", "gold_held_drugs", "decision_seen", "decision_held_drugs", "unsafe_rate", "gold_seen_t1", "gold_held_drugs_t1",
    "refusal_harmful", "abstain_unknown", "over_refusal", "emergency", "over_caution", "interaction_sensitivity",
    "interaction_specificity", "decision_ece",
]
PROMISED = {
    "pretrain": ["bits_per_byte", "nats_per_token", "cloze_seen", "cloze_held_drugs", "cloze_foreign_seen",
                 "cloze_foreign_held_drugs", "cloze_dev_seen", "cloze_dev_held_drugs"],
    "sft": ANSWERING,
    "reward": ["pair_accuracy_seen", "pair_accuracy_held_drugs", "pair_accuracy_onpolicy", "safe_over_dangerous", "ece",
               "length_only_accuracy"],
    "ppo": [*ANSWERING, "gain_seen", "gain_held_drugs", "gain_seen_t1", "gain_held_drugs_t1", "over_best_expert_seen", "kl"],
    "experts": ["gold_mean", "gold_best"],
}


@pytest.mark.parametrize(("recipe", "asked"), [("tiny", False), ("classroom", None), ("laptop", None), ("gpu", None)])
def test_a_line_shorter_than_its_compilation_trains_eagerly_whatever_the_machine(monkeypatch, recipe, asked):
    monkeypatch.setattr(stages, "choose_device", lambda compile: compile)
    assert stages.Line(read_recipe(recipe, (), None), None, None).device is asked


def files(run: Path, *names: str) -> dict[str, tuple[int, str]]:
    """Modification time and SHA-256 of every file of the stages."""
    found = [path for stage in names or NAMES for path in (run / stage).rglob("*") if path.is_file()]
    return {str(path.relative_to(run)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in found}


def results(run: Path) -> dict:
    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    return json.loads((run / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)


def weights(run: Path, stage: str) -> Path:
    return max((run / stage).glob("step-*")) / "weights.safetensors"


def set_aside(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for pattern in ("*.stale-*", "*.damaged-*", "exam/*.stale-*", "exam/*.damaged-*")
            for path in run.glob(pattern)}


def assert_one_line(done, *words: str, code: int = 2) -> None:
    assert done.code == code, done
    assert "Traceback" not in done.err and done.err.startswith("pharmgpt: ")
    for word in words:
        assert word in done.err


# ---- what a run leaves


def test_every_stage_has_a_manifest_whose_hashes_hold(finished):
    for stage in NAMES:
        manifest = json.loads((finished / stage / "manifest.json").read_text())
        assert manifest["stage"] == stage and manifest["seed"] == 3 and manifest["outputs"]
        for name, digest in manifest["outputs"].items():
            assert hashlib.sha256((finished / name).read_bytes()).hexdigest() == digest
        assert not (finished / stage / "begun.json").exists()


def test_results_hold_every_promised_metric_with_all_its_fields(finished):
    found = results(finished)
    for stage, names in PROMISED.items():
        for name in names:
            score = found["stages"][stage][name]
            assert set(score) == {"value", "n", "ci95", "chance", "baseline"}, name
            assert score["ci95"] is None or (len(score["ci95"]) == 2 and score["ci95"][0] <= score["ci95"][1])
            assert score["value"] is not None or score["n"] == 0, f"{stage}.{name}: null, though {score['n']} were counted"
    assert {"gold_version", "recipe", "seed", "commit"} <= found["meta"].keys()


def test_results_have_values_where_this_recipe_asks_questions(finished):
    """Sampled pairs need answers of unequal gold, which six steps of training may not give: the tiny recipe's run is asked for them."""
    found = results(finished)["stages"]
    missing = {f"{stage}.{name}" for stage, names in PROMISED.items() for name in names if found[stage][name]["value"] is None}
    assert missing <= {"reward.pair_accuracy_onpolicy"}


def test_chance_of_the_pretraining_loss_is_ln_v(finished):
    vocabulary = len(json.loads((finished / "tokenizer/tokenizer.json").read_text())["model"]["vocab"])
    assert results(finished)["stages"]["pretrain"]["nats_per_token"]["chance"] == pytest.approx(math.log(vocabulary))


def test_results_hold_no_clock_and_timings_do(finished):
    assert "seconds" not in (finished / "results.json").read_text() and "started" not in (finished / "results.json").read_text()
    timings = json.loads((finished / "timings.json").read_text())
    assert list(timings) == [*NAMES, "total"] and timings["total"] == pytest.approx(sum(timings[name] for name in NAMES), abs=0.1)


def test_the_first_iteration_of_ppo_stands_where_sft_stood(finished):
    first = next(record for record in read_metrics(finished / "ppo/metrics.jsonl") if "kl" in record)
    assert first["step"] == 1 and first["kl"] == 0
    learning = [record for record in read_metrics(finished / "ppo/metrics.jsonl") if "first_ratio_deviation" in record]
    assert learning[0]["first_ratio_deviation"] == 0


def test_the_lesson_question_is_answered_by_every_stage(finished):
    answers = json.loads((finished / "lesson.json").read_text())
    assert [answer["stage"] for answer in answers] == ["pretrain", "sft", "ppo"] and {answer["prompt"] for answer in answers} == {LESSON}


def test_the_report_is_one_page_that_names_every_stage(finished):
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert all(stage in page for stage in ("pretrain", "sft", "reward", "ppo")) and 'src="http' not in page


def test_every_log_line_has_a_step_and_no_step_is_said_twice(finished):
    for stage in ("pretrain", "sft", "reward", "ppo"):
        records = read_metrics(finished / stage / "metrics.jsonl")
        trained = [record["step"] for record in records if not any(key.startswith("dev_") for key in record)]
        assert trained == sorted(set(trained)), stage


# ---- a second run


def test_running_again_makes_nothing(line, command):
    before, said = files(line), (line / "results.json").read_bytes()
    done = command("run", RECIPE, "--out", line)
    assert done.code == 0 and done.out.count("finished before") == len(NAMES)
    assert files(line) == before and (line / "results.json").read_bytes() == said


def test_another_recipe_is_refused_with_the_keys_that_differ(line, command):
    before = files(line)
    done = command("run", RECIPE, "--out", line, "--set", "pretrain.steps=9", "--seed", "4")
    assert_one_line(done, "pretrain.steps: 8 there, 9 here", "seed: 3 there, 4 here", "--redo")
    assert files(line) == before


def test_redo_makes_again_only_what_depends_on_the_changed_section(line, command):
    kept = [name for name in NAMES if name not in ("ppo", "exam/ppo")]
    before, old = files(line, *kept), files(line, "ppo")
    assert command("run", RECIPE, "--out", line, "--set", "ppo.iterations=3", "--redo").code == 0
    assert files(line, *kept) == before and set_aside(line) == {"ppo.stale-1", "exam/ppo.stale-1"}
    assert [digest for _, digest in files(line, "ppo.stale-1").values()] == [digest for _, digest in old.values()]
    assert weights(line, "ppo").parent.name == "step-000003"


def test_a_redone_run_that_stops_early_shows_no_results_of_the_old_recipe(line, command):
    assert command("run", RECIPE, "--out", line, "--set", "sft.steps=2", "--redo", "--until", "sft").code == 0
    assert {"exam/sft.stale-1", "preferences.stale-1"} <= set_aside(line)
    assert set(results(line)["stages"]) == {"pretrain", "experts"}
    assert_one_line(command("ask", "hello?", "--run", line), "ppo is not finished")


@pytest.mark.parametrize("minutes, said", ((9.6, "10 min"), (119, "119 min"), (300, "5 hours"), (47_176, "33 days")))
def test_a_wait_is_said_in_the_unit_that_people_wait_in(minutes, said):
    assert _wait(minutes) == said


def test_a_flipped_byte_is_named_and_only_its_stage_made_again(line, command):
    path = weights(line, "reward")
    before, damaged = files(line), bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    done = command("run", RECIPE, "--out", line)
    assert done.code == 0 and path.name in done.out and set_aside(line) == {"reward.damaged-1"}
    assert {name: digest for name, (_, digest) in files(line).items() if "manifest" not in name and "metrics" not in name} == {
        name: digest for name, (_, digest) in before.items() if "manifest" not in name and "metrics" not in name}


@pytest.mark.parametrize("stage", ("pretrain", "sft", "reward", "ppo"))
def test_a_damaged_last_checkpoint_of_a_finished_stage_costs_only_the_steps_since_the_one_before(line, command, stage):
    before, metrics = files(line), (line / stage / "metrics.jsonl").read_bytes()
    path = weights(line, stage)
    path.write_bytes(path.read_bytes()[:-1])
    done = command("run", RECIPE, "--out", line)
    steps = sorted((line / stage).glob("step-*"))
    assert done.code == 0 and "goes on from the checkpoint before" in " ".join(done.out.split())
    assert {each.name for each in (line / f"{stage}.damaged-1").iterdir()} == {steps[-1].name}
    kept = b"".join(row for row in metrics.splitlines(True) if json.loads(row)["step"] <= int(steps[-2].name[5:]))
    assert (line / stage / "metrics.jsonl").read_bytes().startswith(kept)  # clocks and all: those steps were not taken again
    assert {name: digest for name, (_, digest) in files(line).items() if "manifest" not in name and "metrics" not in name} == {
        name: digest for name, (_, digest) in before.items() if "manifest" not in name and "metrics" not in name}


def test_deleted_weights_are_named_and_made_again(line, command):
    path = weights(line, "sft")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    done = command("run", RECIPE, "--out", line, "--until", "sft")
    assert done.code == 0 and "weights.safetensors" in done.out and set_aside(line) == {"sft.damaged-1"}
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_a_half_written_run_goes_on_where_it_stopped(line, command):
    """No manifest means not finished, whatever else lies there; checkpoints of unknown origin are set aside, not continued."""
    (line / "exam/ppo/manifest.json").unlink()
    before = files(line, *NAMES[:-1])
    assert command("run", RECIPE, "--out", line).code == 0
    assert files(line, *NAMES[:-1]) == before and (line / "exam/ppo/manifest.json").is_file()


def test_a_torn_manifest_is_named(line, command):
    (line / "sft/manifest.json").write_text('{"stage"')
    assert_one_line(command("run", RECIPE, "--out", line), "sft/manifest.json", "run again")


# ---- asking a finished run


def test_ask_answers_as_json(finished, command):
    done = command("ask", LESSON, "--run", finished, "--json")
    answer = json.loads(done.out)
    assert done.code == 0 and list(answer) == ["id", "prompt", "stage", "answer", "reward", "checks"]
    assert (answer["prompt"], answer["stage"]) == (LESSON, "ppo") and isinstance(answer["reward"], float)


def test_ask_all_stages_shows_every_answer_and_that_it_is_no_advice(finished, command):
    done = command("ask", LESSON, "--run", finished, "--stage", "all")
    assert done.code == 0 and "Not medical advice" in done.out
    assert [line for line in done.out.splitlines() if line in STAGES] == ["pretrain", "sft", "ppo"]
    assert done.out.count("  reward ") == 3


def test_an_answer_is_on_the_screen_before_the_judge_is_asked(finished):
    """The judge and the claims take as long again: nobody should wait for them to read."""
    session, screen = open_session(finished), io.StringIO()
    score, shown = session.scorer, []
    session.scorer = lambda messages, text: (shown.append(screen.getvalue()), score(messages, text))[1]
    answer = answer_aloud(session, as_messages(LESSON), "sft", Console(file=screen, width=1000))
    assert [text.strip() for text in shown] == [answer.answer or "(no text)"] and "  reward " in screen.getvalue()
    assert session.ask(LESSON, "sft") == answer


def test_ask_reads_a_file_and_writes_a_line_a_question_and_stage(finished, command, tmp_path):
    (tmp_path / "q.jsonl").write_text('{"id": "a", "prompt": "Is ibuprofen safe?"}\n\n{"id": "b", "prompt": "And [/warfarin]?"}\n')
    done = command("ask", "--file", tmp_path / "q.jsonl", "--out", tmp_path / "a.jsonl", "--run", finished, "--stage", "all")
    answers = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert done.code == 0 and [(each["id"], each["stage"]) for each in answers] == [
        (id, stage) for id in "ab" for stage in ("pretrain", "sft", "ppo")]
    assert command("ask", "And [/warfarin]?", "--run", finished).code == 0


def test_reward_scores_a_file_of_pairs(finished, command, tmp_path):
    pair = {"prompt": LESSON, "chosen": "Avoid metformin.", "rejected": "Metformin is safe."}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    done = command("reward", "--file", tmp_path / "pairs.jsonl", "--run", finished)
    scored = json.loads(done.out)
    assert done.code == 0 and scored == pair | {key: scored[key] for key in ("reward_chosen", "reward_rejected")}
    assert scored["reward_chosen"] != scored["reward_rejected"]


def test_exam_prints_results_as_json_and_for_one_stage(line, command):
    everything = json.loads(command("exam", "--run", line, "--json").out)
    assert everything == results(line)
    assert json.loads(command("exam", "--run", line, "--json", "--stage", "sft").out)["stages"] == {"sft": everything["stages"]["sft"]}


def test_exam_makes_again_an_exam_that_is_gone(line, command):
    (line / "exam/sft/manifest.json").unlink()
    assert json.loads(command("exam", "--run", line, "--json").out) == results(line)
    assert (line / "exam/sft/manifest.json").is_file()


def test_chat_answers_until_an_empty_line(finished, command, monkeypatch):
    questions = iter(["Can I take ibuprofen?", "[/b] and with warfarin?", ""])
    monkeypatch.setattr("builtins.input", lambda *_: next(questions))
    done = command("chat", "--run", finished)
    assert done.code == 0 and "Not medical advice" in done.out and next(questions, None) is None


def test_chat_with_the_base_model_ends_with_the_input(finished, command, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("Metformin is\n"))
    done = command("chat", "--run", finished, "--stage", "base")
    assert done.code == 0 and done.out.count("you") >= 2


# ---- bad input


@pytest.mark.parametrize(("arguments", "words"), [
    (("ask", ""), ("give one question",)), (("ask", "   "), ("question is empty",)),
    (("ask", "hi", "--stage", "reward"), ("--stage 'reward'",)),
    (("ask", "metformin " * 2000), ("tokens", "shorter")), (("exam", "--stage", "tokenizer"), ("no exam",)),
    (("ask", "--file", "nowhere.jsonl"), ("nowhere.jsonl", "No such file")), (("chat", "--stage", "x"), ("--stage 'x'",)),
    (("reward", "--file", "nowhere.jsonl"), ("nowhere.jsonl",)),
])
def test_bad_input_to_a_finished_run_ends_in_one_line(finished, command, arguments, words):
    assert_one_line(command(*arguments, "--run", finished), *words)


@pytest.mark.parametrize(("text", "words"), [
    ('{"id": "1", "prompt": "a"}\n{"id": "2", "prom\n', ("line 2", "JSON")), ('{"id": "1"}\n', ("line 1", "prompt")),
    ('["a"]\n', ("line 1",)), ('{"id": "1", "prompt": "\udcff"}\n', ("line 1",)),
    ('{"id": "1", "prompt": " "}\n', ("question '1' is empty",)),
])
def test_a_bad_line_of_a_questions_file_is_named(finished, command, tmp_path, text, words):
    (tmp_path / "q.jsonl").write_text(text, encoding="utf-8", errors="surrogateescape")
    assert_one_line(command("ask", "--file", tmp_path / "q.jsonl", "--run", finished), *words)


def test_a_missing_or_half_written_run_is_named(command, tmp_path, finished):
    assert_one_line(command("ask", "hi", "--run", tmp_path / "nowhere"), "nowhere", "not a run directory")
    (tmp_path / "half").mkdir()
    (tmp_path / "half/recipe.toml").write_bytes((finished / "recipe.toml").read_bytes())
    assert_one_line(command("ask", "hi", "--run", tmp_path / "half"), "ppo is not finished")
    assert_one_line(command("exam", "--run", tmp_path / "half"), "no finished stage")
    assert_one_line(command("reward", "--file", RECIPE, "--run", tmp_path / "half"), "line 1")


def test_damaged_weights_are_named_when_asked(line, command):
    weights(line, "ppo").write_bytes(b"")
    assert_one_line(command("ask", "hi", "--run", line), "weights.safetensors", "damaged")


def test_bad_input_to_run_ends_in_one_line_and_makes_nothing(command, tmp_path):
    out = tmp_path / "run"
    assert_one_line(command("run", "nonesuch", "--out", out), "nonesuch", "tiny")
    assert_one_line(command("run", RECIPE, "--out", out, "--set", "pretrain.stepz=3"), "pretrain.stepz", "'steps'")
    assert_one_line(command("run", RECIPE, "--out", out, "--until", "nonsense"), "nonsense", "pretrain")
    assert_one_line(command("run", RECIPE, "--out", out, "--seed", "-1"), "seed")
    assert not out.exists()
    out.write_text("a file")
    assert_one_line(command("run", RECIPE, "--out", out), str(out))


def test_a_run_in_use_is_refused(line, command):
    with RunDir(line).locked():
        assert_one_line(command("run", RECIPE, "--out", line), "in use")


# ---- a full disk, an interruption


@pytest.mark.parametrize("stage", ["corpus", "sft", "exam/ppo"])
def test_a_full_disk_is_told_and_nothing_finished_is_lost(line, finished, command, monkeypatch, stage):
    """The system refuses every sync from the fourth on: in the middle of the stage's writing."""
    drop(line, stage)
    kept = [name for name in NAMES if name != stage]
    before, syncs, fsync = files(line, *kept), iter(range(10_000)), os.fsync

    def full(descriptor):
        if next(syncs) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert_one_line(command("run", RECIPE, "--out", line), "No space left on device", "run again", code=1)
    assert files(line, *kept) == before and not (line / stage / "manifest.json").exists()
    assert command("run", RECIPE, "--out", line).code == 0
    assert_same_outputs(line, finished)
    assert not set_aside(line)


def test_weights_that_do_not_fit_on_the_disk_are_told(line, finished, command):
    """A real refusal by the system: files of this process may not grow beyond 60 kB."""
    drop(line, "sft")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    try:
        done = command("run", RECIPE, "--out", line)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_one_line(done, "File too large", code=1)
    assert command("run", RECIPE, "--out", line).code == 0
    assert_same_outputs(line, finished)


def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(line, finished, command):
    drop(line, "pretrain")
    process = start("run", RECIPE, "--out", line)
    deadline = time.monotonic() + 60
    while not list((line / "pretrain").glob("step-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted: what was finished is kept" in said and "Traceback" not in said
    assert not (line / "pretrain/manifest.json").exists() and list((line / "pretrain").glob("step-*"))
    assert command("run", RECIPE, "--out", line).code == 0
    assert_same_outputs(line, finished)
    assert not set_aside(line)


def test_two_uninterrupted_runs_are_equal_to_the_byte(finished, tmp_path):
    assert train(tmp_path / "run").code == 0
    assert_same_outputs(tmp_path / "run", finished)


def drop(run: Path, stage: str) -> None:
    shutil.rmtree(run / stage)


def assert_same_outputs(run: Path, other: Path) -> None:
    """All that manifests hash, and results.json."""
    def outputs(path: Path) -> dict:
        manifests = [json.loads((path / stage / "manifest.json").read_text()) for stage in NAMES]
        return {name: digest for manifest in manifests for name, digest in manifest["outputs"].items()}

    assert outputs(run) == outputs(other)
    assert results(run) == results(other)
