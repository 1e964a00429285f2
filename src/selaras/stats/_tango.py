"""Tango's score interval for a difference of paired proportions.

Why: it inverts the test that asks whether the difference could be a given margin, so it is the
interval of a non-inferiority test, and the one that can be made conservative for a gate by a
continuity correction.
"""

import math
from collections.abc import Callable

from selaras.stats._newcombe import PairedTable
from selaras.stats._quantiles import two_sided_z


def tango_bounds(
    table: PairedTable, confidence: float, correction: float = 0.0
) -> tuple[float, float]:
    """Return the limits for the rate after minus the rate before, within [-1, 1].

    Source: Tango (1998), Statist. Med. 17:891-908, equations 4 to 8, solved by bisection to 1e-10.
    `correction` is taken off the numerator of the score, in pairs; the paper has none.

    Args:
        table: the paired counts, with more than zero pairs.
        confidence: two-sided level, 0 < confidence < 1.
        correction: pairs, at least 0.

    Returns:
        (low, high) around (gained - lost) / n.

    Raises:
        ValueError: if `confidence` is not strictly between 0 and 1, or `correction` is negative.

    Example:
        >>> table = PairedTable(both=14, gained=5, lost=0, neither=22)
        >>> [round(limit, 4) for limit in tango_bounds(table, 0.95)]
        [0.0258, 0.2554]
    """
    z = two_sided_z(confidence)
    if correction < 0:
        raise ValueError(f"a correction is at least 0 pairs, got {correction}")
    low = _lower(table.gained, table.lost, table.n, z, correction)
    high = -_lower(table.lost, table.gained, table.n, z, correction)
    return low, high


def _lower(gained: float, lost: float, n: float, z: float, correction: float) -> float:
    """Return the smallest difference that the score test does not reject."""

    def rejected(difference: float) -> bool:
        room = gained - lost - correction - n * difference
        return room > z * math.sqrt(_variance(gained, lost, n, difference))

    return _boundary(rejected, -1.0, min(1.0, (gained - lost) / n))


def _variance(gained: float, lost: float, n: float, difference: float) -> float:
    """Variance of gained - lost, at the likeliest share of losses under the difference."""
    b = (2 * n - gained + lost) * difference - gained - lost
    c = -lost * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    return max(0.0, n * (2 * share + difference * (1 - difference)))


def _boundary(below: Callable[[float], bool], low: float, high: float) -> float:
    """Return where `below` turns from true to false between the two."""
    while high - low > 1e-10:
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low
