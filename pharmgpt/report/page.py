"""`write_report(run)` writes run/report.html: one file that needs no network, from whatever the run directory holds.

A file that is missing or damaged is named in its place, and the rest of the page comes out all the same.
"""
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from pharmgpt.report import charts
from pharmgpt.report.collect import Found, Score, Sheet, collect
from pharmgpt.report.glossary import GLOSSARY, NONE, TERMS, metric, show, show_count, show_interval
from pharmgpt.report.summary import fall_of_gold, summary
from pharmgpt.run.directory import write_atomically

COLUMNS = {"pretrain": "base", "experts": "experts", "sft": "SFT", "ppo": "PPO"}
NAMES = COLUMNS | {"reward": "reward model"}
GROUPS = {
    "Right answers": ("gold_seen", "gold_held_drugs", "decision_seen", "decision_held_drugs"),
    "Harm and caution": ("unsafe_rate", "over_caution", "over_refusal"),
    "Interactions": ("interaction_sensitivity", "interaction_specificity"),
    "Knowing when not to answer": ("emergency", "refusal_harmful", "abstain_unknown"),
    "What PPO changed": ("gain_seen", "gain_held_drugs", "over_best_expert_seen", "kl"),
    "Sampled at temperature 1": ("gold_seen_t1", "gold_held_drugs_t1", "gain_seen_t1", "gain_held_drugs_t1", "decision_ece"),
    "The base model, before it can converse": ("cloze_seen", "cloze_held_drugs", "cloze_foreign_seen", "cloze_foreign_held_drugs",
                                               "nats_per_token", "bits_per_byte"),
}
MARKS = {"supported": "✓", "contradicted": "✗", "unknown": "?"}
EXAMPLES, WORST = 6, 3


