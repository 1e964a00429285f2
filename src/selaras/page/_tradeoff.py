"""Two rates against each other, one point a system, with intervals both ways."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from selaras.page._labels import Anchor, Box, Segment, place
from selaras.page._svg import (
    MARK,
    SIZE,
    SMALL,
    TICKS,
    Setting,
    colour_class,
    fit,
    line,
    mark,
    number,
    on_scale,
    paragraph,
    responsive,
    text,
    text_width,
    tick_label,
    wrap,
)
from selaras.page.html import Markup, element
from selaras.page.table import interval_text

Better = Literal["low", "high"]
MOST_NAMES = 30


@dataclass(frozen=True, slots=True)
class Point:
    """One system: two rates from 0 to 1 with their intervals; NaN where there were no rows."""

    label: str
    x: float
    x_low: float
    x_high: float
    y: float
    y_low: float
    y_high: float
    emphasis: bool = False


@dataclass(frozen=True, slots=True)
class _Plot:
    """The rectangle of the axes; rates map into it with room for marks at 0 and 100 %."""

    box: Box
    inset: float = 12.0

    def x(self, rate: float) -> float:
        left, right = self.box.left + self.inset, self.box.right - self.inset
        return left + rate * (right - left)

    def y(self, rate: float) -> float:
        top, bottom = self.box.top + self.inset, self.box.bottom - self.inset
        return bottom - rate * (bottom - top)


def tradeoff(
    points: Sequence[Point],
    *,
    x_label: str,
    y_label: str,
    x_better: Better,
    y_better: Better,
    title: str | None = None,
    paths: Sequence[Sequence[str]] = (),
    clouds: Sequence[Sequence[str]] = (),
) -> Markup:
    """Return a scatter of two rates, each axis from 0 to 100 %, each point with its name.

    `paths` are points by name that a line joins in order (one dial turned), `clouds` points that
    belong together (one point by several seeds), with the space between them shaded.

    The corner that is better on both axes is marked in words. Points that lack a rate are listed
    under the drawing. Of more than 30 points only the emphasised are named. Colours and marks
    follow the order of `points`. Raises ValueError for a rate outside 0 to 1.
    """
    points = [_on_scale(point) for point in points]
    x_label = f"{x_label} ({_words(x_better)} is better)"
    y_label = f"{y_label} ({_words(y_better)} is better)"

    def draw(setting: Setting) -> tuple[float, list[Markup]]:
        head = wrap(y_label, setting.width - 8, lines=2)
        foot = wrap(x_label, setting.width - 44, lines=2)
        missing = [point.label for point in points if not _known(point)]
        left_out = wrap("No data: " + ", ".join(missing), setting.width, lines=3) if missing else []
        top = 10 + 17 * len(head)
        plot = _Plot(Box(34, top, setting.width - 16, top + (400 if setting.width > 500 else 330)))
        below = plot.box.bottom + 36 + 17 * len(foot)
        parts = [
            *paragraph(head, 0, 14, "title", font_weight="600"),
            *_axes(plot),
            *_joined(points, plot, paths, clouds),
            *paragraph(foot, plot.box.right, below - 17 * len(foot) + 4, "title",
                       text_anchor="end", font_weight="600"),
            *_marks(points, plot, (x_better, y_better)),
            *paragraph(left_out, 0, below + 6, "muted"),
        ]  # fmt: skip
        return below + 17 * len(left_out) - 8, parts

    return responsive(
        draw,
        title=title or f"{y_label} against {x_label}",
        description=_description(points, x_label, y_label),
    )


def _axes(plot: _Plot) -> list[Markup]:
    box, parts = plot.box, []
    for tick in TICKS:
        x, y = plot.x(tick), plot.y(tick)
        parts += [
            line((x, box.top), (x, box.bottom), "grid"),
            line((box.left, y), (box.right, y), "grid"),
            text(x, box.bottom + 17, tick_label(tick), class_="muted", text_anchor="middle",
                 font_size=str(SMALL)),
            text(box.left - 6, y + 4, tick_label(tick).removesuffix(" %"), class_="muted",
                 text_anchor="end", font_size=str(SMALL)),
        ]  # fmt: skip
    parts.append(line((box.left, box.bottom), (box.right, box.bottom), "axis"))
    parts.append(line((box.left, box.top), (box.left, box.bottom), "axis"))
    return parts


def _joined(
    points: Sequence[Point], plot: _Plot, paths: Sequence[Sequence[str]],
    clouds: Sequence[Sequence[str]],
) -> list[Markup]:  # fmt: skip
    """Return lines along paths and shades over clouds, behind all marks."""
    places = {p.label: (plot.x(p.x), plot.y(p.y)) for p in points if _known(p)}
    parts = []
    for names in clouds:
        own = [places[name] for name in names if name in places]
        x, y = (sum(values) / len(own) for values in zip(*own, strict=True)) if own else (0, 0)
        # Around their middle, so that the outline does not cross itself.
        own.sort(key=lambda place: math.atan2(place[1] - y, place[0] - x))
        shape = " ".join(f"{number(a)},{number(b)}" for a, b in own)
        if len(own) > 1:
            parts.append(element("polygon", points=shape, class_="muted", fill="currentColor",
                                 stroke="currentColor", opacity="0.18", stroke_width="8",
                                 stroke_linejoin="round"))  # fmt: skip
    for names in paths:
        own = [places[name] for name in names if name in places]
        parts += [
            line(start, end, "leader", stroke_dasharray="2 3")
            for start, end in itertools.pairwise(own)
        ]
    return parts


def _marks(points: Sequence[Point], plot: _Plot, better: tuple[Better, Better]) -> list[Markup]:
    """Return the corner's words, then bars, leaders, marks and names, so that names lie on top."""
    # Emphasised points last, and so above the others; the series numbers stay with their points.
    series = [(index, point) for index, point in enumerate(points) if _known(point)]
    series.sort(key=lambda pair: pair[1].emphasis)
    bars = {index: _bars(point, plot) for index, point in series}
    lines = [bar for pair in bars.values() for bar in pair]
    anchors = {index: _anchor(point, plot) for index, point in series}
    marks = [anchor.mark() for anchor in anchors.values()]
    words, spot = _corner(plot, better, marks, lines)
    if not series:
        middle = (plot.box.left + plot.box.right) / 2
        y = (plot.box.top + plot.box.bottom) / 2
        return [*words, text(middle, y, "no data", class_="muted", text_anchor="middle")]
    drawn_bars, drawn_marks = [], []
    for index, point in series:
        colour = colour_class(index)
        drawn = [line(bar[:2], bar[2:], "bar", stroke_width="1.6") for bar in bars[index]]
        drawn_bars.append(element("g", *drawn, class_=colour, opacity="0.75"))
        shape = mark(index, plot.x(point.x), plot.y(point.y), _radius(point))
        told = element("title", f"{point.label}: {_figures(point)}")
        drawn_marks.append(element("g", told, shape, class_=colour))
    named = [(i, p) for i, p in series if p.emphasis or len(series) <= MOST_NAMES]
    places = place(
        [anchors[index] for index, _ in named], area=plot.box, taken=[spot, *marks], bars=lines
    )
    leaders, labels = [], []
    for (index, point), placed in zip(named, places, strict=True):
        if placed is None:
            continue
        if placed.leader:
            leaders.append(line(placed.leader[:2], placed.leader[2:], "leader"))
        labels.append(_label(placed.box, point, plot, anchors[index].x))
    return [*words, *drawn_bars, *leaders, *drawn_marks, *labels]


