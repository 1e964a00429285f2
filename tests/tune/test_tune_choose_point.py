"""The chosen point has the most benefit on the selection rows, and of equals moved the least."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.tune.choose_point import Point, best_point


def point(compliance, scale=1.0, name="c", over=0.0):
    figures = {"compliance_rate": {"value": compliance}, "over_refusal_rate": {"value": over}}
    return Point(name, scale, figures)


def test_benefit_is_compliance_less_over_refusal():
    assert point(0.9, over=0.4).benefit == pytest.approx(0.5)


def test_nothing_scored_is_no_benefit():
    assert point(None, over=0.2).benefit == pytest.approx(-0.2)
    assert point(0.9, over=None).benefit == pytest.approx(0.9)


rates = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0])
points = st.lists(
    st.builds(
        lambda c, o, s, n: point(c, s, n, over=o),
        rates, rates, st.sampled_from([0.3, 0.7, 1.0]), st.sampled_from("abc"),
    ),
    min_size=1,
    max_size=9,
)  # fmt: skip


@given(points)
def test_no_point_has_more_benefit_and_none_as_good_has_a_smaller_scale(found):
    best = best_point(found)
    assert all(one.benefit <= best.benefit + 1e-9 for one in found)
    assert all(one.scale >= best.scale for one in found if one.benefit > best.benefit - 1e-9)


def test_of_equal_points_the_earlier_checkpoint_at_the_smaller_scale_is_taken():
    first = point(0.6, 0.7, "epoch-1", over=0.1)
    later = point(0.6, 0.7, "epoch-2", over=0.1)
    whole = point(0.7, 1.0, "epoch-1", over=0.2)
    assert best_point([whole, first, later]) is first
    assert best_point([whole, later, first]) is later
