"""Charts: well-formed, told in words, nothing on top of anything, no data said as such."""

import math
import random
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selaras.page import Banded, BarRow, HeatCell, Point, banded, heat, interval_bars, tradeoff
from selaras.page._heat import level
from selaras.page._labels import Anchor, Box, place
from selaras.page._svg import SIZE, fit, mark, number, text_width, wrap

NAN = math.nan
SVG = "{http://www.w3.org/2000/svg}"
SIX = [
    ("base", 0.02, 0.06),
    ("prompted", 0.12, 0.17),
    ("tuned, naive", 0.88, 1.0),
    ("tuned, balanced", 0.10, 0.58),
    ("guarded", 0.24, 0.66),
    ("prompted + guarded", 0.31, 0.71),
]
WORDS = {
    "x_label": "Over-refusal rate",
    "y_label": "Compliance rate",
    "x_better": "low",
    "y_better": "high",
}


def point(label, x, y, spread=0.1, **more):
    around = [(max(0, v - spread), min(1, v + spread)) for v in (x, y)]
    return Point(label, x, *around[0], y, *around[1], **more)


def drawings(chart):
    root = ElementTree.fromstring(chart)
    found = root.findall(f"{SVG}svg")
    assert [svg.get("class") for svg in found] == ["wide", "narrow"]
    return found


def texts(svg):
    return ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]


def box_of(text):
    """The largest box that a text may take, from what is written in the SVG."""
    x, y = float(text.get("x")), float(text.get("y"))
    size = float(text.get("font-size", SIZE))
    width = text_width("".join(text.itertext()), size, bold=text.get("font-weight") is not None)
    left = {"end": x - width, "middle": x - width / 2}.get(text.get("text-anchor"), x)
    return Box(left, y - size * 0.8, left + width, y + size * 0.2)


def boxes_of_marks(svg):
    for shape in svg.iter():
        if shape.get("class") != "mark":
            continue
        if shape.tag == f"{SVG}circle":
            x, y, r = (float(shape.get(name)) for name in ("cx", "cy", "r"))
            yield Box(x - r, y - r, x + r, y + r)
        else:
            pairs = [pair.split(",") for pair in shape.get("points").split()]
            xs, ys = [float(p[0]) for p in pairs], [float(p[1]) for p in pairs]
            yield Box(min(xs), min(ys), max(xs), max(ys))


def assert_clear(svg, *, marks=True):
    """No text on another text or, with `marks`, on a mark; none outside the drawing."""
    _, _, width, height = (float(v) for v in svg.get("viewBox").split())
    boxes = [(box_of(text), "".join(text.itertext())) for text in svg.iter(f"{SVG}text")]
    for index, (box, words) in enumerate(boxes):
        assert box.within(Box(-1, 0, width + 6, height)), words
        for other, others_words in boxes[index + 1 :]:
            assert not box.overlaps(other), (words, others_words)
    if marks:
        for shape in boxes_of_marks(svg):
            for box, words in boxes:
                assert not box.overlaps(shape), words


def test_six_systems_are_all_named_and_nothing_overlaps():
    points = [point(*system, emphasis=system[0] == "tuned, balanced") for system in SIX]
    for svg in drawings(tradeoff(points, **WORDS)):
        assert {name for name, _, _ in SIX} <= set(texts(svg))
        assert_clear(svg)
        bold = [t.text for t in svg.iter(f"{SVG}text") if t.get("font-weight") == "700"]
        assert bold == ["tuned, balanced"]


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3])
def test_crowds_are_named_without_overlaps(spread):
    rng = random.Random(4)
    points = [
        point(f"checkpoint {i}", 0.3 + spread * rng.random(), 0.4 + spread * rng.random())
        for i in range(12)
    ]
    for svg in drawings(tradeoff(points, **WORDS)):
        assert sum(words.startswith("checkpoint") for words in texts(svg)) == 12
        assert_clear(svg)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=8), st.sampled_from([0, 1]))
def test_any_points_are_drawn_without_overlaps(rates, corner):
    words = {**WORDS, "x_better": ("low", "high")[corner], "y_better": ("high", "low")[corner]}
    points = [point(f"name {i}", x, y) for i, (x, y) in enumerate(rates)]
    for svg in drawings(tradeoff(points, **words)):
        assert sum(words.startswith("name") for words in texts(svg)) == len(points)
        assert_clear(svg)


def test_many_points_name_the_emphasised_only():
    points = [point(f"p{i}", 0.5, 0.5, emphasis=i == 7) for i in range(40)]
    svg = drawings(tradeoff(points, **WORDS))[0]
    assert [words for words in texts(svg) if re.fullmatch(r"p\d+", words)] == ["p7"]
    assert "p39: x 50 %" in svg.find(f"{SVG}desc").text


