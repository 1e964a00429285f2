"""Bounds of means: valid for scores of any make, narrow where scores hardly vary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.stats import clopper_pearson, mean_bounds, scores_to_decide

SCORES = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=40)


@given(scores=SCORES)
def test_bounds_hold_the_mean_whatever_a_missing_score_was(scores) -> None:
    whole = mean_bounds(scores, range(len(scores)))
    for filled in (0.0, 1.0):
        own = mean_bounds([filled if s is None else s for s in scores], range(len(scores)))
        assert whole.low <= own.low + 1e-9
        assert own.low <= own.value + 1e-9
        assert own.value <= own.high + 1e-9
        assert own.high <= whole.high + 1e-9


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_turned_scores_have_turned_bounds(scores) -> None:
    found = mean_bounds(scores, range(len(scores)))
    turned = mean_bounds([1 - s for s in scores], range(len(scores)))
    assert found.low == pytest.approx(1 - turned.high, abs=1e-6)


def test_repeated_rows_count_once_and_order_does_not_count() -> None:
    scores = [0.0, 0.25, 0.5, 0.75, 1.0] * 4
    once = mean_bounds(scores, range(20))
    many = mean_bounds(scores * 5, [i % 20 for i in range(100)])
    turned = mean_bounds(scores[::-1], range(20))
    assert (many.low, many.high) == pytest.approx((once.low, once.high))
    assert (turned.low, turned.high) == pytest.approx((once.low, once.high))


@pytest.mark.parametrize("scale", [[0, 1], [0, 0.25, 0.5, 0.75, 1], [0.5, 0.5, 1], [0, 0, 0, 1]])
def test_they_cover_at_least_as_often_as_they_say(scale) -> None:
    rng = np.random.default_rng(0)
    held = [
        found.low <= np.mean(scale) <= found.high
        for found in (mean_bounds(list(rng.choice(scale, 30)), range(30), 0.9) for _ in range(150))
    ]
    assert np.mean(held) >= 0.9


def test_what_bets_cost_beside_exact_limits_and_what_they_gain() -> None:
    shares = mean_bounds([1.0] * 80 + [0.0] * 20, range(100))
    exact = clopper_pearson(80, 100)
    assert exact.high - exact.low < shares.high - shares.low < 1.7 * (exact.high - exact.low)
    steady = mean_bounds([0.75, 0.8] * 50, range(100))
    assert steady.high - steady.low < 0.1


def test_more_rows_of_the_same_make_decide() -> None:
    needed = scores_to_decide([0.5, 1.0], lambda low, high: low >= 0.7)
    found = mean_bounds([0.5, 1.0] * (needed // 2), range(needed // 2 * 2))
    assert found.low >= 0.69
    assert scores_to_decide([0.5], lambda low, high: low >= 0.7) is None
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        mean_bounds([1.5], range(1))
