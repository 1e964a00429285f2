"""How a number spreads in several sets: quantiles as box and whiskers, one line a set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selaras.page._svg import (
    SMALL,
    Setting,
    fit,
    line,
    number,
    paragraph,
    responsive,
    text,
    text_width,
    wrap,
)
from selaras.page.html import Markup, element

Scale = Callable[[float], float]
_LINE = 26.0
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Spread:
    """The quantiles .05, .25, .5, .75 and .95 of a number of 0 or more in a set of n."""

    label: str
    quantiles: tuple[float, float, float, float, float]
    n: int

    @property
    def figures(self) -> str:
        """The median with the middle half, and n.

        >>> Spread("all", (1, 4, 9, 12.5, 30), 60).figures
        '9 (4–12.5), n 60'
        """
        _, low, middle, high, _ = self.quantiles
        return f"{middle:g} ({low:g}–{high:g}), n {self.n:,}"


def spreads(rows: Sequence[Spread], *, x_label: str, title: str | None = None) -> Markup:
    """Return boxes from the first to the third quartile with whiskers from 5 to 95 %.

    The median is a line in the box; the figures stand beside it. Raises ValueError for quantiles
    that are negative or out of order.
    """
    for row in rows:
        if row.quantiles[0] < 0 or list(row.quantiles) != sorted(row.quantiles):
            raise ValueError(f"{row.label}: {row.quantiles} are no quantiles of counts")
    top = max((row.quantiles[-1] for row in rows), default=1.0) or 1.0
    step = _step(top)

    def draw(setting: Setting) -> tuple[float, list[Markup]]:
        phone = setting.width < 500
        names = 0.0 if phone else min(max((text_width(r.label) for r in rows), default=0), 190.0)
        figures = max((text_width(row.figures, SMALL) for row in rows), default=24.0)
        left, right = (8.0, setting.width - figures - 12) if phone else (
            names + 14, setting.width - figures - 16)  # fmt: skip

        def x(value: float) -> float:
            return left + value / top * (right - left)

        height = _LINE + (18 if phone else 0)
        bottom = 6 + height * max(1, len(rows))
        parts = _axis(x, step, top, bottom)
        for place, row in enumerate(rows):
            y = 6 + height * (place + 1) - _LINE / 2
            label = (0, y - 15) if phone else (0, y + 4)
            width = setting.width if phone else names
            parts.append(text(*label, fit(row.label, width), class_="halo" if phone else ""))
            parts += _box(row, x, y)
            parts.append(text(setting.width, y + 4, row.figures, text_anchor="end",
                              font_size=str(SMALL)))  # fmt: skip
        foot = wrap(x_label, setting.width - left, lines=2)
        parts += paragraph(foot, left, bottom + 38, "title", font_weight="600")
        return bottom + 32 + 17 * len(foot), parts

    told = "; ".join(f"{row.label}: {row.figures}" for row in rows)
    return responsive(draw, title=title or x_label, description=f"{told or 'No data'}.")


def _box(row: Spread, x: Scale, y: float) -> list[Markup]:
    low, first, middle, third, high = map(x, row.quantiles)
    box = element(
        "rect", x=number(first), y=number(y - 7), height="14",
        width=number(max(third - first, 1.0)),
        fill="currentColor", opacity="0.3",
    )  # fmt: skip
    whisker = line((low, y), (high, y), "", stroke_width="1.5")
    median = line((middle, y - 9), (middle, y + 9), "", stroke_width="3")
    return [element("g", element("title", f"{row.label}: {row.figures}"), whisker, box, median,
                    class_="s1")]  # fmt: skip


def _axis(x: Scale, step: float, top: float, bottom: float) -> list[Markup]:
    parts: list[Markup] = []
    count = int(top / step + 1e-9)
    for tick in range(count + 1):
        place = x(tick * step)
        parts.append(line((place, 2), (place, bottom), "grid" if tick else "axis"))
        parts.append(text(place, bottom + 17, f"{tick * step:g}", class_="muted",
                          text_anchor="middle", font_size=str(SMALL)))  # fmt: skip
    return parts


def _step(top: float) -> float:
    """Return a round distance of ticks (1, 2, 5 times a power of ten).

    >>> _step(30), _step(7.0), _step(1)
    (10.0, 2.0, 0.2)
    """
    rough = top / _TICKS
    power = 10.0 ** len(str(int(rough))) / 10 if rough >= 1 else 0.1
    return next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= rough)
