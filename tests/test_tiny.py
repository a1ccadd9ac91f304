"""The tiny recipe, as a person runs it for the first time: the whole line, and something learned."""
import json
import math

import pytest
from conftest import start

from pharmgpt.pipeline import NAMES
from pharmgpt.run.metrics import read_metrics


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("tiny") / "run"
    process = start("run", "tiny", "--out", out)
    said, complaint = process.communicate(timeout=240)
    assert process.returncode == 0, complaint
    return out, said


def test_it_walks_the_whole_line_and_ends_with_a_table_and_the_report(tiny):
    out, said = tiny
    assert all((out / stage / "manifest.json").is_file() for stage in NAMES)
    assert said.rstrip().endswith("report.html") and (out / "report.html").is_file()
    assert all(stage in said for stage in ("pretrain", "sft", "reward", "ppo"))


def test_without_a_compiler_it_says_so_once_and_before_it_starts(tiny):
    _, said = tiny
    text = " ".join(said.split())
    assert text.count("no C++ compiler found") == 1 and text.index("no C++ compiler") < text.index("pretrain")


def test_pretraining_beats_a_model_that_knows_only_how_often_each_token_occurs(tiny):
    out, _ = tiny
    loss = json.loads((out / "results.json").read_text())["stages"]["pretrain"]["nats_per_token"]
    assert loss["value"] < loss["baseline"] < loss["chance"]


def test_the_judge_learns_from_pairs(tiny):
    out, _ = tiny
    held_back = [record["dev_loss"] for record in read_metrics(out / "reward/metrics.jsonl") if "dev_loss" in record]
    assert held_back[-1] < math.log(2)  # what a judge pays that scores all answers alike; one training batch of eight pairs may cost more


def test_sampled_answers_make_pairs_for_the_judges_exam(tiny):
    out, _ = tiny
    onpolicy = json.loads((out / "results.json").read_text())["stages"]["reward"]["pair_accuracy_onpolicy"]
    assert onpolicy["n"] >= 5 and 0 <= onpolicy["value"] <= 1


def test_its_answers_to_the_exam_can_be_recounted_from_the_transcripts(tiny):
    out, _ = tiny
    scores = json.loads((out / "results.json").read_text())["stages"]["sft"]
    sheets = [json.loads(line) for line in (out / "exam/sft/transcripts.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = [sheet for sheet in sheets if sheet["greedy"] and sheet["pool"] == "seen" and sheet["keyed"]]
    right = sum(sheet["decision"] == sheet["keyed"] for sheet in asked) / len(asked)
    assert scores["decision_seen"]["value"] == pytest.approx(right) and scores["decision_seen"]["n"] == len(asked)
    families = {sheet["family"] for sheet in sheets if sheet["pool"] == "seen"}
    means = []
    for family in families:
        golds = [sheet["gold"] for sheet in sheets if sheet["greedy"] and (sheet["pool"], sheet["family"]) == ("seen", family)]
        means.append(sum(golds) / len(golds))
    assert scores["gold_seen"]["value"] == pytest.approx(sum(means) / len(means))


def test_the_base_models_completions_can_be_recounted_too(tiny):
    out, _ = tiny
    scores = json.loads((out / "results.json").read_text())["stages"]["pretrain"]
    sheets = [json.loads(line) for line in (out / "exam/pretrain/transcripts.jsonl").read_text(encoding="utf-8").splitlines()]
    for name, wordings, pool in (("cloze_seen", "exam", "seen"), ("cloze_held_drugs", "exam", "held_drugs"),
                                 ("cloze_foreign_seen", "foreign", "seen"), ("cloze_dev_held_drugs", "dev", "held_drugs")):
        kinds = {}
        for sheet in sheets:
            if (sheet["wordings"], sheet["pool"]) == (wordings, pool):
                assert not sheet["right"] or sheet["said"].split()[0].startswith(sheet["answer"].split()[0])
                kinds.setdefault(sheet["kind"], []).append(sheet["right"])
        assert scores[name]["value"] == pytest.approx(sum(sum(right) / len(right) for right in kinds.values()) / len(kinds))
