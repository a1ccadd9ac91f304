"""The report: honest sentences, every number with its company, and a page that comes out whatever is missing."""
import json
import math
import re
from html.parser import HTMLParser

import pytest

from pharmgpt.report.collect import ReportError, Score, Sheet, collect
from pharmgpt.report.glossary import show, show_interval
from pharmgpt.report.page import clustered_mean, examples, spread, write_report
from pharmgpt.report.summary import fall_of_gold, summary

FAMILIES = ("renal", "interaction", "pregnancy", "medication_list", "emergency", "unknown_drug", "harmful", "monitoring")
PLOTLY = re.compile(r"<script>/\*\*.*?</script>", re.DOTALL)


def score(value, low=None, high=None, n=200, chance=None, baseline=None):
    return {"value": value, "n": n, "ci95": None if low is None else [low, high], "chance": chance, "baseline": baseline}


def stage_scores(gold, unsafe):
    return {"gold_seen": score(gold, gold - .05, gold + .05, baseline=.55), "gold_held_drugs": score(gold - .3, gold - .36, gold - .24),
            "decision_seen": score(.5 + gold / 4, .55, .7, chance=.31), "decision_held_drugs": score(.33, .28, .38, chance=.31),
            "unsafe_rate": score(unsafe, unsafe - .02, unsafe + .02, n=120), "over_caution": score(.2, .15, .25, n=80),
            "decision_ece": score(.1, .05, .15), "emergency": score(None, n=0)}


def results(gain=(.1, .05, .15), unsafe=(.12, .06)):
    ppo = stage_scores(.5, unsafe[1]) | {"gain_seen": score(*gain, chance=0.0), "over_best_expert_seen": score(-.05, -.12, .02),
                                           "kl": score(3.2, n=None)}
    return {"meta": {"gold_version": "1", "recipe": "tiny", "seed": 7, "knowledge": "k" * 64, "commit": "0123456789abcdef",
                     "device": "2 cores"},
            "stages": {"pretrain": {"cloze_seen": score(.41, .36, .46, chance=.22), "cloze_foreign_seen": score(.29, .25, .33, chance=.22),
                                    "nats_per_token": score(2.2, n=None, chance=math.log(2048), baseline=5.3)},
                       "experts": {"gold_best": score(.55, .5, .6), "gold_mean": score(.4, n=1000), "gold_nurse": score(.38, .3, .46)},
                       "sft": stage_scores(.4, unsafe[0]), "ppo": ppo,
                       "reward": {"pair_accuracy_seen": score(.84, .8, .88, chance=.5, baseline=.53),
                                  "flaw_garbled": score(.99, .97, 1.0, chance=.5, baseline=.6),
                                  "flaw_wrong_threshold": score(.58, .5, .66, chance=.5, baseline=.5)}}}


def sheets(stage, per_family):
    for number, family in enumerate(FAMILIES):
        for item in range(per_family):
            gold = round(math.sin(3 * number + item * (1.3 if stage == "ppo" else 1)) * .5 + .3, 3)
            yield {"question_id": f"{family}-{item}", "family": family, "pool": "held_drugs" if item % 4 == 3 else "seen",
                   "greedy": True, "sample": 0, "answer": "Metformin has an eGFR cut-off of 30, and 28 is below 30. Avoid metformin.",
                   "ended": True, "gold": gold, "decision": "avoid" if gold > 0 else None, "keyed": "avoid", "severity": "",
                   "unsafe": gold < -.15,
                   "elements": {"decision": "right" if gold > 0 else "absent", "threshold": "wrong" if gold < .3 else "right"},
                   "penalties": ["repeated: Avoid metformin."] if gold < -.1 else [], "cluster": f"drug{item % 5}"}


def questions(per_family):
    for family in FAMILIES:
        for item in range(per_family):
            yield {"id": f"{family}-{item}", "family": family, "key": [], "decision": "avoid", "severity": "", "part": "exam",
                   "pool": "seen",
                   "messages": [{"role": "user", "content": f"can my gran take metformin, eGFR {20 + item}?"}]}


