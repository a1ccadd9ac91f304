"""Best of n: sample n answers, keep the one the judge likes best. Nothing is trained; the cost moves to answering time.

Its KL from the policy is at most ln n − (n − 1)/n nats an answer (Stiennon et al. 2020, arXiv:2009.01325, appendix G.3, as an equality;
a bound by Beirami et al. 2024, arXiv:2401.01879), which puts it on one axis with PPO.
"""
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pharmgpt.train.judge import Item
from pharmgpt.train.rollout import Rollout, items_of


class Best(NamedTuple):
    """The answer kept for one question, and all that it was kept from."""

    question_id: str
    answer: str
    ended: bool
    answers: list[str]
    scores: list[float]


def best_of_n(rollout: Rollout, n: int, judge: Callable[[Sequence[Item]], Sequence[float]]) -> list[Best]:
    """`rollout` holds n answers a question, together, as roll_out(samples_per_question=n) leaves them. Of equal scores the first wins."""
    if n < 1 or len(rollout.answers) % n:
        raise ValueError(f"{len(rollout.answers)} answers are no multiple of n = {n}; sample n answers for each question.")
    scores = list(judge(items_of(rollout)))
    return [_best(rollout, scores, range(start, start + n)) for start in range(0, len(scores), n)]


def kl_bound(n: int) -> float:
    """Nats an answer."""
    return math.log(n) - (n - 1) / n


def _best(rollout: Rollout, scores: Sequence[float], places: range) -> Best:
    best = max(places, key=lambda place: scores[place])
    return Best(rollout.questions[best].id, rollout.answers[best], rollout.ended[best],
                [rollout.answers[place] for place in places], [scores[place] for place in places])
