"""Pairs that must alarm and pairs that must not, by rule family, written by hand from labels and the consensus lists."""
import tomllib
from pathlib import Path

import pytest

from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.rules import interactions

KB = load()
FAMILIES = tomllib.loads((Path(__file__).parent / "data" / "pairs.toml").read_text(encoding="utf-8"))["family"]
SCALE = ("none", "minor", "moderate", "major", "contraindicated")


def severity(a, b):
    assert {a, b} <= KB.drugs.keys()
    found = interactions(KB, a, b)
    return found[0].severity if found else "none"


@pytest.mark.parametrize(("a", "b", "least"), [pair for family in FAMILIES for pair in family["must"]])
def test_a_dangerous_pair_alarms_whichever_way_it_is_asked(a, b, least):
    assert SCALE.index(severity(a, b)) >= SCALE.index(least) and severity(a, b) == severity(b, a)


@pytest.mark.parametrize(("a", "b", "most"), [pair for family in FAMILIES for pair in family["must_not"]])
def test_a_pair_that_goes_together_raises_no_false_alarm(a, b, most):
    assert SCALE.index(severity(a, b)) <= SCALE.index(most)


def test_every_family_has_pairs_of_both_kinds():
    assert all(len(family["must"]) >= 4 and len(family["must_not"]) >= 3 for family in FAMILIES if family["must"])
