"""Every verdict on the classroom text's claims, measured; every command that a claim names, run."""
import math
import re
import shlex
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pharmgpt.knowledge.load import load
from pharmgpt.lessons import claims, published
from pharmgpt.lessons.claims import CLAIMS
from pharmgpt.lessons.material import QUESTIONS
from pharmgpt.lessons.pairs import HELD_OUT, PAIRS
from pharmgpt.lessons.ppo import PPOConfig, ppo
from pharmgpt.lessons.pretraining import BEGINNING, TEXTS, PretrainingConfig, pretraining
from pharmgpt.lessons.readings import wilson
from pharmgpt.lessons.reward import RewardConfig, length_accuracy, reward, sigmoid
from pharmgpt.lessons.sft import SFTConfig, sft
from pharmgpt.lessons.trace import ASKED, greedy
from pharmgpt.lessons.true_score import expert_scores, true_score
from pharmgpt.report.glossary import GLOSSARY

LN_V, LN_2 = math.log(100), math.log(2)
pretrained = cache(lambda: pretraining(PretrainingConfig()))
tuned = cache(lambda: sft(SFTConfig(), pretrained().model))
untaught = cache(lambda: published.published_sft(SFTConfig()))
judged = cache(lambda: reward(RewardConfig()))
climbed = cache(lambda: published.published_reward(0)[1])
improved = cache(lambda: ppo(PPOConfig(), tuned().model, judged().judge))
unleashed = cache(lambda: ppo(PPOConfig(kl=0), tuned().model, judged().judge))
EVIDENCE = {}


def evidence(function):
    EVIDENCE[function.__name__] = function
    return function


@evidence
def high_loss():
    assert abs(np.mean(published.published_pretraining(PretrainingConfig(), 0)) - LN_V) < 0.02
    assert pretrained().epochs[1].loss < LN_V - 1


@evidence
def slight_improvement():
    assert 4.6149 - 4.5943 == pytest.approx(0.0206)  # up
    assert 4.6149 - 4.5943 < published.NOISE / math.sqrt(10)


@evidence
def few_sequences():
    assert pretrained().epochs[-1].loss == pytest.approx(0.29, abs=0.01)
    assert pretrained().epochs[-1].reordered_loss == pytest.approx(1.8, abs=0.1)


@evidence
def no_harm():
    assert greedy(pretrained().model, BEGINNING) == "lactic acidosis ."
    assert true_score(QUESTIONS[0], greedy(pretrained().model, ASKED)) < 0


@evidence
def skip_pretraining():
    with_it, without = tuned().epochs[-1], untaught().epochs[-1]
    assert with_it.loss == pytest.approx(without.loss, abs=0.02)
    assert abs(with_it.marks.sampled - without.marks.sampled) < with_it.marks.margin_of_error + without.marks.margin_of_error


@evidence
def sft_lower():
    assert tuned().epochs[-1].loss < pretrained().epochs[-1].loss and tuned().floor < pretrained().floor
    assert 0.2061 < LN_2


@evidence
def sft_safety():
    assert tuned().epochs[-1].loss < tuned().floor + 0.04
    assert tuned().epochs[-1].marks.sampled < np.mean(list(expert_scores().values())) - tuned().epochs[-1].marks.margin_of_error


@evidence
def compare_losses():
    assert (pretrained().floor, tuned().floor) == pytest.approx((0.215, 0.125), abs=0.001)


@evidence
def sft_capped():
    scores = expert_scores()
    assert tuned().epochs[-1].marks.sampled < np.mean(list(scores.values())) < max(scores.values())


@evidence
def sft_mismatch():
    assert tuned().epochs[-1].loss - tuned().floor < 0.04
    sft_safety()


@evidence
def bradley_terry():
    assert -math.log(sigmoid(np.float64(0))) == pytest.approx(LN_2)
    assert -math.log(sigmoid(np.float64(1))) < LN_2 < -math.log(sigmoid(np.float64(-1)))


@evidence
def loss_increase_normal():
    repaired = published.published_reward(0, sign_repaired=True)[1]
    assert climbed()[-1].loss > LN_2 > repaired[-1].loss


@evidence
def sigmoid_raises():
    measured = published.with_bias(climbed()[-1], -1000.0)
    assert measured.loss == climbed()[-1].loss and judged().epochs[-1].train.loss < LN_2


@evidence
def negative_drift():
    drift = (climbed()[100].r_chosen - climbed()[0].r_chosen) / 100
    assert drift == pytest.approx(-20 * published.LR / 2, rel=0.01)
    assert abs(climbed()[100].margin) < abs(climbed()[100].r_chosen) / 100


@evidence
def margin_grows():
    assert climbed()[100].margin < climbed()[20].margin < 0 and climbed()[100].accuracy < 0.5


@evidence
def loss_fine_if_margin():
    early, late = judged().epochs[11].held_out, judged().epochs[100].held_out
    assert late.loss > early.loss + 0.05 and late.margin > early.margin + 1
    margins = np.linspace(-5, 5, 101)
    assert (np.diff(np.logaddexp(0, -margins)) < 0).all()  # for one pair it cannot be