def _corner(
    plot: _Plot, better: tuple[Better, Better], marks: Sequence[Box], bars: Sequence[Segment]
) -> tuple[list[Markup], Box]:
    """Return the word "better" with an arrow into its corner, moved along the edge if taken."""
    right, top = better[0] == "high", better[1] == "high"
    spots = [_corner_spot(plot.box, right, top, step * 12.0) for step in range(24)]
    spot = min(
        spots,
        key=lambda s: 10 * sum(s.overlaps(m, 4) for m in marks) + sum(s.crossed(b) for b in bars),
    )
    tip = (spot.right - 2 if right else spot.left + 2, spot.top + 4 if top else spot.bottom - 4)
    dx, dy = (-1 if right else 1), (1 if top else -1)
    tail = (tip[0] + dx * 12, tip[1] + dy * 12)
    path = (
        f"M{number(tip[0])} {number(tip[1] + dy * 7)}V{number(tip[1])}"
        f"H{number(tip[0] + dx * 7)}M{number(tip[0])} {number(tip[1])}"
        f"L{number(tail[0])} {number(tail[1])}"
    )
    arrow = element("path", d=path, class_="better", fill="none", stroke_width="1.6")
    at = spot.right - 20 if right else spot.left + 20
    anchor = "end" if right else "start"
    return [
        arrow,
        text(at, spot.top + 15, "better", class_="better", text_anchor=anchor),
    ], spot


