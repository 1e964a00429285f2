"""What the charts share: series marks, text that fits, axes in percent.

Every chart is set twice, for paper and for phones (`Setting`), because text in a scaled-down
drawing is too small to read; the page's style shows the one that fits.
"""

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selaras.page.html import Child, Markup, element, visible

SIZE = 13  # of chart text, in units of the drawing
SMALL = 12
MARK = 5.5  # half the size of a mark
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SERIES = 8

_NARROW = frozenset("ijlt.,:;'|!()[]{}fIr-–· ")
_WIDE = frozenset("mwMWQO%@…")
_PLUS = (
    *((-0.4, -1.1), (0.4, -1.1), (0.4, -0.4), (1.1, -0.4), (1.1, 0.4), (0.4, 0.4)),
    *((0.4, 1.1), (-0.4, 1.1), (-0.4, 0.4), (-1.1, 0.4), (-1.1, -0.4), (-0.4, -0.4)),
)
_SHAPES: tuple[tuple[tuple[float, float], ...], ...] = (
    (),  # a circle
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.15), (1.1, 0.8), (-1.1, 0.8)),
    ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    ((0, 1.15), (1.1, -0.8), (-1.1, -0.8)),
    ((0, -1.15), (1.1, -0.3), (0.7, 0.95), (-0.7, 0.95), (-1.1, -0.3)),
    tuple((0.75 * (x - y), 0.75 * (x + y)) for x, y in _PLUS),
    _PLUS,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One size of a drawing; `name` is the class by which the page shows or hides it."""

    name: str
    width: float


WIDE = Setting("wide", 720)
PHONE = Setting("narrow", 380)


def responsive(
    draw: Callable[[Setting], tuple[float, list[Markup]]], *, title: str, description: str
) -> Markup:
    """Return a drawing in both settings; `draw` gives its height and parts for each."""
    drawings = []
    for setting in (WIDE, PHONE):
        height, parts = draw(setting)
        drawings.append(
            element(
                "svg",
                element("title", title),
                element("desc", description),
                *parts,
                class_=setting.name,
                role="img",
                aria_label=title,
                viewBox=f"0 0 {number(setting.width)} {number(height)}",
                fill="currentColor",
                font_size=SIZE,
                direction="ltr",
                xmlns="http://www.w3.org/2000/svg",
            )
        )
    return element("div", *drawings, class_="chart")


def number(value: float) -> str:
    """Return a coordinate, to a tenth."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")  # adding 0.0 turns -0.0 into 0.0


def text(x: float, y: float, content: Child, *, class_: str = "", **attributes: str) -> Markup:
    """Return a line of text whose baseline starts (or ends, or is centred) at a point."""
    return element("text", content, x=number(x), y=number(y), class_=class_ or None, **attributes)


def line(start: tuple[float, float], end: tuple[float, float], class_: str, **more: str) -> Markup:
    """Return a straight line in the colour of its class or, without one, of its group."""
    (x1, y1), (x2, y2) = start, end
    ends = {"x1": number(x1), "y1": number(y1), "x2": number(x2), "y2": number(y2)}
    return element("line", **ends, class_=class_ or None, **{"stroke": "currentColor", **more})


def colour_class(series: int) -> str:
    """Return the class that colours a series."""
    return f"s{series % SERIES + 1}"


def mark(series: int, x: float, y: float, size: float = MARK) -> Markup:
    """Return the mark of a series: shapes differ, so colour is never the only carrier.

    The shapes shift against the colours after each round: 64 series have marks of their own.
    """
    corners = _SHAPES[(series + series // SERIES) % SERIES]
    if not corners:
        at = {"cx": number(x), "cy": number(y), "r": number(size)}
        return element("circle", **at, class_="mark", stroke_width="1.5")
    points = " ".join(f"{number(x + a * size)},{number(y + b * size)}" for a, b in corners)
    return element("polygon", points=points, class_="mark", stroke_width="1.5")


def text_width(content: str, size: float = SIZE, *, bold: bool = False) -> float:
    """Return how wide a text is at most, in the widest of the usual sans-serif fonts."""
    total = 0.0
    for character in content:
        if unicodedata.combining(character) or unicodedata.category(character) in {"Cf", "Mn"}:
            continue
        if unicodedata.east_asian_width(character) in {"W", "F"}:
            total += 1.1
        elif character in _NARROW:
            total += 0.4
        elif character in _WIDE:
            total += 1.0
        else:
            total += 0.72 if character.isupper() else 0.64
    return total * size * (1.1 if bold else 1.0)


def fit(content: str, width: float, size: float = SIZE, *, bold: bool = False) -> str:
    """Return the text on one line, cut with an ellipsis where it is too wide."""
    content = " ".join(visible(content).split())
    if text_width(content, size, bold=bold) <= width:
        return content
    while content and text_width(content + "…", size, bold=bold) > width:
        content = content[:-1]
    return content.rstrip() + "…"


def wrap(content: str, width: float, size: float = SIZE, *, lines: int = 3) -> list[str]:
    """Return the text in at most `lines` lines; what does not fit is cut with an ellipsis."""
    words = visible(content).split()
    broken: list[str] = []
    while words and len(broken) < lines - 1:
        count = 1
        while count < len(words) and text_width(" ".join(words[: count + 1]), size) <= width:
            count += 1
        broken.append(fit(" ".join(words[:count]), width, size))
        words = words[count:]
    if words:
        broken.append(fit(" ".join(words), width, size))
    return broken or [""]


def on_scale(value: float) -> float:
    """Return a rate as it is drawn; raises ValueError where it is no fraction from 0 to 1.

    A last-bit excess (an interval of 1.0000000000000002) is rounding, not an error.
    """
    if math.isnan(value) or -1e-6 <= value <= 1 + 1e-6:
        return min(max(value, 0.0), 1.0) if not math.isnan(value) else value
    raise ValueError(f"{value} is not a rate from 0 to 1")


def tick_label(value: float) -> str:
    """Return the label of a tick; only the last one carries the unit."""
    return f"{value * 100:.0f}" + (" %" if value == TICKS[-1] else "")


def paragraph(lines: Sequence[str], x: float, y: float, class_: str, **more: str) -> list[Markup]:
    """Return lines of text under one another."""
    return [text(x, y + i * 17, content, class_=class_, **more) for i, content in enumerate(lines)]


def legend(series: Sequence[str], width: float) -> tuple[list[Markup], float]:
    """Return the marks with their names, in as many lines as they need, and where they end."""
    parts: list[Markup] = []
    x, y = 0.0, 14.0
    for index, name in enumerate(series):
        shown = fit(name, width - 40)
        step = 18 + text_width(shown) + 14
        if x > 0 and x + step - 14 > width:
            x, y = 0.0, y + 20
        parts.append(element("g", mark(index, x + 7, y - 4.5), class_=colour_class(index)))
        parts.append(text(x + 18, y, shown))
        x += step
    return parts, y + 16
