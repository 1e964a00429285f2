"""What every report and page is made of: safe HTML, a self-contained shell, charts, tables.

The standard library only; nothing is fetched, and nothing runs but a page's own `Program`. Text
from rows goes through `untrusted`; all other plain strings are escaped where they enter.
"""

from selaras.page.chart import (
    Banded,
    BarRow,
    CountCell,
    Curve,
    HeatCell,
    Place,
    Point,
    Region,
    Spread,
    banded,
    counts,
    curves,
    heat,
    interval_bars,
    point_map,
    spreads,
    tradeoff,
)
from selaras.page.filters import Filters, filters
from selaras.page.html import Child, Markup, element, escape, join, untrusted, visible
from selaras.page.shell import Program, page, read_again
from selaras.page.table import (
    interval_text,
    percent,
    rate_cell,
    rate_text,
    signed_points,
    table,
)

__all__ = [
    "Banded",
    "BarRow",
    "Child",
    "CountCell",
    "Curve",
    "Filters",
    "HeatCell",
    "Markup",
    "Place",
    "Point",
    "Program",
    "Region",
    "Spread",
    "banded",
    "counts",
    "curves",
    "element",
    "escape",
    "filters",
    "heat",
    "interval_bars",
    "interval_text",
    "join",
    "page",
    "percent",
    "point_map",
    "rate_cell",
    "rate_text",
    "read_again",
    "signed_points",
    "spreads",
    "table",
    "tradeoff",
    "untrusted",
    "visible",
]
