"""Small curves side by side, one a panel: a rate against a rate, with the band of its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from selaras.page._svg import (
    MARK,
    SMALL,
    TICKS,
    Setting,
    colour_class,
    fit,
    line,
    mark,
    number,
    on_scale,
    responsive,
    text,
    tick_label,
    wrap,
)
from selaras.page.html import Markup, element

_HEAD, _FOOT, _LEFT, _GAP = 46.0, 44.0, 30.0, 22.0


@dataclass(frozen=True, slots=True)
class Banded:
    """One panel: points (x, y, low, high) from left to right, each a rate from 0 to 1.

    `told` stands under the label; `at` is a point of the curve that is marked (where a threshold
    lies), `baseline` the y that a guess would reach.
    """

    label: str
    told: str
    points: tuple[tuple[float, float, float, float], ...]
    at: tuple[float, float] | None = None
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class _Panel:
    left: float
    top: float
    width: float
    height: float

    def x(self, rate: float) -> float:
        return self.left + rate * self.width

    def y(self, rate: float) -> float:
        return self.top + (1 - rate) * self.height


def banded(panels: Sequence[Banded], *, x_label: str, y_label: str, title: str) -> Markup:
    """Return the curves in a grid, three a row on paper and two on a phone; one alone is large.

    The band is the interval of y at each x, the dashed line the baseline, the mark the point that
    was chosen. Raises ValueError for a rate outside 0 to 1.
    """
    for panel in panels:
        for point in panel.points:
            for rate in point:
                on_scale(rate)

    def draw(setting: Setting) -> tuple[float, list[Markup]]:
        wide = setting.width > 500
        columns = min(len(panels), 3 if wide else 2) or 1
        width = (setting.width - _GAP * (columns - 1)) / columns - _LEFT - 8
        height = min(width, 330.0 if wide else 280.0)
        width = min(width, 1.6 * height)
        head = wrap(f"Up: {y_label}. To the right: {x_label}.", setting.width - 8, lines=2)
        begin = 17.0 * len(head) + 10
        parts = [text(0, 14 + 17 * i, own, class_="muted") for i, own in enumerate(head)]
        step = _HEAD + height + _FOOT
        for place, panel in enumerate(panels):
            row, column = divmod(place, columns)
            left = column * (setting.width + _GAP) / columns + _LEFT
            spot = _Panel(left, begin + row * step + _HEAD, width, height)
            parts += _panel(panel, spot)
        return begin + step * -(-len(panels) // columns), parts

    told = "; ".join(f"{panel.label}: {panel.told}" for panel in panels)
    return responsive(draw, title=title, description=f"{y_label} against {x_label}. {told}.")


def _panel(panel: Banded, spot: _Panel) -> list[Markup]:
    across = spot.width + _LEFT
    top = spot.top - _HEAD
    parts = [
        text(spot.left - _LEFT, top + 16, fit(panel.label, across, bold=True), class_="title",
             font_weight="600"),
        text(spot.left - _LEFT, top + 32, fit(panel.told, across, SMALL), class_="muted",
             font_size=str(SMALL)),
        *_axes(spot),
    ]  # fmt: skip
    if not panel.points:
        middle = (spot.x(0.5), spot.y(0.5))
        return [*parts, text(*middle, "no rows", class_="muted", text_anchor="middle")]
    if panel.baseline is not None:
        y = spot.y(panel.baseline)
        parts.append(line((spot.x(0), y), (spot.x(1), y), "leader", stroke_dasharray="3 4"))
    upper = [(x, high) for x, _, _, high in panel.points]
    lower = [(x, low) for x, _, low, _ in reversed(panel.points)]
    band = " ".join(_at(spot, x, y) for x, y in [*upper, *lower])
    steps = " ".join(_at(spot, x, y) for x, y, _, _ in panel.points)
    drawn = [
        element("polygon", points=band, fill="currentColor", opacity="0.16", stroke="none"),
        element("polyline", points=steps, fill="none", stroke="currentColor", stroke_width="2"),
    ]
    if panel.at is not None:
        drawn.append(mark(0, spot.x(panel.at[0]), spot.y(panel.at[1]), MARK + 0.5))
    return [*parts, element("g", *drawn, class_=colour_class(0))]


def _axes(spot: _Panel) -> list[Markup]:
    parts: list[Markup] = []
    for tick in TICKS:
        x, y = spot.x(tick), spot.y(tick)
        named = tick in (0.0, 1.0) or spot.width > 220
        parts += [
            line((x, spot.top), (x, spot.top + spot.height), "grid"),
            line((spot.left, y), (spot.left + spot.width, y), "grid"),
        ]
        if named or tick == TICKS[2]:
            parts.append(text(x, spot.top + spot.height + 16, tick_label(tick), class_="muted",
                              text_anchor="end" if tick == 1 else "middle",
                              font_size=str(SMALL)))  # fmt: skip
        if named:
            shown = tick_label(tick).removesuffix(" %")
            parts.append(text(spot.left - 5, y + 4, shown, class_="muted", text_anchor="end",
                              font_size=str(SMALL)))  # fmt: skip
    bottom = spot.top + spot.height
    parts.append(line((spot.left, bottom), (spot.left + spot.width, bottom), "axis"))
    parts.append(line((spot.left, spot.top), (spot.left, bottom), "axis"))
    return parts


def _at(spot: _Panel, x: float, y: float) -> str:
    return f"{number(spot.x(x))},{number(spot.y(y))}"
