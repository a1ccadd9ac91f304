"""Scores with their n, 95 % interval, chance level and baseline.

Intervals come from a cluster bootstrap: whole clusters (a drug, or a pair of drugs) are drawn with replacement, because answers about one
drug succeed or fail together. With ids for two ways (`also`) every observation is weighed by the product of its clusters' multiplicities,
Owen's pigeonhole bootstrap (2007), which errs on the wide side. The draws are seeded: the same answers give the same interval.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

DRAWS, LEVEL, SEED = 2000, 0.95, 0
Statistic = Callable[[np.ndarray], np.ndarray]  # weights (draws, n) → a value a draw; nan where a draw leaves nothing


class Score(NamedTuple):
    """A figure of results.json; what does not apply is None."""

    value: float | None
    n: int | None
    ci95: tuple[float, float] | None
    chance: float | None
    baseline: float | None


def mean_score(
    values: Sequence[float],
    clusters: Sequence[str],
    *,
    chance: float | None = None,
    baseline: float | None = None,
    also: Sequence[str] | None = None,
) -> Score:
    """Mean over observations. Where all are 0 or all are 1, resampling would look certain, so the interval is then exact."""
    x = np.asarray(values, dtype=float)
    return _unless_unanimous(score(lambda weights: _weighted_mean(weights, x), len(x), clusters, chance, baseline, also), x, clusters)


def _unless_unanimous(found: Score, x: np.ndarray, clusters: Sequence[str]) -> Score:
    if len(x) and ((x == 0).all() or (x == 1).all()):
        return found._replace(ci95=unanimous_interval(int(x[0]), len(set(clusters))))
    return found


def unanimous_interval(outcome: int, clusters: int) -> tuple[float, float]:
    """Clopper and Pearson (1934) over clusters that all agree: 0 of 10 is 0 to .31."""
    from scipy.stats import binomtest  # here, or whoever asks a question waits for it
    low, high = binomtest(outcome * clusters, clusters).proportion_ci(LEVEL, method="exact")
    return float(low), float(high)


def macro_score(
    values: Sequence[float],
    groups: Sequence[str],
    clusters: Sequence[str],
    *,
    chance: float | None = None,
    baseline: float | None = None,
    also: Sequence[str] | None = None,
) -> Score:
    """Mean of the groups' means: a family with many questions counts no more than one with few."""
    x = np.asarray(values, dtype=float)
    members = [np.asarray(groups) == group for group in dict.fromkeys(groups)]

    def statistic(weights: np.ndarray) -> np.ndarray:
        means = np.stack([_weighted_mean(weights[:, member], x[member]) for member in members])
        present = ~np.isnan(means)  # a draw may leave a small family empty: the mean is over those it holds
        count = present.sum(axis=0)
        return np.where(count > 0, np.where(present, means, 0).sum(axis=0) / np.maximum(count, 1), np.nan)

    return _unless_unanimous(score(statistic, len(x), clusters, chance, baseline, also), x, clusters)


def gain_score(after: Sequence[float], before: Sequence[float], clusters: Sequence[str], *, also: Sequence[str] | None = None) -> Score:
    """Paired mean difference; no gain is chance."""
    return mean_score(np.asarray(after, dtype=float) - np.asarray(before, dtype=float), clusters, chance=0.0, also=also)


def ece_score(confidence: Sequence[float], right: Sequence[float], clusters: Sequence[str], bins: int = 10) -> Score:
    """Expected calibration error: Σ |mean confidence − accuracy| · share, over bins of equal mass."""
    p, y = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    members = [np.asarray(part) for part in equal_mass_bins(p, bins)]

    def statistic(weights: np.ndarray) -> np.ndarray:
        gaps = (
            np.stack([np.abs((weights[:, part] * (p - y)[part]).sum(axis=1)) for part in members])
            if members
            else np.zeros((1, len(weights)))
        )
        return _divide(gaps.sum(axis=0), weights.sum(axis=1))

    return score(statistic, len(p), clusters, None, None, None)


def equal_mass_bins(confidence: np.ndarray, bins: int) -> list[np.ndarray]:
    """Indices in order of confidence, in bins of nearly equal size; equal confidences share the bin where their run begins."""
    order = np.argsort(confidence, kind="stable")
    ordered = confidence[order]
    starts = np.searchsorted(ordered, ordered, side="left")
    own = np.minimum(starts * bins // max(len(ordered), 1), bins - 1)
    return [order[own == number] for number in range(bins) if (own == number).any()]


def score(
    statistic: Statistic, n: int, clusters: Sequence[str], chance: float | None, baseline: float | None, also: Sequence[str] | None = None
) -> Score:
    """A statistic of weighted observations, with its bootstrap interval; nothing to count gives no value."""
    if len(clusters) != n or also is not None and len(also) != n:
        raise ValueError(
            f"{n} values but {len(clusters)} cluster ids"
            + ("" if also is None else f" and {len(also)} of the second way")
            + ": give each value one"
        )
    if n == 0:
        return Score(None, 0, None, chance, baseline)
    value = float(statistic(np.ones((1, n)))[0])
    return Score(value, n, bootstrap_interval(statistic, clusters, also), chance, baseline)


def bootstrap_interval(
    statistic: Statistic, clusters: Sequence[str], also: Sequence[str] | None = None, draws: int = DRAWS
) -> tuple[float, float] | None:
    """Percentile interval over resampled clusters; None for a single cluster, from which nothing about spread can be learned."""
    if len(set(clusters)) < 2:
        return None
    rng = np.random.default_rng(SEED)
    values = []
    for _ in range(0, draws, 500):  # in blocks, so that weights stay small in memory
        weights = _draw(rng, clusters, 500)
        values.append(statistic(weights if also is None else weights * _draw(rng, also, 500)))
    found = np.concatenate(values)[:draws]
    low, high = np.nanpercentile(found, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2])
    return float(low), float(high)


def _draw(rng: np.random.Generator, clusters: Sequence[str], draws: int) -> np.ndarray:
    """(draws, n): how often each observation's cluster was drawn."""
    names, own = np.unique(np.asarray(clusters), return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return counts[:, own].astype(float)


def _weighted_mean(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    return _divide((weights * x).sum(axis=1), weights.sum(axis=1))


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
