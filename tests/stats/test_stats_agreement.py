"""Cohen's kappa against statsmodels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from selaras.stats import cohen_kappa

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def raters(n: int, agree: float) -> tuple[list[int], list[int]]:
    rng = np.random.default_rng(n)
    first, other = rng.integers(0, 3, n), rng.integers(0, 3, n)
    return first.tolist(), np.where(rng.random(n) < agree, first, other).tolist()


@settings(max_examples=50, deadline=None, database=None)
@given(pairs)
def test_kappa_agrees_with_statsmodels_and_is_symmetric(data: list[tuple[int, int]]) -> None:
    a, b = [row[0] for row in data], [row[1] for row in data]
    ours = cohen_kappa(a, b)
    if len(set(a) | set(b)) == 1:
        assert math.isnan(ours.value)
        assert (ours.low, ours.high) == (-1, 1)
        return
    table = np.zeros((4, 4))
    np.add.at(table, (a, b), 1)
    assert ours.value == pytest.approx(cohens_kappa(table, return_results=False), abs=1e-12)
    assert -1 <= ours.low <= ours.value <= ours.high <= 1
    assert cohen_kappa(b, a).value == pytest.approx(ours.value, abs=1e-12)


def test_interval_is_near_the_asymptotic_one() -> None:
    a, b = raters(600, 0.6)
    table = np.zeros((3, 3))
    np.add.at(table, (a, b), 1)
    theirs = cohens_kappa(table)
    ours = cohen_kappa(a, b)
    expected = (theirs.kappa_low, theirs.kappa_upp)
    assert (ours.low, ours.high) == pytest.approx(expected, abs=0.015)


def test_labels_may_be_anything_hashable_and_the_seed_decides() -> None:
    a, b = raters(80, 0.5)
    names = ["safe", ("unsafe", 1), None]
    plain = cohen_kappa(a, b, seed=3)
    assert cohen_kappa([names[x] for x in a], [names[x] for x in b], seed=3) == plain
    assert cohen_kappa(a, b, seed=4).low != plain.low


def test_kappa_without_information_is_nan() -> None:
    for interval in (cohen_kappa([], []), cohen_kappa(["x"] * 9, ["x"] * 9)):
        assert math.isnan(interval.value)
        assert (interval.low, interval.high) == (-1, 1)


def test_two_different_constant_raters_agree_at_chance() -> None:
    assert cohen_kappa(["x"] * 9, ["y"] * 9).value == 0


def test_bad_arguments_raise() -> None:
    with pytest.raises(ValueError, match="against"):
        cohen_kappa(["x"], [])
    with pytest.raises(ValueError, match="confidence"):
        cohen_kappa(["x"], ["x"], confidence=0)