def ppo_log(steps=40, peak=None):
    """Reward climbs throughout; gold climbs to `peak`, and falls after it as fast."""
    def gold(step):
        return .3 + .005 * (step if peak is None else peak - abs(step - peak))
    updates = [{"step": s, "reward": .04 * s, "gold": gold(s) + .004 * (-1) ** s, "unsafe": .1, "kl": .08 * s, "entropy": 1 - .01 * s,
                "clip_fraction": .1, "explained_variance": .5, "length": 40.0, "ended": .98} for s in range(1, steps + 1)]
    return [{"step": s, "dev_reward": .04 * s, "dev_gold": gold(s)} for s in range(0, steps + 1, 10)] + updates


def pretrain_log(steps=60):
    return ([{"step": 0, "ln_vocab": math.log(2048), "unigram_entropy": 5.3}]
            + [{"step": s, "loss": 2 + 5.6 * math.exp(-s / 12), "bits_per_byte": .9 + 2 * math.exp(-s / 12)} for s in range(1, steps + 1)]
            + [{"step": s, "dev_loss": 2.1 + 5.6 * math.exp(-s / 12), "dev_bits_per_byte": 1 + 2 * math.exp(-s / 12)}
               for s in (20, 40, 60)])


def reward_log(steps=40):
    updates = [{"step": s, "loss": .69 - .008 * s, "margin": .05 * s, "accuracy": .5 + .008 * s, "r_chosen": .02 * s,
                "r_rejected": -.03 * s} for s in range(steps)]
    return [*updates, {"step": steps, "dev_loss": .42, "dev_accuracy": .8, "dev_accuracy_by_flaw": {"garbled": .9}}]


LESSON = [{"id": "", "prompt": "Can I use metformin if eGFR is 28?", "stage": stage, "answer": answer, "reward": reward,
           "checks": [{"text": answer, "status": status, "fact_ids": facts}] if status else []}
          for stage, answer, reward, status, facts in (
              ("pretrain", "<b>Metformin</b> is a & metformin is", None, None, []),
              ("sft", "Yes, metformin is safe.", -.4, "contradicted", ["metformin.renal.0"]),
              ("ppo", "Avoid metformin: 28 is below 30.", 1.25, "supported", ["metformin.renal.0"]))]


def make_run(path, per_family=8, **changes):
    """A synthetic run directory; `changes` replace whole files by name, None leaves one out."""
    log = [{"step": s, "loss": 3 * math.exp(-s / 9) + .6, "dev_loss": 3 * math.exp(-s / 9) + .7} for s in range(1, 30)]
    files = {"results.json": results(), "lesson.json": LESSON,
             "timings.json": {"corpus": 4.0, "pretrain": 80.5, "exam/ppo": 12.25, "total": 96.75},
             "pretrain/metrics.jsonl": pretrain_log(), "sft/metrics.jsonl": log, "reward/metrics.jsonl": reward_log(),
             "ppo/metrics.jsonl": ppo_log(),
             "exam/sft/transcripts.jsonl": list(sheets("sft", per_family)), "exam/ppo/transcripts.jsonl": list(sheets("ppo", per_family)),
             "exam/experts/best.json": {"expert": "nurse"}, "corpus/questions-exam.jsonl": list(questions(per_family)),
             "recipe.toml": 'name = "tiny"\nseed = 7\n'} | changes
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        if content is not None:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(_text(name, content), encoding="utf-8")
    return path


def _text(name, content):
    if isinstance(content, str):
        return content
    return "".join(json.dumps(record) + "\n" for record in content) if name.endswith(".jsonl") else json.dumps(content)


def said(run):
    return [sentence.text for sentence in summary(collect(run))]


def words(page):
    """The page without scripts and styles."""
    return re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)


def test_the_page_stands_alone_and_holds_plotly_once(tmp_path):
    page = write_report(make_run(tmp_path / "run")).read_text(encoding="utf-8")
    assert len(PLOTLY.findall(page)) == 1
    own = PLOTLY.sub("", page)
    assert not re.findall(r"""(?:src|href)=["'](?!#)[^"']*|@import|url\(""", own)
    assert own.count("Not medical advice") == 2
    assert own.index("Not medical advice") < own.index("<h1>") and own.rindex("Not medical advice") > own.index('id="glossary"')
    charts = ("pretrain", "sft", "reward", "ppo", "frontier", "mechanics", "families")
    assert {f"chart-{name}" for name in charts} == set(re.findall(r'id="(chart-[a-z]+)"', own))