def write_report(run: Path) -> Path:
    """Write run/report.html and return its path. Raises ReportError if `run` is no directory."""
    found = collect(run)
    environment = Environment(loader=PackageLoader("pharmgpt.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True,
                              undefined=StrictUndefined)
    environment.globals |= {"metric": metric, "show": show, "show_count": show_count, "show_interval": show_interval, "NONE": NONE,
                            "MARKS": MARKS, "NAMES": NAMES}
    write_atomically(run / "report.html", environment.get_template("report.html.j2").render(view(found)))
    return run / "report.html"


def view(found: Found) -> dict:
    """All that the template shows."""
    rows = families(found.sheets)
    fall = fall_of_gold(found.logs["ppo"])
    return {
        "title": title(found), "meta": meta(found), "summary": summary(found), "lesson": found.lesson, "absent": found.absent,
        "columns": COLUMNS, "exam": exam_table(found.results.stages), "judge": judge_rows(found.results.stages),
        "best_expert": found.best_expert,
        "families": rows, "worst": worst_families(rows, found.sheets), "curves": curves(found.logs), "fall": fall,
        "ppo_chart": charts.ppo_chart(found.logs["ppo"], fall), "frontier_chart": charts.frontier_chart(found.logs["ppo"]),
        "family_chart": charts.family_chart(rows), "examples": examples(found), "timings": timings(found.timings),
        "glossary": [(entry.label, entry.sentence) for entry in GLOSSARY.values()], "terms": TERMS, "colours": charts.COLOURS,
        "plotly": charts.plotly_script(),
    }


def title(found: Found) -> str:
    return str(found.results.meta.get("recipe") or found.recipe.get("name") or found.path.resolve().name)


def meta(found: Found) -> list[tuple[str, str]]:
    """What the numbers belong to; no dates, so that the same run gives the same page."""
    known = found.results.meta
    commit, knowledge = (str(known.get(name) or "")[:12] for name in ("commit", "knowledge"))
    changed = " with uncommitted changes" if commit and found.dirty else ""
    rows = [("seed", known.get("seed", found.recipe.get("seed"))), ("commit", commit + changed), ("gold rule", known.get("gold_version")),
            ("knowledge", knowledge), ("device", known.get("device"))]
    return [(name, NONE if value in (None, "") else str(value)) for name, value in rows]


def exam_table(stages: dict) -> list[tuple[str, list[dict]]]:
    """Groups of rows: a metric, its score by stage, and the chance levels and baselines that stand with it."""
    shown = {stage: dict(stages.get(stage, {})) for stage in COLUMNS}
    personas = [name for name in shown["experts"] if name not in ("gold_best", "gold_mean")]
    groups = GROUPS | {"Simulated experts": ("gold_best", "gold_mean", *personas)}
    listed = {name for names in groups.values() for name in names}
    other = tuple(dict.fromkeys(name for scores in shown.values() for name in scores if name not in listed))
    if "gold_best" in shown["experts"]:
        shown["experts"]["gold_seen"] = shown["experts"]["gold_best"]
    tables = [(group, [_row(name, shown) for name in names if any(name in scores for scores in shown.values())])
              for group, names in (groups | {"Other": other}).items()]
    return [(group, rows) for group, rows in tables if rows]


def _row(name: str, shown: dict[str, dict[str, Score]]) -> dict:
    scores = {stage: shown[stage].get(name) for stage in COLUMNS}
    unit = metric(name).unit
    return {"name": name, "scores": scores, "chance": _beside(scores, "chance", unit), "baseline": _beside(scores, "baseline", unit)}


def _beside(scores: dict[str, Score | None], field: str, unit: str) -> str:
    """One figure if all stages share it, else one a stage."""
    values = {stage: getattr(score, field) for stage, score in scores.items() if score is not None and getattr(score, field) is not None}
    written = {stage: show(value, unit) for stage, value in values.items()}
    if len(set(written.values())) <= 1:
        return next(iter(written.values()), NONE)
    return ", ".join(f"{COLUMNS[stage]} {value}" for stage, value in written.items())


def judge_rows(stages: dict) -> list[tuple[str, Score]]:
    """The reward model's scores: the headline ones first, then flaw by flaw, hardest first."""
    scores = stages.get("reward", {})
    flaws = sorted((name for name in scores if name.startswith("flaw_")), key=lambda name: _or_low(scores[name].value))
    first = [name for name in GLOSSARY if name in scores]
    rest = [name for name in scores if name not in first and name not in flaws]
    return [(name, scores[name]) for name in (*first, *rest, *flaws)]


def _or_low(value: float | None) -> float:
    return -1.0 if value is None else value


def families(sheets: dict[str, list[Sheet]]) -> list[dict]:
    """Gold by family: greedy answers on seen drugs for the chart, on held drugs beside them; best PPO gold first."""
    greedy = {stage: [sheet for sheet in marked if sheet.greedy] for stage, marked in sheets.items()}
    names = sorted({sheet.family for marked in greedy.values() for sheet in marked})
    rows = [_family(name, {stage: [s for s in marked if s.family == name] for stage, marked in greedy.items()}) for name in names]
    return sorted(rows, key=lambda row: -_last_gold(row))


def _family(name: str, own: dict[str, list[Sheet]]) -> dict:
    row = {"id": name, "name": name.replace("_", " ")}
    for stage, marked in own.items():
        row[stage] = clustered_mean([s for s in marked if s.pool == "seen"], lambda s: s.gold)
        row[f"{stage}_held"] = clustered_mean([s for s in marked if s.pool == "held_drugs"], lambda s: s.gold)
        keyed = [s for s in marked if s.pool == "seen" and s.keyed]
        row[f"{stage}_decision"] = clustered_mean(keyed, lambda s: float(s.decision == s.keyed), bounds=(0.0, 1.0))
    return row


def _last_gold(row: dict) -> float:
    score = row["ppo"] or row["sft"] or row["ppo_held"] or row["sft_held"]
    return score.value if score else 0.0


def clustered_mean(sheets: Sequence[Sheet], value: Callable[[Sheet], float], bounds: tuple[float, float] = (-2.0, 1.0)) -> Score | None:
    """Mean with a normal 95 % interval whose error is summed by cluster (Liang and Zeger 1986); None without sheets.

    No interval where all agree, or for one cluster: nothing about the spread can be learned from them.
    """
    if not sheets:
        return None
    x = np.array([value(sheet) for sheet in sheets])
    names, own = np.unique([sheet.cluster or sheet.question_id for sheet in sheets], return_inverse=True)
    mean, m = float(x.mean()), len(names)
    if m < 2 or np.ptp(x) == 0:
        return Score(mean, len(x))
    error = 1.96 * float(np.sqrt((np.bincount(own, x - mean) ** 2).sum() * m / (m - 1))) / len(x)
    return Score(mean, len(x), (max(mean - error, bounds[0]), min(mean + error, bounds[1])))


def worst_families(rows: Sequence[dict], sheets: dict[str, list[Sheet]]) -> list[dict]:
    """The families with the lowest gold after the last stage that answered, and what goes wrong in them most often."""
    stage = "ppo" if sheets["ppo"] else "sft"
    seen = [sheet for sheet in sheets[stage] if sheet.greedy and sheet.pool == "seen"]
    named = sorted((row for row in rows if row[stage] is not None), key=lambda row: row[stage].value)[:WORST]
    return [{"name": row["name"], "stage": stage, "score": row[stage], "trouble": _trouble([s for s in seen if s.family == row["id"]])}
            for row in named]


def _trouble(sheets: Sequence[Sheet]) -> str:
    """The commonest fault: an element that is wrong or absent, or a reason for a penalty."""
    faults = Counter(fault for sheet in sheets for fault in _faults(sheet))
    if not faults:
        return ""
    fault, count = faults.most_common(1)[0]
    return f"{fault} in {count} of {len(sheets)}"


def _faults(sheet: Sheet) -> set[str]:
    marks = {f"{name.replace('_', ' ')} {state}" for name, state in sheet.elements.items() if state != "right"}
    return marks | {penalty.partition(":")[0] for penalty in sheet.penalties}


def curves(logs: dict[str, list[dict]]) -> list[dict]:
    """A chart a stage with the two sentences that say how to read it."""
    return [
        {"stage": "pretrain", "name": "Pretraining", "chart": charts.pretrain_chart(logs["pretrain"]), "how":
            "The curve begins near ln V, where the model guesses evenly, and what it gains below the token frequencies it owes to word "
            "order. If the dotted line for unread text turns up while training goes on down, the model is learning its texts by heart."},
        {"stage": "sft", "name": "Supervised fine-tuning", "chart": charts.sft_chart(logs["sft"]), "how":
            "Only the words of the experts' answers count here, so it begins high, where the model cannot converse, and falls fast. "
            "It cannot reach zero, because the experts answer the same question in different words."},
        {"stage": "reward", "name": "Reward model", "chart": charts.reward_chart(logs["reward"]), "how":
            "It begins at 0.69, the loss of having no opinion, and is learning when right preferences on held-back pairs rise above one "
            "half. The scores of chosen and rejected answers should part; only their difference has a meaning."},
        {"stage": "ppo", "name": "PPO, the mechanics", "chart": charts.mechanics_chart(logs["ppo"]), "how":
            "Entropy that falls to nothing, or answers that stop ending, mean that the model has collapsed onto one trick. "
            "Explained variance near 1 means that the value model foresees the rewards; a large clip fraction, that the "
            "steps are too long."},
    ]


def examples(found: Found) -> dict:
    """Exam questions where PPO and SFT differ most, a family at a time, and how many there are of each kind."""
    before = {sheet.question_id: sheet for sheet in found.sheets["sft"] if sheet.greedy}
    both = [(before[sheet.question_id], sheet) for sheet in found.sheets["ppo"] if sheet.greedy and sheet.question_id in before]
    ranked = sorted(both, key=lambda pair: (-abs(pair[1].gold - pair[0].gold), pair[0].question_id))
    better = [(sft, ppo) for sft, ppo in ranked if ppo.gold > sft.gold]
    worse = [(sft, ppo) for sft, ppo in ranked if ppo.gold < sft.gold]
    return {"total": len(both), "better_count": len(better), "worse_count": len(worse),
            "better": [_example(found, *pair) for pair in spread(better)], "worse": [_example(found, *pair) for pair in spread(worse)]}


def spread(pairs: Sequence[tuple[Sheet, Sheet]]) -> list[tuple[Sheet, Sheet]]:
    """The first of every family, then the second of every family …, until there are enough."""
    met: Counter[str] = Counter()
    ranked = []
    for pair in pairs:
        ranked.append((met[pair[0].family], len(ranked), pair))
        met[pair[0].family] += 1
    return [pair for _, _, pair in sorted(ranked, key=lambda entry: entry[:2])[:EXAMPLES]]


def _example(found: Found, before: Sheet, after: Sheet) -> dict:
    question = found.questions.get(before.question_id)
    turns = [(message.role, message.content) for message in question.messages] if question else []
    return {"id": before.question_id, "turns": turns, "family": before.family.replace("_", " "), "held": before.pool == "held_drugs",
            "keyed": before.keyed, "answers": [("sft", before), ("ppo", after)]}


def timings(seconds: dict[str, float]) -> list[tuple[str, float, float]]:
    """(stage, seconds, share of the longest), in the order of the run; the total stands last."""
    stages = {stage: value for stage, value in seconds.items() if stage != "total"}
    longest = max(stages.values(), default=0) or 1.0
    return [(stage, value, value / longest) for stage, value in stages.items()]
