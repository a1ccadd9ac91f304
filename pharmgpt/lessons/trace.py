"""One question through everything: to each simulator and, where a run is finished, to the real stages beside them.

The real line is imported only when there is a run to ask: nothing else here needs its engine.
"""
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pharmgpt.lessons.language_model import Model, sample, text_of, tokens_of
from pharmgpt.lessons.material import QUESTIONS
from pharmgpt.lessons.pairs import PAIRS
from pharmgpt.lessons.ppo import PPOConfig, ppo
from pharmgpt.lessons.pretraining import BEGINNING, NEXT, PretrainingConfig, pretraining, probability
from pharmgpt.lessons.reward import Judge, RewardConfig, reward
from pharmgpt.lessons.sft import SFTConfig, sft
from pharmgpt.lessons.true_score import true_score

ASKED = "Can I use metformin if my eGFR is 28?"
QUESTION, PAIR = QUESTIONS[0], PAIRS[0]


class Stop(NamedTuple):
    """What one stage makes of the question: lines for people, numbers for programs."""

    stage: str
    lines: list[str]
    numbers: dict[str, float]


def trace(seed: int) -> list[Stop]:
    """The four simulators, each standing on the one before."""
    pretrained = pretraining(PretrainingConfig(seed=seed)).model
    tuned = sft(SFTConfig(seed=seed), pretrained).model
    judge = reward(RewardConfig(seed=seed)).judge
    improved = ppo(PPOConfig(seed=seed), tuned, judge).model
    rng = np.random.default_rng(seed)
    return [pretraining_stop(pretrained), answering_stop("sft", tuned, judge, rng), reward_stop(judge),
            answering_stop("ppo", improved, judge, rng)]


def pretraining_stop(model: Model) -> Stop:
    p = probability(model, BEGINNING, NEXT)
    return Stop("pretraining", [f"“{BEGINNING} …” → “{greedy(model, BEGINNING)}”   P({NEXT}) = {p:.2f}",
                                f"“{ASKED}” → “{greedy(model, ASKED)}”",
                                "It continues a sentence it has read, and has never met a question: nothing here is an answer."],
                {"p_lactic": p})


def answering_stop(stage: str, model: Model, judge: Judge, rng: np.random.Generator, draws: int = 200) -> Stop:
    """The greedy answer, then the three that are drawn most often."""
    answer = greedy(model, ASKED)
    drawn = Counter(text_of(tokens) for tokens in sample(model, [tokens_of(ASKED)] * draws, rng))
    numbers = {"true_score": true_score(QUESTION, answer), "judge": judge.score(answer)}
    lines = [f"greedy: {answer}   {marked(answer, judge)}"]
    lines += [f"{count / draws:>4.0%} of {draws} draws: {text}   {marked(text, judge)}" for text, count in drawn.most_common(3)]
    return Stop(stage, lines, numbers)


def reward_stop(judge: Judge) -> Stop:
    chosen, rejected = judge.score(PAIR.chosen), judge.score(PAIR.rejected)
    p = 1 / (1 + math.exp(rejected - chosen))
    return Stop("reward", [f"{chosen:+.2f}  {PAIR.chosen}", f"{rejected:+.2f}  {PAIR.rejected}",
                           f"margin {chosen - rejected:+.2f}: the judge gives the first one P = σ(margin) = {p:.3f} of being preferred"],
                {"r_chosen": chosen, "r_rejected": rejected, "p_chosen": p})


def greedy(model: Model, prompt: str) -> str:
    return text_of(sample(model, [tokens_of(prompt)], None)[0])


def marked(answer: str, judge: Judge) -> str:
    return f"[true score {true_score(QUESTION, answer):+.2f}, judge {judge.score(answer):+.2f}]"


# ---- the real stages

REAL_STAGES = {"pretraining": "pretrain", "sft": "sft", "reward": "reward", "ppo": "ppo"}


def finished_run(run: Path | None) -> Path | None:
    """The run a person named (RunError if it is none), or the newest finished one, or None."""
    from pharmgpt.run.directory import RunError, newest_run

    if run is not None:
        if not (run / "recipe.toml").is_file():
            raise RunError(f"{run}: not a run directory (it has no recipe.toml); make one with `pharmgpt run --out {run}`")
        return run
    try:
        return newest_run(Path("runs"))
    except RunError:
        return None


def trace_run(run: Path) -> Iterator[Stop]:
    """What the finished stages of a run make of the same question, and its judge of the same pair."""
    from pharmgpt import pipeline
    from pharmgpt.text.records import PlainPair

    session = pipeline.open_session(run)
    for stage in REAL_STAGES.values():
        if not (run / stage / "manifest.json").is_file():
            continue
        if stage == "reward":
            scored = next(pipeline.score_pairs(run, [PlainPair(ASKED, PAIR.chosen, PAIR.rejected)]))
            chosen, rejected = scored["reward_chosen"], scored["reward_rejected"]
            yield Stop(stage, [f"{chosen:+.2f}  {PAIR.chosen}", f"{rejected:+.2f}  {PAIR.rejected}"],
                       {"r_chosen": chosen, "r_rejected": rejected})
        else:
            answer = session.ask(ASKED, stage)
            score = {} if answer.reward is None else {"judge": answer.reward}
            judged = "".join(f"   [judge {reward:+.2f}]" for reward in score.values())
            yield Stop(stage, [f"greedy: {answer.answer}{judged}", *(f"{status}: {text}" for text, status, _ in answer.sentences())], score)
