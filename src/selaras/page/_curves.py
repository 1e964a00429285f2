"""Numbers by step as lines: a training's loss, its speed, a reward and its cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selaras.page._svg import (
    SMALL,
    Setting,
    colour_class,
    legend,
    line,
    mark,
    number,
    paragraph,
    responsive,
    text,
    text_width,
    wrap,
)
from selaras.page.html import Markup, element

Scale = Callable[[float], float]
_HEIGHT = 220.0
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line through (x, y); a y that is no number leaves a gap.

    `band` holds (low, high) of each point where its interval is known.
    """

    label: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float]] = ()


def curves(
    lines: Sequence[Curve], *, x_label: str, y_label: str, title: str | None = None,
    limit: tuple[str, float] | None = None,
) -> Markup:  # fmt: skip
    """Return lines over a common x, each with a mark of its own shape at its end.

    The vertical axis starts at 0 unless all values lie far from it. `limit` is a named horizontal
    line (a budget). Raises ValueError where a line goes back in x, or has a band of other points.
    """
    for one in lines:
        xs = [x for x, _ in one.points]
        if xs != sorted(xs):
            raise ValueError(f"{one.label}: the points are not in order")
        if one.band and len(one.band) != len(one.points):
            raise ValueError(f"{one.label}: {len(one.band)} intervals, {len(one.points)} points")
    edges = [edge for one in lines for pair in one.band for edge in pair]
    edges += [limit[1]] if limit else []
    known = [(x, y) for one in lines for x, y in one.points if math.isfinite(y)]
    low_x, high_x = _range([x for x, _ in known], from_zero=False)
    low_y, high_y = _range([*(y for _, y in known), *edges], from_zero=True)

    def draw(setting: Setting) -> tuple[float, list[Markup]]:
        parts, top = legend([one.label for one in lines], setting.width)
        ticks = _ticks(low_y, high_y)
        left = max(text_width(f"{tick:g}", SMALL) for tick in ticks) + 10
        right, bottom = setting.width - 12, top + _HEIGHT

        def x(value: float) -> float:
            return left + (value - low_x) / (high_x - low_x) * (right - left)

        def y(value: float) -> float:
            return bottom - (value - low_y) / (high_y - low_y) * _HEIGHT

        parts += _grid(ticks, y, (left, right))
        for tick in _ticks(low_x, high_x, whole=True):
            parts.append(text(x(tick), bottom + 18, f"{tick:g}", class_="muted",
                              text_anchor="middle", font_size=str(SMALL)))  # fmt: skip
        if limit:
            parts.append(line((left, y(limit[1])), (right, y(limit[1])), "axis",
                              stroke_dasharray="5 4"))  # fmt: skip
            parts.append(text(right, y(limit[1]) - 5, limit[0], class_="halo", text_anchor="end",
                              font_size=str(SMALL)))  # fmt: skip
        for index, one in enumerate(lines):
            parts.append(_drawn(index, one, x, y))
        foot = wrap(f"{y_label}, by {x_label}", setting.width - left, lines=2)
        parts += paragraph(foot, left, bottom + 40, "title", font_weight="600")
        return bottom + 34 + 17 * len(foot), parts

    told = "; ".join(_told(one) for one in lines if one.points)
    shown = title or f"{y_label} by {x_label}"
    return responsive(draw, title=shown, description=f"{told or 'No data yet'}.")


def _told(one: Curve) -> str:
    first, last = one.points[0], one.points[-1]
    return f"{one.label}: {first[1]:.4g} at {first[0]:g}, {last[1]:.4g} at {last[0]:g}"


def _drawn(index: int, one: Curve, x: Scale, y: Scale) -> Markup:
    pieces: list[list[str]] = [[]]
    end = None
    for at, value in one.points:
        if not math.isfinite(value):
            pieces.append([])
            continue
        end = (x(at), y(value))
        pieces[-1].append(f"{number(end[0])},{number(end[1])}")
    drawn = [
        element("polyline", points=" ".join(piece), fill="none", stroke="currentColor",
                stroke_width="1.8")
        for piece in pieces
        if piece
    ]  # fmt: skip
    if one.band:
        xs = [x(at) for at, _ in one.points]
        edge = [*zip(xs, (y(high) for _, high in one.band), strict=True)]
        edge += reversed([*zip(xs, (y(low) for low, _ in one.band), strict=True)])
        told = " ".join(f"{number(at)},{number(height)}" for at, height in edge)
        drawn.insert(0, element("polygon", points=told, fill="currentColor", opacity="0.15"))
    if end:
        drawn.append(mark(index, *end))
    return element("g", element("title", _told(one) if one.points else one.label), *drawn,
                   class_=colour_class(index))  # fmt: skip


def _grid(ticks: Sequence[float], y: Scale, ends: tuple[float, float]) -> list[Markup]:
    parts: list[Markup] = []
    for place, tick in enumerate(ticks):
        parts.append(line((ends[0], y(tick)), (ends[1], y(tick)), "grid" if place else "axis"))
        parts.append(text(ends[0] - 6, y(tick) + 4, f"{tick:g}", class_="muted",
                          text_anchor="end", font_size=str(SMALL)))  # fmt: skip
    return parts


def _range(values: Sequence[float], *, from_zero: bool) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if from_zero and 0 < low < 0.5 * high:
        low = 0.0
    if low == high:
        return low - 0.5, high + 0.5
    if not from_zero:
        return low, high
    step = _step(low, high)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return round places between two ends.

    >>> _ticks(0, 1), _ticks(1, 40, whole=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [10.0, 20.0, 30.0, 40.0])
    """
    step = max(_step(low, high), 1.0 if whole else 0.0)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)] or [low]


def _step(low: float, high: float) -> float:
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= rough * (1 - 1e-9))
