"""The table of counts: every number is there, and too few is told without colour."""

from selaras.page import CountCell, counts, untrusted


def test_thin_cells_say_what_is_asked() -> None:
    grid = {("hate", "safe"): CountCell(0, 5), ("hate", "bad"): CountCell(2, 5),
            ("off", "safe"): CountCell(1200, 5, "3 sealed")}  # fmt: skip
    made = counts(grid, ["safe", "bad"], caption="Rows")
    assert '<td class="empty"><b>0 of 5</b>' in made
    assert '<td class="short"><b>2 of 5</b>' in made
    assert "1,200" in made
    assert "3 sealed" in made
    assert "Framed: too few rows." in made
    assert made.count("<td") == 4


def test_nothing_is_framed_where_nothing_is_asked() -> None:
    made = counts({("<b>", "x"): CountCell(0)}, ["x"], caption="Rows")
    assert "Framed" not in made
    assert "&lt;b&gt;" in made


def test_marks_survive_what_is_in_the_text() -> None:
    made = untrusted("a<b>\x00c", marks=[(1, 4), (3, 99), (50, 60)])
    assert "<mark>&lt;b&gt;</mark>" in made
    assert "U+0000" in made
    assert "<b>" not in made
