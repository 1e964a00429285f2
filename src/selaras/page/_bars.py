"""Rates with their intervals, grouped by row: one line a series, so that groups compare."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selaras.page._svg import (
    MARK,
    SMALL,
    TICKS,
    Setting,
    colour_class,
    fit,
    legend,
    line,
    mark,
    on_scale,
    paragraph,
    responsive,
    text,
    text_width,
    tick_label,
    wrap,
)
from selaras.page.html import Markup, element
from selaras.page.table import rate_text

_LINE = 21.0
_BETWEEN = 12.0


@dataclass(frozen=True, slots=True)
class BarRow:
    """One rate from 0 to 1 of one series (a System) in one group (a kind, a policy)."""

    group: str
    series: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the groups' names end, the axis lies and the figures begin; x in drawing units."""

    left: float
    right: float
    names: float  # the width of the names' column; 0 where names stand above their group
    figures: float

    def x(self, rate: float) -> float:
        return self.left + rate * (self.right - self.left)


def interval_bars(
    rows: Sequence[BarRow],
    *,
    x_label: str,
    title: str | None = None,
    threshold: float | None = None,
    threshold_label: str = "",
) -> Markup:
    """Return rates as marks with intervals on an axis from 0 to 100 %, grouped in input order.

    Every series is drawn in every group: one without rows reads "no rows". `threshold` draws a line
    (a launch criterion). Raises ValueError for a rate outside 0 to 1 or two rows of one group and
    series.
    """
    cells = {(row.group, row.series): row for row in map(_on_scale, rows)}
    if len(cells) < len(rows):
        raise ValueError("two rows for one group and series")
    groups = list(dict.fromkeys(row.group for row in rows))
    series = list(dict.fromkeys(row.series for row in rows))

    def draw(setting: Setting) -> tuple[float, list[Markup]]:
        columns = _columns(groups, list(cells.values()), setting)
        names, y = legend(series, setting.width) if len(series) > 1 else ([], 4.0)
        if threshold is not None:
            y += 18
        top, body = y, []
        for group in groups:
            drawn, y = _group(group, series, cells, columns, y)
            body += drawn
        if not groups:
            body.append(text(columns.x(0), y + 16, "no data", class_="muted"))
            y += _LINE
        foot = wrap(x_label, setting.width - columns.left, lines=2)
        frame = _axis(columns, top, y)
        if threshold is not None:
            frame += _threshold(columns, top, y, on_scale(threshold), threshold_label)
        words = paragraph(foot, columns.left, y + 38, "title", font_weight="600")
        return y + 32 + 17 * len(foot), [*names, *frame, *body, *words]

    told = "; ".join(f"{row.group}, {row.series}: {_figures(row)}" for row in cells.values())
    return responsive(draw, title=title or x_label, description=f"{told or 'No data'}.")


def _columns(groups: Sequence[str], rows: Sequence[BarRow], setting: Setting) -> _Columns:
    figures = max((text_width(_figures(row), SMALL) for row in rows), default=24.0)
    if setting.width < 500:
        return _Columns(8, setting.width - figures - 12, 0, setting.width)
    longest = max((text_width(group, bold=True) for group in groups), default=0.0)
    names = min(longest, max(190.0, 0.34 * setting.width))
    return _Columns(names + 20, setting.width - figures - 16, names, setting.width)


def _group(
    group: str,
    series: Sequence[str],
    cells: Mapping[tuple[str, str], BarRow],
    columns: _Columns,
    y: float,
) -> tuple[list[Markup], float]:
    """Return one group's name and lines, and the y where the next group starts."""
    parts: list[Markup] = []
    y += _BETWEEN / 2
    height = _LINE * len(series)
    if columns.names:
        wrapped = wrap(group, columns.names, lines=max(1, int(height // 17)))
        first = y + _LINE / 2 + 4.5
        parts += paragraph(wrapped, 0, first, "group", font_weight="600")
    else:
        name = fit(group, columns.figures, bold=True)
        parts.append(text(0, y + 14, name, class_="halo", font_weight="600"))
        y += 20
    for index, name in enumerate(series):
        row = cells.get((group, name)) or BarRow(group, name, math.nan, math.nan, math.nan, 0)
        parts += _line(row, index, columns, y + _LINE / 2)
        y += _LINE
    return parts, y + _BETWEEN / 2


def _line(row: BarRow, index: int, columns: _Columns, y: float) -> list[Markup]:
    figures = _figures(row)
    numbers = text(
        columns.figures,
        y + 4,
        figures,
        class_="muted" if _empty(row) else "",
        text_anchor="end",
        font_size=str(SMALL),
    )
    if _empty(row):
        return [element("g", element("title", f"{row.series}: {figures}"), numbers)]
    parts = [element("title", f"{row.series}: {figures}")]
    if not (math.isnan(row.low) or math.isnan(row.high)):
        start, end = (columns.x(row.low), y), (columns.x(row.high), y)
        parts.append(line(start, end, "bar", stroke_width="2.4", opacity="0.75"))
    parts.append(mark(index, columns.x(row.value), y, MARK))
    return [element("g", *parts, class_=colour_class(index)), numbers]


def _axis(columns: _Columns, top: float, bottom: float) -> list[Markup]:
    parts: list[Markup] = []
    for tick in TICKS:
        x = columns.x(tick)
        class_ = "axis" if tick == 0 else "grid"
        parts.append(line((x, top), (x, bottom), class_))
        label = tick_label(tick)
        parts.append(
            text(x, bottom + 17, label, class_="muted", text_anchor="middle", font_size=str(SMALL))
        )
    return parts


def _threshold(
    columns: _Columns, top: float, bottom: float, value: float, label: str
) -> list[Markup]:
    """Return the line of a criterion; its words stand above it, on the side that has room."""
    x = columns.x(value)
    left = value < 0.5
    words = fit(label, columns.figures - x if left else x, SMALL)
    return [
        line((x, top - 2), (x, bottom), "threshold", stroke_width="1.6"),
        text(x, top - 7, words, class_="threshold-label", font_size=str(SMALL),
             text_anchor="start" if left else "end"),
    ]  # fmt: skip


def _empty(row: BarRow) -> bool:
    return row.n == 0 or math.isnan(row.value)


def _figures(row: BarRow) -> str:
    return rate_text(row.value, row.low, row.high, row.n)


def _on_scale(row: BarRow) -> BarRow:
    if _empty(row):
        return row
    rates = (on_scale(row.value), on_scale(row.low), on_scale(row.high))
    return BarRow(row.group, row.series, *rates, row.n)
