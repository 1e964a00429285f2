"""Tables: their semantics, and how figures are written."""

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.page import (
    Markup,
    interval_text,
    percent,
    rate_cell,
    rate_text,
    signed_points,
    table,
    untrusted,
)

NAN = math.nan


def parsed(markup):
    return ElementTree.fromstring(markup)


def test_a_table_says_what_its_heads_are():
    made = table(
        ["System", "Rate"],
        [["base", rate_cell(0.06, 0.02, 0.15, 60)], ["<b>", "x"]],
        caption="Rates & more",
        numeric={"Rate"},
        key="a key",
    )
    root = parsed(made)
    assert root.get("role") == "group"
    assert root.get("tabindex") == "0"
    assert root.get("aria-label") == "Rates & more"
    assert "".join(root.find("table/caption").itertext()) == "Rates & more a key"
    heads = [(th.get("scope"), th.get("class"), th.text) for th in root.iter("th")]
    assert heads == [
        ("col", None, "System"),
        ("col", "number", "Rate"),
        ("row", None, "base"),
        ("row", None, "<b>"),
    ]
    assert [td.get("class") for td in root.iter("td")] == ["number", "number"]
    assert "".join(next(root.iter("td")).itertext()) == "6 % (2–15), n 60"


def test_cells_may_hold_markup_and_row_text():
    root = parsed(table(["a", "b"], [[1, untrusted("<i>")]], caption="c"))
    assert next(root.iter("bdi")).text == "<i>"
    assert parsed(table(["a"], [[Markup("<em>x</em>")]], caption="c")).find(".//em") is not None


def test_an_empty_table_says_so():
    cell = next(parsed(table(["a", "b"], [], caption="c")).iter("td"))
    assert (cell.text, cell.get("colspan")) == ("no rows", "2")


@pytest.mark.parametrize("row", [["x"], ["x", "y", "z"], []])
def test_rows_of_another_length_are_refused(row):
    with pytest.raises(ValueError, match="columns"):
        table(["a", "b"], [row], caption="c")


def test_an_unknown_numeric_column_is_refused():
    with pytest.raises(ValueError, match="no column 'z'"):
        table(["a"], [], caption="c", numeric={"z"})


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 %"), (1, "100 %"), (0.66, "66 %"), (0.004, "0.4 %"), (0.0004, "<0.1 %"),
     (0.996, "99.6 %"), (0.99999, ">99.9 %"), (1 - 1e-12, "100 %"), (1e-12, "0 %"),
     (0.009, "1 %"), (NAN, "no rows")],
)  # fmt: skip
def test_percent(value, shown):
    assert percent(value) == shown


@given(st.floats(1e-6, 1 - 1e-6))
def test_a_rate_is_never_rounded_to_none_or_all(value):
    assert percent(value) not in {"0 %", "100 %", "0.0 %", "100.0 %"}


def test_intervals():
    assert interval_text(0.66, 0.54, 0.76) == "66 % (54–76)"
    assert interval_text(1.0, 0.94, 0.9999999999999) == "100 % (94–100)"
    assert interval_text(0.0, 0.0, 0.004) == "0 % (0–0.4)"
    assert interval_text(0.5, NAN, 0.6) == "50 %"
    assert interval_text(NAN, 0.1, 0.2) == "no rows"


@pytest.mark.parametrize("figures", [(0.66, 0.54, 0.76, 60), (0.5, NAN, NAN, 1200), (0.0, 0, 1, 1)])
def test_a_cell_reads_as_its_text(figures):
    assert "".join(parsed(rate_cell(*figures)).itertext()) == rate_text(*figures)


def test_a_rate_without_rows():
    for figures in [(NAN, NAN, NAN, 0), (0.5, 0.4, 0.6, 0), (NAN, 0.4, 0.6, 9)]:
        assert parsed(rate_cell(*figures)).text == rate_text(*figures) == "no rows"
    assert rate_text(0.5, NAN, NAN, 1200) == "50 %, n 1,200"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.123, "+12.3 points"), (-0.04, "−4.0 points"), (0.0, "0.0 points"), (-1e-9, "0.0 points"),
     (1.0, "+100.0 points"), (NAN, "no rows")],
)  # fmt: skip
def test_signed_points(value, shown):
    assert signed_points(value) == shown
