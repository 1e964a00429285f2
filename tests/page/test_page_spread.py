"""Charts of the audit page: quantiles and maps say their numbers and fit what they are given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.page import Place, Region, Spread, point_map, spreads

HOSTILE = "<script>alert(1)</script>"


def test_a_spread_says_its_figures() -> None:
    rows = [Spread("ordinary", (2, 5, 9, 12, 31), 167), Spread(HOSTILE, (0, 0, 0, 0, 0), 1)]
    made = spreads(rows, x_label="Words")
    assert "9 (5–12), n 167" in made
    assert "<script" not in made
    assert made.count("<svg") == 2
    assert "No data" in spreads([], x_label="Words")


@pytest.mark.parametrize("quantiles", [(-1, 0, 1, 2, 3), (5, 4, 3, 2, 1)])
def test_what_are_no_quantiles_is_refused(quantiles: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="no quantiles"):
        spreads([Spread("x", quantiles, 3)], x_label="Words")  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 10**6), min_size=5, max_size=5).map(sorted), st.text(max_size=30))
def test_any_quantiles_are_drawn(quantiles: list[int], label: str) -> None:
    made = spreads([Spread(label, tuple(quantiles), 9)], x_label="Words")  # type: ignore[arg-type]
    assert made.startswith("<div")
    assert "nan" not in made


def test_a_map_shows_every_point_and_names_regions() -> None:
    places = [Place(i % 7, i // 7, "ordinary" if i % 2 else "malicious") for i in range(40)]
    made = point_map(places, [Region("oven, rack", 3, 3), Region(HOSTILE, 1, 1)], title="Where",
                     description="Topics: oven")  # fmt: skip
    # Each drawing, for paper and for phones, has all points and the marks of the legend.
    assert made.count('class="mark"') == 2 * (40 + 2)
    assert "oven, rack" in made
    assert "<script" not in made
    assert point_map([], title="Where", description="None").count("<svg") == 2


def test_equal_points_do_not_divide_by_nothing() -> None:
    assert "nan" not in point_map([Place(1, 1, "a")] * 3, title="Where", description="x")