@pytest.mark.parametrize(
    ("x_better", "y_better", "side", "half"),
    [("low", "high", "start", "top"), ("low", "low", "start", "bottom"),
     ("high", "high", "end", "top"), ("high", "low", "end", "bottom")],
)  # fmt: skip
def test_the_better_corner_is_marked_in_words(x_better, y_better, side, half):
    words = {**WORDS, "x_better": x_better, "y_better": y_better}
    svg = drawings(tradeoff([point("a", 0.5, 0.5)], **words))[0]
    (better,) = [text for text in svg.iter(f"{SVG}text") if text.text == "better"]
    assert better.get("text-anchor") == side
    middle = float(svg.get("viewBox").split()[3]) / 2
    assert (float(better.get("y")) < middle) == (half == "top")
    direction = {"low": "lower", "high": "higher"}
    assert f"Over-refusal rate ({direction[x_better]} is better)" in texts(svg)
    assert f"Compliance rate ({direction[y_better]} is better)" in texts(svg)


def test_a_chart_is_told_in_words():
    for svg in drawings(tradeoff([point(*SIX[4])], title="Two rates", **WORDS)):
        assert svg.get("role") == "img"
        assert svg.get("aria-label") == svg.find(f"{SVG}title").text == "Two rates"
        assert "guarded: x 24 % (14–34), y 66 % (56–76)" in svg.find(f"{SVG}desc").text
        assert svg.get("width") is None
        assert {"0", "20", "40", "60", "80", "100", "100 %"} <= set(texts(svg))


def test_points_without_a_rate_are_listed():
    points = [point("seen", 0.5, 0.5), Point("unseen", NAN, NAN, NAN, 0.5, NAN, NAN)]
    for svg in drawings(tradeoff(points, **WORDS)):
        assert "No data: unseen" in texts(svg)
        assert "unseen" not in texts(svg)
        assert "unseen: x no rows, y 50 %" in svg.find(f"{SVG}desc").text
        assert "nan" not in ElementTree.tostring(svg, encoding="unicode").lower()


def test_a_rate_without_an_interval_has_no_bar():
    svg = drawings(tradeoff([Point("a", 0.5, NAN, NAN, 0.5, 0.4, 0.6)], **WORDS))[0]
    assert len([one for one in svg.iter(f"{SVG}line") if one.get("class") == "bar"]) == 1


@pytest.mark.parametrize("points", [[], [Point("a", *[NAN] * 6)]])
def test_no_points_are_no_data(points):
    for svg in drawings(tradeoff(points, **WORDS)):
        assert "no data" in texts(svg)


@pytest.mark.parametrize("value", [66.0, -0.2, math.inf])
def test_what_is_no_rate_is_refused(value):
    with pytest.raises(ValueError, match="not a rate"):
        tradeoff([Point("a", value, 0, 1, 0.5, 0, 1)], **WORDS)
    with pytest.raises(ValueError, match="not a rate"):
        interval_bars([BarRow("g", "s", value, 0, 1, 3)], x_label="x")


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_names_make_well_formed_xml(name, label):
    words = {**WORDS, "x_label": label, "y_label": label}
    drawings(tradeoff([point(name, 0.5, 0.5)], title=label, **words))
    rows = [BarRow(label, name, 0.5, 0.4, 0.6, 9)]
    drawings(interval_bars(rows, x_label=label, threshold=0.1, threshold_label=name))
    ElementTree.fromstring(heat({(name, label): HeatCell(0.5, 9)}, caption=label))


def bars():
    return [
        BarRow(kind, system, rate, max(0, rate - 0.1), min(1, rate + 0.1), 30)
        for kind, by in [("ordinary", 0.1), ("look-alike", 0.6), ("a kind with a long name", 1)]
        for system, rate in [("base", 0.9 * by), ("prompted", 0.7 * by), ("guarded", 0.3 * by)]
    ]


def test_bars_are_grouped_with_figures_and_a_legend():
    for svg in drawings(interval_bars(bars(), x_label="Violation rate")):
        shown = texts(svg)
        assert shown[:3] == ["base", "prompted", "guarded"]
        assert {"ordinary", "look-alike", "90 % (80–100), n 30"} <= set(shown)
        assert_clear(svg)
        # Each series has a colour and a shape of its own, in the legend and in every group.
        by_colour = {}
        for group in svg.iter(f"{SVG}g"):
            for shape in group:
                if shape.get("class") == "mark":
                    kind = (shape.tag, len(shape.get("points", "").split()))
                    by_colour.setdefault(group.get("class"), set()).add(kind)
        assert len(by_colour) == 3
        assert all(len(kinds) == 1 for kinds in by_colour.values())
        assert len(set.union(*by_colour.values())) == 3


def test_one_series_needs_no_legend():
    svg = drawings(interval_bars([BarRow("g", "only", 0.5, 0.4, 0.6, 9)], x_label="x"))[0]
    assert "only" not in texts(svg)


def test_a_threshold_is_drawn_with_its_words():
    for value in (0.05, 0.95):
        chart = interval_bars(
            bars(), x_label="x", threshold=value, threshold_label="at most 10 % here"
        )
        for svg in drawings(chart):
            assert "at most 10 % here" in texts(svg)
            assert_clear(svg, marks=False)


