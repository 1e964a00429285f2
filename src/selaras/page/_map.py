"""Many points on a plane, one series a colour and mark: where texts lie, with names of regions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selaras.page._labels import Anchor, Box, place
from selaras.page._svg import (
    SIZE,
    SMALL,
    Setting,
    colour_class,
    fit,
    legend,
    line,
    mark,
    responsive,
    text,
    text_width,
)
from selaras.page.html import Markup, element

_DOT = 3.4
_HEIGHTS = {True: 330.0, False: 420.0}


@dataclass(frozen=True, slots=True)
class Place:
    """A point of a series, in any unit; the drawing is scaled to hold all points."""

    x: float
    y: float
    series: str


@dataclass(frozen=True, slots=True)
class Region:
    """A name at the middle of some points."""

    label: str
    x: float
    y: float


def point_map(
    places: Sequence[Place],
    regions: Sequence[Region] = (),
    *,
    title: str,
    description: str,
) -> Markup:
    """Return a scatter without axes (only who lies near whom is meant), with a legend.

    Series take colours and marks in the order in which they appear; names of regions do not
    overlap, and those that find no room are left out of the drawing.
    """
    series = list(dict.fromkeys(each.series for each in places))

    def draw(setting: Setting) -> tuple[float, list[Markup]]:
        names, top = legend(series, setting.width)
        bottom = top + _HEIGHTS[setting.width < 500]
        area = Box(8, top + 8, setting.width - 8, bottom - 8)
        x_of = _scale([each.x for each in places], area.left, area.right)
        y_of = _scale([each.y for each in places], area.bottom, area.top)
        dots = [
            element("g", mark(number, x_of(each.x), y_of(each.y), _DOT), opacity="0.6",
                    class_=colour_class(number))
            for each in places
            for number in (series.index(each.series),)
        ]  # fmt: skip
        at = [(region.label, x_of(region.x), y_of(region.y)) for region in regions]
        return bottom, [*names, *dots, *_names(at, area, setting.width)]

    return responsive(draw, title=title, description=description)


def _names(regions: Sequence[tuple[str, float, float]], area: Box, width: float) -> list[Markup]:
    shown = [fit(label, 0.36 * width, SMALL) for label, _, _ in regions]
    anchors = [
        Anchor(x, y, text_width(name, SMALL), SIZE + 3, 3.0)
        for name, (_, x, y) in zip(shown, regions, strict=True)
    ]
    parts: list[Markup] = []
    for name, spot in zip(shown, place(anchors, area=area, taken=(), bars=()), strict=True):
        if spot is None:
            continue
        if spot.leader:
            x1, y1, x2, y2 = spot.leader
            parts.append(line((x1, y1), (x2, y2), "leader"))
        parts.append(text(spot.box.left, spot.box.bottom - 4, name, class_="label",
                          font_size=str(SMALL)))  # fmt: skip
    return parts


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)