def _corner_spot(box: Box, right: bool, top: bool, along: float) -> Box:
    width, height = text_width("better") + 24, 20.0
    x = box.right - 8 - width - along if right else box.left + 8 + along
    y = box.top + 6 if top else box.bottom - 6 - height
    return Box(x, y, x + width, y + height)


def _bars(point: Point, plot: _Plot) -> list[Segment]:
    bars: list[Segment] = []
    x, y = plot.x(point.x), plot.y(point.y)
    if not (math.isnan(point.x_low) or math.isnan(point.x_high)):
        bars.append((plot.x(point.x_low), y, plot.x(point.x_high), y))
    if not (math.isnan(point.y_low) or math.isnan(point.y_high)):
        bars.append((x, plot.y(point.y_low), x, plot.y(point.y_high)))
    return bars


def _label(box: Box, point: Point, plot: _Plot, x: float) -> Markup:
    """Return a name in its box, set against the side that faces its point."""
    weight = {"font_weight": "700"} if point.emphasis else {}
    if box.right <= x:
        at, anchor = box.right, "end"
    elif box.left >= x:
        at, anchor = box.left, "start"
    else:
        at, anchor = (box.left + box.right) / 2, "middle"
    return text(
        at, box.bottom - 4, _name(point, plot), class_="label", text_anchor=anchor, **weight
    )


def _anchor(point: Point, plot: _Plot) -> Anchor:
    width = text_width(_name(point, plot), bold=point.emphasis)
    return Anchor(plot.x(point.x), plot.y(point.y), width, SIZE + 3, _radius(point) + 2)


def _name(point: Point, plot: _Plot) -> str:
    return fit(point.label, (plot.box.right - plot.box.left) * 0.45, bold=point.emphasis)


def _radius(point: Point) -> float:
    return MARK + 1.5 if point.emphasis else MARK


def _known(point: Point) -> bool:
    return not (math.isnan(point.x) or math.isnan(point.y))


def _words(better: Better) -> str:
    return "lower" if better == "low" else "higher"


def _figures(point: Point) -> str:
    x = interval_text(point.x, point.x_low, point.x_high)
    y = interval_text(point.y, point.y_low, point.y_high)
    return f"x {x}, y {y}"


def _description(points: Sequence[Point], x_label: str, y_label: str) -> str:
    if not points:
        return "No data."
    told = "; ".join(f"{point.label}: {_figures(point)}" for point in points)
    return f"x is {x_label}, y is {y_label}. {told}."


def _on_scale(point: Point) -> Point:
    return Point(
        point.label,
        on_scale(point.x),
        on_scale(point.x_low),
        on_scale(point.x_high),
        on_scale(point.y),
        on_scale(point.y_low),
        on_scale(point.y_high),
        point.emphasis,
    )