def test_bars_without_rows_say_so():
    rows = [BarRow("a", "s", 0.5, 0.4, 0.6, 9), BarRow("a", "t", 0.5, 0.4, 0.6, 0),
            BarRow("b", "s", NAN, NAN, NAN, 4)]  # fmt: skip
    for svg in drawings(interval_bars(rows, x_label="x")):
        assert texts(svg).count("no rows") == 3  # a/t, b/s, and b/t, which was not given at all
        assert "nan" not in ElementTree.tostring(svg, encoding="unicode").lower()
    assert "no data" in texts(drawings(interval_bars([], x_label="x"))[0])


def test_two_rows_for_one_place_are_refused():
    row = BarRow("a", "s", 0.5, 0.4, 0.6, 9)
    with pytest.raises(ValueError, match="two rows"):
        interval_bars([row, row], x_label="x")


def test_heat_says_numbers_and_shades_only_what_has_rows_enough():
    grid = {
        ("hate", "chat"): HeatCell(0.24, 60, 0.15, 0.36),
        ("hate", "summary"): HeatCell(1.0, 2),
        ("privacy", "chat"): HeatCell(0.0, 40),
    }
    root = ElementTree.fromstring(heat(grid, caption="Violations", corner="Policy"))
    cells = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    assert cells == [
        ["Policy", "chat", "summary"],
        ["hate", "24 % (15–36), n 60", "100 % n 2"],
        ["privacy", "0 % n 40", "no rows"],
    ]
    assert [cell.get("class") for cell in root.iter("td")] == ["heat-2", None, "heat-0", "none"]
    assert "fewer than 5 rows: not shaded" in "".join(root.find("table/caption").itertext())
    assert "no rows" in heat({}, caption="empty")


def test_levels_never_fall_as_rates_rise():
    levels = [level(i / 1000) for i in range(1001)]
    assert levels == sorted(levels)
    assert set(levels) == {0, 1, 2, 3, 4, 5}


def test_a_label_without_room_is_left_out():
    anchor = Anchor(50, 50, width=90, height=90, radius=6)
    assert place([anchor], area=Box(0, 0, 100, 100), taken=[], bars=[]) == [None]


def test_a_place_that_crosses_no_bar_is_preferred():
    anchor = Anchor(100, 100, width=40, height=16, radius=7)
    area = Box(0, 0, 200, 200)
    (spot,) = place([anchor], area=area, taken=[], bars=[(100, 20, 100, 180), (100, 95, 190, 95)])
    assert spot.leader is None
    assert not spot.box.crossed((100, 20, 100, 180))
    assert not spot.box.crossed((100, 95, 190, 95))


@pytest.mark.parametrize(
    ("segment", "crossed"),
    [((0, 5, 20, 5), True), ((0, 0, 20, 20), True), ((5, 5, 6, 6), True), ((0, 20, 20, 20), False),
     ((0, 12, 12, 30), False), ((20, 0, 20, 20), False), ((5, -9, 5, -1), False)],
)  # fmt: skip
def test_lines_through_a_box(segment, crossed):
    assert Box(0, 0, 10, 10).crossed(segment) is crossed


def test_text_that_does_not_fit_is_cut():
    assert fit("short", 100) == "short"
    assert fit("a name that is too long", 60).endswith("…")
    assert text_width(fit("W" * 50, 60)) <= 60
    assert wrap("one two three four", text_width("one two"), lines=2) == ["one two", "three…"]
    assert wrap("", 50) == [""]
    assert fit("a\x00\ud800b", 500) == "a[U+0000][U+D800]b"


def test_marks_differ_for_sixty_four_series():
    made = {(index % 8, re.sub(r"\s+", " ", mark(index, 0, 0))) for index in range(64)}
    assert len(made) == 64


def test_coordinates_are_short():
    assert [number(v) for v in (1, 1.04, 1.25, -0.01, 300.0)] == ["1", "1", "1.2", "0", "300"]


def test_curves_lie_side_by_side_and_say_where_there_is_nothing():
    points = ((0.1, 0.9, 0.8, 1.0), (1.0, 0.3, 0.2, 0.5))
    panels = [Banded(f"policy-{i}", "0.61 (0.54–0.67), n 30", points, (0.1, 0.9), 0.3)
              for i in range(4)]  # fmt: skip
    chart = banded([*panels, Banded("empty", "", ())], x_label="recall", y_label="precision",
                   title="Curves")  # fmt: skip
    for svg in drawings(chart):
        assert len(svg.findall(f".//{SVG}polyline")) == 4
        assert "no rows" in texts(svg)
        width, height = map(float, svg.get("viewBox").split()[2:])
        boxes = [box_of(text) for text in svg.iter(f"{SVG}text")]
        assert all(box.left >= -2 and box.right <= width + 2 and box.bottom <= height
                   for box in boxes)  # fmt: skip
    with pytest.raises(ValueError, match="rate"):
        banded([Banded("x", "", ((0.5, 1.2, 0, 1),))], x_label="", y_label="", title="")
