"""A small table whose cells are shaded by their rate; the number and n are always in the cell."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from selaras.page.html import Markup, element, join
from selaras.page.table import NO_ROWS, boxed, interval_text, percent

_LEVELS = 5


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One rate from 0 to 1 with its n and, where known, its interval."""

    value: float
    n: int
    low: float = math.nan
    high: float = math.nan


def heat(
    grid: Mapping[tuple[str, str], HeatCell],
    *,
    caption: str,
    corner: str = "",
    fewest: int = 5,
) -> Markup:
    """Return a table of rates by (row, column), in input order, shaded from 0 to 100 %.

    Cells of fewer than `fewest` rows are not shaded: one violation in two rows is not a dark spot.
    A pair that is not in the grid reads "no rows". `corner` names what the rows are.
    """
    rows = list(dict.fromkeys(row for row, _ in grid))
    columns = list(dict.fromkeys(column for _, column in grid))
    head = [element("th", corner, scope="col")]
    head += [element("th", column, scope="col") for column in columns]
    lines = []
    for row in rows:
        cells = [_cell(grid.get((row, column)), fewest) for column in columns]
        lines.append(element("tr", element("th", row, scope="row"), *cells))
    if not rows:
        lines = [element("tr", element("td", NO_ROWS, class_="none"))]
    return boxed(caption, _key(grid, fewest) if rows else None, head, lines, class_="heat")


def _cell(cell: HeatCell | None, fewest: int) -> Markup:
    if cell is None or cell.n == 0 or math.isnan(cell.value):
        return element("td", NO_ROWS, class_="none")
    rest = interval_text(cell.value, cell.low, cell.high).removeprefix(percent(cell.value)).strip()
    small = element("small", f"{rest}, n {cell.n:,}" if rest else f"n {cell.n:,}")
    class_ = f"heat-{level(cell.value)}" if cell.n >= fewest else None
    return element("td", element("b", percent(cell.value)), " ", small, class_=class_)


def level(value: float) -> int:
    """Return the shade of a rate: 0 for none at all, then 1 to 5 by fifths.

    >>> level(0.0), level(0.01), level(0.2), level(0.21), level(1.0)
    (0, 1, 1, 2, 5)
    """
    return min(max(math.ceil(value * _LEVELS - 1e-9), 0), _LEVELS)


def _key(grid: Mapping[tuple[str, str], HeatCell], fewest: int) -> Markup:
    shades = [element("span", class_=f"swatch heat-{i}") for i in range(_LEVELS + 1)]
    parts: list[Markup | str] = ["0 % ", element("span", *shades, aria_hidden="true"), " 100 %"]
    if any(0 < cell.n < fewest for cell in grid.values()):
        parts.append(f"; fewer than {fewest} rows: not shaded")
    return join(parts)
