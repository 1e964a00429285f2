"""Charts as inline SVG (and a shaded table): they load nothing, print, and say their numbers.

Each has a title and a description in words, marks that differ in shape as well as in colour, and
reads in light and dark. Rates are fractions from 0 to 1. The style of `selaras.page.shell` goes
with them.
"""

from selaras.page._bands import Banded, banded
from selaras.page._bars import BarRow, interval_bars
from selaras.page._counts import CountCell, counts
from selaras.page._curves import Curve, curves
from selaras.page._heat import HeatCell, heat
from selaras.page._map import Place, Region, point_map
from selaras.page._spread import Spread, spreads
from selaras.page._tradeoff import Better, Point, tradeoff

__all__ = [
    "Banded",
    "BarRow",
    "Better",
    "CountCell",
    "Curve",
    "HeatCell",
    "Place",
    "Point",
    "Region",
    "Spread",
    "banded",
    "counts",
    "curves",
    "heat",
    "interval_bars",
    "point_map",
    "spreads",
    "tradeoff",
]