@evidence
def simple_features():
    repaired = published.published_reward(0, sign_repaired=True)[1]
    assert repaired[-1].accuracy == pytest.approx(19 / 20) and climbed()[-1].accuracy <= 0.25


@evidence
def dimensions():
    assert judged().epochs[-1].train.accuracy == 1 and 90 < len(judged().judge.w) < 200 < 768
    accuracies = [published.published_reward(salt)[1][-1].accuracy for salt in range(5)]
    assert max(accuracies) <= 0.25


@evidence
def held_out_80():
    assert judged().epochs[-1].held_out.accuracy == pytest.approx(0.8)
    assert wilson(4, HELD_OUT) == pytest.approx((0.38, 0.96), abs=0.005)
    missed = [pair for pair in PAIRS[-HELD_OUT:] if judged().judge.score(pair.chosen) <= judged().judge.score(pair.rejected)]
    assert [pair.flaw for pair in missed] == ["wrong decision"] and length_accuracy(PAIRS[-HELD_OUT:]) == pytest.approx(0.6)


@evidence
def safe_above_dangerous():
    assert judged().epochs[-1].held_out.accuracy > 0.5
    assert unleashed().epochs[-1].reward > improved().epochs[-1].reward and unleashed().after.sampled < improved().after.sampled - 0.3


@evidence
def ppo_beats_experts():
    best, after = max(expert_scores().values()), improved().after
    assert after.sampled - improved().before.sampled > after.margin_of_error + improved().before.margin_of_error
    assert after.sampled + after.margin_of_error < best and after.greedy == pytest.approx(best)


@evidence
def all_stages():
    assert pretrained().epochs[-1].loss < LN_V and tuned().epochs[-1].marks.sampled > 0.4
    assert unleashed().after.sampled < improved().before.sampled < improved().after.sampled


@evidence
def scale():
    assert len(TEXTS) == 10 and len(PAIRS) - HELD_OUT == 15 and judged().epochs[-1].train.accuracy == 1


def renal_action(drug: str, egfr: float) -> str:
    rules = load().drugs[drug].renal
    return next(rule.action for rule in rules if (rule.at_least or 0) <= egfr < (rule.below or math.inf))


@evidence
def metformin_28():
    assert renal_action("metformin", 28) == "avoid"
    assert any(rule.effect == "lactic_acidosis" for rule in load().drugs["metformin"].renal if rule.below == 30)


@evidence
def universal_dosing():
    assert renal_action("metformin", 28) == "avoid" and renal_action("metformin", 59) == "none"
    assert renal_action("linagliptin", 28) == renal_action("linagliptin", 45) == "none"


@evidence
def sglt2():
    assert renal_action("empagliflozin", 28) == "avoid"
    assert "insulin_glargine" in next(each.drugs for each in load().drugs["metformin"].alternatives if each.problem == "renal")


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_verdict_is_what_is_measured(claim):
    EVIDENCE[claim.id]()


def test_every_claim_is_measured_and_nothing_else_is():
    assert [claim.id for claim in CLAIMS] == list(EVIDENCE)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_reason_is_two_sentences(claim):
    assert len(re.findall(r"\.(?= |$)", claim.reason)) == 2, claim.reason


HERE = {claim.command for claim in CLAIMS if not claim.real_line}


@pytest.mark.parametrize("line", sorted(HERE))
def test_the_command_of_a_claim_runs(command, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no runs here: `lesson trace` then asks the simulators alone
    program, *arguments = shlex.split(line)
    done = command(*arguments)
    assert program == "pharmgpt" and done.code == 0 and "ot medical advice" in done.out


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim.real_line], ids=lambda claim: claim.id)
def test_a_claim_for_the_real_line_names_a_command_and_a_figure_that_exist(command, claim):
    _, name, *arguments = shlex.split(claim.command)
    help_text = command(name, "--help").out
    assert all(option in help_text for option in arguments if option.startswith("--"))
    stage, figure = claim.real_line.split(".")
    assert stage in ("pretrain", "sft", "reward", "ppo") and figure in GLOSSARY


def test_the_run_without_pretraining_is_a_recipe_that_is_accepted():
    from pharmgpt import pipeline

    (line,) = (shlex.split(claim.command) for claim in CLAIMS if claim.id == "skip_pretraining")
    setting = line[line.index("--set") + 1]
    assert pipeline.read_recipe(line[2], [setting], None)["pretrain"].steps == 1


def test_docs_claims_is_what_the_command_prints(command):
    assert Path("docs/claims.md").read_text(encoding="utf-8") == claims.as_markdown() == command("lesson", "claims", "--markdown").out


def test_the_list_shows_each_claim_with_verdict_and_command(command):
    said = command("lesson", "claims").out
    assert all(claim.command in said and claim.verdict.upper() in said for claim in CLAIMS)
    assert said.count("(real line)") == sum(bool(claim.real_line) for claim in CLAIMS)
