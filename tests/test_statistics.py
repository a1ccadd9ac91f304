"""Scores, worked by hand."""

import numpy as np
import pytest

from pharmgpt.exam.statistics import bootstrap_interval, ece_score, equal_mass_bins, gain_score, macro_score, mean_score


def test_a_mean_stands_with_n_chance_and_baseline():
    found = mean_score([1, 0, 1, 1], ["a", "b", "c", "d"], chance=0.5, baseline=0.6)
    assert (found.value, found.n, found.chance, found.baseline) == (0.75, 4, 0.5, 0.6)
    assert found.ci95[0] < 0.75 <= found.ci95[1]


def test_a_macro_mean_counts_families_not_questions():
    # family x: (1 + 1 + 1 + 0) / 4 = .75; family y: 0; macro .375, while the plain mean is .6
    found = macro_score([1, 1, 1, 0, 0], ["x", "x", "x", "x", "y"], list("abcde"))
    assert found.value == pytest.approx(0.375)


def test_a_gain_is_the_mean_of_paired_differences():
    found = gain_score([0.5, 1.0, 0.2], [0.4, 0.4, 0.4], ["a", "b", "c"])
    assert found.value == pytest.approx((0.1 + 0.6 - 0.2) / 3) and found.chance == 0


def test_one_cluster_has_no_interval_and_no_answers_have_no_value():
    assert mean_score([1, 0, 1], ["a"] * 3).ci95 is None
    assert mean_score([], []) == (None, 0, None, None, None)


def test_two_opposite_clusters_give_the_widest_interval():
    # the two clusters are drawn (aa, ab, ba, bb): means 1, .5, .5, 0, each in a quarter of the draws
    assert mean_score([1] * 50 + [0] * 50, ["a"] * 50 + ["b"] * 50).ci95 == (0.0, 1.0)


def test_answers_of_one_drug_do_not_count_as_independent():
    values = [1.0] * 60 + [0.0] * 40
    alone = mean_score(values, [str(i) for i in range(100)]).ci95
    by_drug = mean_score(values, [str(i // 10) for i in range(100)]).ci95
    assert by_drug[1] - by_drug[0] > 2 * (alone[1] - alone[0])


def test_the_bootstrap_agrees_with_the_normal_interval_of_independent_answers():
    values = np.random.default_rng(1).normal(0, 1, 400)
    low, high = mean_score(values, [str(i) for i in range(400)]).ci95
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.015)


def test_two_way_clusters_widen_the_interval():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 12, 300), rng.integers(0, 12, 300)
    values = rng.normal(0, 1, 12)[a] + rng.normal(0, 1, 12)[b]
    one, two = mean_score(values, a.astype(str)).ci95, mean_score(values, a.astype(str), also=b.astype(str)).ci95
    assert two[1] - two[0] > one[1] - one[0]


def test_the_same_answers_give_the_same_interval():
    values, clusters = [0.1, 0.5, 0.9, 0.3], list("abca")
    assert mean_score(values, clusters) == mean_score(values, clusters)


def test_calibration_error_of_two_levels_by_hand():
    # ten at .9 of which 7 right: gap .2; ten at .6 of which 6 right: gap 0; each half the mass: .1
    confidence, right = [0.9] * 10 + [0.6] * 10, [1] * 7 + [0] * 3 + [1] * 6 + [0] * 4
    assert ece_score(confidence, right, [str(i) for i in range(20)]).value == pytest.approx(0.1)


def test_bins_hold_equal_mass_and_never_part_equal_confidences():
    spread = equal_mass_bins(np.arange(100) / 100, 10)
    assert [len(part) for part in spread] == [10] * 10
    assert [len(part) for part in equal_mass_bins(np.array([1.0] * 80 + [0.5] * 20), 10)] == [20, 80]


def test_over_confidence_everywhere_costs_its_gap():
    assert ece_score([0.8] * 4, [1, 0, 0, 0], list("abcd")).value == pytest.approx(0.55)


def test_a_value_without_its_cluster_is_refused():
    with pytest.raises(ValueError, match="3 values but 2 cluster ids"):
        mean_score([1.0, 0.0, 1.0], ["a", "b"])


def test_an_interval_needs_no_more_than_weights():
    assert bootstrap_interval(lambda weights: weights.sum(axis=1), ["a", "b", "c"]) == (3.0, 3.0)


def test_answers_that_all_agree_are_not_certain():
    none = mean_score([0.0] * 20, [f"drug{at // 2}" for at in range(20)])
    assert none.value == 0 and none.ci95 == pytest.approx((0, 1 - 0.025 ** (1 / 10)))  # (1 − p)^10 = .025
    assert mean_score([1.0, 1.0], ["a", "b"]).ci95[0] == pytest.approx(0.025 ** (1 / 2))
