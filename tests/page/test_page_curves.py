"""Lines by step: they say their numbers, keep gaps as gaps, and refuse points out of order."""

import pytest

from selaras.page import Curve, curves


def drawn(*lines: Curve) -> str:
    return curves(lines, x_label="step", y_label="loss")


def test_every_line_is_drawn_twice_with_its_ends_told() -> None:
    page = drawn(Curve("a", [(1, 2.0), (2, 1.5)]), Curve("<b>", [(1, 3.0)]))
    assert page.count("<polyline") == 4
    assert "a: 2 at 1, 1.5 at 2" in page
    assert "&lt;b&gt;: 3 at 1, 3 at 1" in page
    assert "<b>" not in page


def test_what_is_no_number_leaves_a_gap() -> None:
    page = drawn(Curve("a", [(1, 2.0), (2, float("nan")), (3, 1.0)]))
    assert page.count("<polyline") == 4
    assert "nan" not in page.partition("<polyline")[2].partition('stroke="')[0]


def test_nothing_and_one_value_are_charts_too() -> None:
    assert "No data yet" in drawn()
    assert drawn(Curve("a", [(5, 0.0)])).count("<polyline") == 2


def test_points_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="not in order"):
        drawn(Curve("a", [(2, 1.0), (1, 1.0)]))


def test_a_curve_has_a_band_where_its_interval_is_known_and_a_limit_is_named():
    one = Curve("reward", [(0, 0.0), (8, 1.0)], [(-0.2, 0.2), (0.5, 1.5)])
    drawn = curves([one], x_label="step", y_label="rise", limit=("budget", 2.0))
    assert drawn.count('opacity="0.15"') == 2, "for paper and for phones"
    assert drawn.count("budget") == 2
    with pytest.raises(ValueError, match="1 intervals, 2 points"):
        curves([Curve("x", one.points, [(0, 1)])], x_label="step", y_label="rise")