def test_the_same_run_gives_the_same_bytes(tmp_path):
    run = make_run(tmp_path / "run")
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_sections_come_in_the_promised_order(tmp_path):
    page = words(write_report(make_run(tmp_path / "run")).read_text(encoding="utf-8"))
    assert re.findall(r'<h2 id="(\w+)"', page) == ["question", "exam", "families", "curves", "ppo", "examples", "time", "glossary"]


def test_every_tag_that_opens_closes(tmp_path):
    class Balance(HTMLParser):
        open_tags: list = []

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "br"):
                self.open_tags.append(tag)

        def handle_endtag(self, tag):
            assert self.open_tags.pop() == tag, self.getpos()

    Balance().feed(words(write_report(make_run(tmp_path / "run")).read_text(encoding="utf-8")))
    assert Balance.open_tags == []


def test_text_of_models_is_escaped(tmp_path):
    page = words(write_report(make_run(tmp_path / "run")).read_text(encoding="utf-8"))
    assert "&lt;b&gt;Metformin&lt;/b&gt; is a &amp; metformin is" in page and "<b>Metformin</b>" not in page


def test_an_empty_directory_still_gives_a_page_that_says_what_is_missing(tmp_path):
    page = words(write_report(tmp_path).read_text(encoding="utf-8"))
    for name in ("results.json", "lesson.json", "timings.json", "recipe.toml", "corpus/questions-exam.jsonl", "exam/sft/transcripts.jsonl",
                 "exam/ppo/transcripts.jsonl", *(f"{stage}/metrics.jsonl" for stage in ("pretrain", "sft", "reward", "ppo"))):
        assert f"{name} is not in this run." in page
    assert "No stage of this run has been examined yet" in page


@pytest.mark.parametrize("name", ["results.json", "lesson.json", "timings.json", "recipe.toml", "corpus/questions-exam.jsonl",
                                  "pretrain/metrics.jsonl", "sft/metrics.jsonl", "reward/metrics.jsonl", "ppo/metrics.jsonl",
                                  "exam/sft/transcripts.jsonl", "exam/ppo/transcripts.jsonl", "exam/experts/best.json"])
def test_any_one_file_may_be_missing_or_damaged(tmp_path, name):
    (tmp_path / "missing").mkdir()
    for run, content in ((tmp_path / "missing", None), (tmp_path / "damaged", '{"cut of')):
        page = words(write_report(make_run(run, per_family=4, **{name: content})).read_text(encoding="utf-8"))
        assert name in page or name == "exam/experts/best.json"


def test_no_directory_is_refused_with_the_fix(tmp_path):
    with pytest.raises(ReportError, match="pharmgpt run"):
        write_report(tmp_path / "nowhere")


def test_more_unsafe_answers_are_said_first(tmp_path):
    first = said(make_run(tmp_path / "run", **{"results.json": results(unsafe=(.06, .12))}))[0]
    assert first == ("PPO made the model less safe: unsafe answers rose from 6.0\u202f% to 12.0\u202f% "
                     "of the 120 questions whose key says avoid or reduce.")


def test_a_rise_within_the_intervals_is_said_to_be_perhaps_chance(tmp_path):
    first = said(make_run(tmp_path / "run", **{"results.json": results(unsafe=(.06, .07))}))[0]
    assert "rose from 6.0\u202f% to 7.0\u202f%" in first and "may be chance" in first


@pytest.mark.parametrize(("gain", "verdict"), [
    ((.02, -.03, .07), "no gain of PPO over SFT was shown"), ((.1, .05, .15), "PPO answers better than SFT"),
    ((-.1, -.15, -.05), "PPO answers worse than SFT"), ((.1,), "no gain of PPO over SFT was shown")])
def test_a_gain_is_claimed_only_if_its_interval_excludes_zero(tmp_path, gain, verdict):
    text = " ".join(said(make_run(tmp_path / "run", **{"results.json": results(gain=gain)})))
    assert verdict in text
    assert ("PPO answers better" in text) == (gain == (.1, .05, .15))


def test_a_decision_no_better_than_the_commonest_one_is_called_so(tmp_path):
    text = " ".join(said(make_run(tmp_path / "run")))
    assert "not shown to be better than always giving the commonest decision, 31.0\u202f%" in text  # held drugs: 0.28 to 0.38
    assert "(better than always giving the commonest decision, 31.0\u202f%)" in text  # seen drugs: 0.55 to 0.70


