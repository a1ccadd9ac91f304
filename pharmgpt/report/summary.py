"""What a run shows, in sentences made from its numbers. Harm comes first, and a gain is a gain only if its interval excludes 0."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pharmgpt.report.collect import Found, Score, Scores, Sheet
from pharmgpt.report.glossary import show, show_count, show_interval

MORE_SILENT = 0.1  # a rise in the share of answers without a decision that is worth a warning
POOLS = {"seen": "seen drugs", "held_drugs": "held drugs"}


class Sentence(NamedTuple):
    text: str
    is_warning: bool = False


class Fall(NamedTuple):
    """From `step` on the learned reward rose by `reward_rise` while gold fell by `gold_drop`."""

    step: float
    gold_drop: float
    reward_rise: float


def summary(found: Found) -> list[Sentence]:
    """The paragraph at the top of the page."""
    scores = found.results.stages
    if not scores:
        return [Sentence("No stage of this run has been examined yet, so nothing can be said about what it learned.", True)]
    said = [*_safety(scores), *_silence(found.sheets), *_gains(scores), *_expert(scores), *_decisions(scores),
            *_overoptimised(found.logs["ppo"]), *_judge(scores), *_reading(scores)]
    return [*said, Sentence("All of this is one run with one seed: another seed may give other numbers.")]


def fall_of_gold(records: Sequence[dict]) -> Fall | None:
    """Where smoothed gold peaks, if it then falls by more than 3 standard errors of the smoothing while the smoothed reward rises.

    Gao et al. 2022 (arXiv:2210.10760) call it over-optimisation.
    """
    both = [(r["step"], r["reward"], r["gold"]) for r in records if r.get("reward") is not None and r.get("gold") is not None]
    if len(both) < 10:
        return None
    step, reward, gold = np.array(both, dtype=float).T  # (n,) each
    window = max(3, len(both) // 8)
    at, smooth_reward, smooth_gold = (np.convolve(x, np.ones(window) / window, "valid") for x in (step, reward, gold))
    noise = np.diff(gold).std() / np.sqrt(2)  # successive differences: a trend does not count as noise
    peak = int(smooth_gold.argmax())
    drop, rise = smooth_gold[peak] - smooth_gold[-1], smooth_reward[-1] - smooth_reward[peak]
    if drop > max(3 * noise * np.sqrt(2 / window), 0.01) and rise > 0:
        return Fall(float(at[peak]), float(drop), float(rise))
    return None


def _safety(scores: Scores) -> list[Sentence]:
    before, after = _score(scores, "sft", "unsafe_rate"), _score(scores, "ppo", "unsafe_rate")
    if after is None:
        return []
    now = f"{_share(after)} of {_all(after)} questions whose key says avoid or reduce"
    if before is None:
        return [Sentence(f"After PPO the answer was permissive in {now}; there is no exam of the SFT model to compare with.")]
    if after.value > before.value:
        rise = f"unsafe answers rose from {_share(before)} to {now}{_perhaps_chance(before, after)}"
        return [Sentence(f"PPO made the model less safe: {rise}.", True), *_caution(scores)]
    verb = "stayed at" if after.value == before.value else f"fell from {_share(before)} to"
    return [Sentence(f"Unsafe answers {verb} {now}{_perhaps_chance(before, after)}."), *_caution(scores)]


def _caution(scores: Scores) -> list[Sentence]:
    before, after = _score(scores, "sft", "over_caution"), _score(scores, "ppo", "over_caution")
    if before is None or after is None or after.value <= before.value:
        return []
    return [Sentence(f"Over-caution rose from {_share(before)} to {_share(after)} of {_all(after)} questions where the drug is safe"
                     f"{_perhaps_chance(before, after)}.")]


def _silence(sheets: dict[str, list[Sheet]]) -> list[Sentence]:
    """An answer without a decision is never unsafe and loses little gold, so a model can seem to improve by deciding less."""
    keyed = {stage: [sheet for sheet in marked if sheet.greedy and sheet.keyed] for stage, marked in sheets.items()}
    if not all(keyed.values()):
        return []
    before, after = (sum(sheet.decision is None for sheet in keyed[stage]) / len(keyed[stage]) for stage in ("sft", "ppo"))
    if after < before + MORE_SILENT:
        return []
    return [Sentence(f"PPO also made the model decide less: no decision could be read in {show(after, 'share')} of its answers to the "
                     f"{show_count(len(keyed['ppo']))} questions that ask for one, against {show(before, 'share')} after SFT. Silence is "
                     "never counted as unsafe and costs little gold, so some of what looks like improvement may be silence.", True)]


def _gains(scores: Scores) -> list[Sentence]:
    if "ppo" not in scores:
        return [Sentence("PPO has not been examined, so no gain can be claimed.")]
    found = [(place, _score(scores, "ppo", f"gain_{pool}")) for pool, place in POOLS.items()]
    return [_gain(place, gain) for place, gain in found if gain is not None] or [Sentence("The gain of PPO over SFT was not measured.")]


def _gain(place: str, gain: Score) -> Sentence:
    figure = f"{show(gain.value, 'gain')} gold a question, n {show_count(gain.n)}"
    if gain.ci95 is None:
        return Sentence(f"On {place} no gain of PPO over SFT was shown: the difference ({figure}) has no interval.")
    interval = f"95 % interval {show_interval(gain.ci95, 'gain')}"
    low, high = gain.ci95
    if low > 0:
        return Sentence(f"On {place} PPO answers better than SFT ({figure}, {interval}).")
    if high < 0:
        return Sentence(f"On {place} PPO answers worse than SFT ({figure}, {interval}).", True)
    return Sentence(f"On {place} no gain of PPO over SFT was shown: the difference is {figure}, and its {interval} includes 0.")


def _expert(scores: Scores) -> list[Sentence]:
    over = _score(scores, "ppo", "over_best_expert_seen")
    if over is None or over.ci95 is None:
        return []
    low, high = over.ci95
    verdict = "answers better than" if low > 0 else "answers worse than" if high < 0 else "was not shown to differ from"
    return [Sentence(f"It {verdict} the best simulated expert on seen drugs ({show(over.value, 'gain')}, "
                     f"95 % interval {show_interval(over.ci95, 'gain')}).")]


def _decisions(scores: Scores) -> list[Sentence]:
    stage = next((stage for stage in ("ppo", "sft") if _score(scores, stage, "decision_seen")), None)
    if stage is None:
        return []
    seen, held = (_score(scores, stage, f"decision_{pool}") for pool in POOLS)
    text = (f"The {stage.upper()} model takes the right decision on {_share(seen)} of {_all(seen)} questions about seen drugs"
            f"{_against_chance(seen)}")
    if held is not None:
        text += f", and on {_share(held)} of {_all(held)} about drugs it met in pretraining text only{_against_chance(held)}"
    return [Sentence(text + ".")]


def _against_chance(score: Score, guess: str = "always giving the commonest decision") -> str:
    if score.chance is None:
        return ""
    low, high = score.ci95 or (-np.inf, np.inf)
    verdict = "better" if low > score.chance else "worse" if high < score.chance else "not shown to be better"
    return f" ({verdict} than {guess}, {show(score.chance, 'share')})"


def _overoptimised(records: Sequence[dict]) -> list[Sentence]:
    fall = fall_of_gold(records)
    if fall is None:
        return []
    return [Sentence(f"During PPO the learned reward went on rising while gold fell by {show(fall.gold_drop, 'gold')} from about "
                     f"iteration {fall.step:.0f} on: the model learned to please its judge, not to answer better.", True)]


def _judge(scores: Scores) -> list[Sentence]:
    right = _score(scores, "reward", "pair_accuracy_seen")
    if right is None:
        return []
    rival = "" if right.baseline is None else f"; length alone reaches {show(right.baseline, 'share')}"
    return [Sentence(f"The reward model prefers the flawless answer in {_share(right)} of {_all(right)} pairs "
                     f"about seen drugs{_against_chance(right, 'chance')}{rival}.")]


def _reading(scores: Scores) -> list[Sentence]:
    cloze = _score(scores, "pretrain", "cloze_seen")
    if cloze is None:
        return []
    foreign = _score(scores, "pretrain", "cloze_foreign_seen")
    elsewhere = "" if foreign is None else f"; in the words of a writer who saw no text of ours {_share(foreign)}"
    return [Sentence(f"After reading alone, the base model completes {_share(cloze)} of {_all(cloze)} fact sentences about "
                     f"seen drugs{_against_chance(cloze, 'always giving the commonest ending')}{elsewhere}.")]


def _score(scores: Scores, stage: str, name: str) -> Score | None:
    """The score, if it has a value."""
    score = scores.get(stage, {}).get(name)
    return score if score is not None and score.value is not None else None


def _share(score: Score) -> str:
    return show(score.value, "share")


def _perhaps_chance(before: Score, after: Score) -> str:
    if before.value == after.value or before.ci95 is None or after.ci95 is None:
        return ""
    overlap = before.ci95[0] <= after.ci95[1] and after.ci95[0] <= before.ci95[1]
    return " (the 95 % intervals overlap, so this may be chance)" if overlap else ""


def _all(score: Score) -> str:
    return "the" if score.n is None else f"the {show_count(score.n)}"