def test_what_the_base_completes_in_foreign_words_is_said_beside_what_it_completes_in_ours(tmp_path):
    text = " ".join(said(make_run(tmp_path / "run")))
    assert "completes 41.0\u202f%" in text and "in the words of a writer who saw no text of ours 29.0\u202f%" in text


def test_a_model_that_stops_deciding_is_called_silent(tmp_path):
    silent = [sheet | {"decision": None} for sheet in sheets("ppo", 8)]
    text = said(make_run(tmp_path / "run", **{"exam/ppo/transcripts.jsonl": silent}))[1]
    assert "no decision could be read in 100.0\u202f% of its answers to the 64 questions" in text
    assert not any("decide less" in sentence for sentence in said(make_run(tmp_path / "run")))


def test_a_run_without_ppo_claims_nothing_about_it(tmp_path):
    known = results()
    del known["stages"]["ppo"]
    assert "PPO has not been examined, so no gain can be claimed." in said(make_run(tmp_path / "run", **{"results.json": known}))


def test_gold_that_falls_while_reward_rises_is_found_at_its_peak():
    fall = fall_of_gold(ppo_log(peak=20))
    assert abs(fall.step - 20) <= 2 and fall.gold_drop == pytest.approx(.09, abs=.02) and fall.reward_rise > 0


def test_gold_that_rises_with_the_reward_is_no_fall():
    assert fall_of_gold(ppo_log()) is None
    assert fall_of_gold(ppo_log(steps=6, peak=2)) is None  # too few to tell


def test_a_fall_within_the_noise_is_no_fall():
    noisy = [{"step": s, "reward": .1 * s, "gold": .3 + .1 * (-1) ** s - .0005 * s} for s in range(40)]
    assert fall_of_gold(noisy) is None


def test_nulls_are_em_dashes_and_minus_is_a_minus():
    assert (show(None, "share"), show(float("nan"), "gold"), show_interval(None, "gold")) == ("—", "—", "—")
    assert (show(-.125, "gain"), show(.5, "gain"), show(.071, "share")) == ("−0.12", "+0.50", "7.1\u202f%")
    assert (show(-.001, "gold"), show(0.0, "gain")) == ("0.00", "0.00")
    assert show_interval((-.03, .07), "gain") == "−0.03 to +0.07"


def test_the_interval_of_a_family_counts_drugs_not_answers():
    def sheet(gold, cluster):
        return Sheet("q", "renal", "seen", True, "", gold, cluster=cluster)

    two = [sheet(0.0, "a")] * 2 + [sheet(1.0, "b")] * 2  # deviations summed by drug: -1, +1; error = sqrt(2 · 2/1) / 4 = .5
    found = clustered_mean(two, lambda s: s.gold)
    assert (found.value, found.n) == (.5, 4) and found.ci95 == pytest.approx((.5 - .98, 1.0))  # gold ends at 1
    assert clustered_mean(two[:2], lambda s: s.gold) == Score(0.0, 2)
    assert clustered_mean(two, lambda s: 1.0) == Score(1.0, 4)  # all agree: no interval, not one of width 0
    assert clustered_mean([], lambda s: s.gold) is None


def test_examples_are_the_largest_differences_one_of_each_family_first(tmp_path):
    found = collect(make_run(tmp_path / "run"))
    shown = examples(found)
    assert len(shown["better"]) == len(shown["worse"]) == 6
    assert len({one["family"] for one in shown["better"]}) == 6
    assert all(before.gold < after.gold for one in shown["better"] for (_, before), (_, after) in [one["answers"]])
    assert all(before.gold > after.gold for one in shown["worse"] for (_, before), (_, after) in [one["answers"]])
    assert shown["better_count"] + shown["worse_count"] <= shown["total"] == 64


def test_a_single_family_fills_its_examples_in_order():
    pairs = [(Sheet(str(n), "renal", "seen", True, "", 0.0), Sheet(str(n), "renal", "seen", True, "", 1 - n / 10)) for n in range(8)]
    assert [before.question_id for before, _ in spread(pairs)] == ["0", "1", "2", "3", "4", "5"]
