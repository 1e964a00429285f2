"""Newcombe's hybrid score interval for a difference of paired proportions.

Why: the Wald interval collapses to a point when no pair changes, which is what a small paired
evaluation often shows. Newcombe's combines the two Wilson intervals, allowing for the
correlation of the pairs, and keeps a width there.
"""

import math
from dataclasses import dataclass

from selaras.stats.intervals import score_bounds


@dataclass(frozen=True, slots=True)
class PairedTable:
    """The four cells of a paired 2 x 2 table, as counts that need not be whole."""

    both: float
    gained: float
    lost: float
    neither: float

    @property
    def n(self) -> float:
        """All pairs."""
        return self.both + self.gained + self.lost + self.neither

    def scaled_to(self, n: float) -> "PairedTable":
        """Return the same proportions on `n` pairs."""
        factor = n / self.n
        return PairedTable(
            self.both * factor, self.gained * factor, self.lost * factor, self.neither * factor
        )


def newcombe_bounds(table: PairedTable, confidence: float) -> tuple[float, float]:
    """Return the limits for the rate after minus the rate before, within [-1, 1].

    Source: Newcombe (1998), Statist. Med. 17:2635-2650, method 10: score limits without
    continuity correction, and phi with n / 2 taken off a positive numerator, down to 0 at most;
    phi is 0 where a margin is empty.

    Args:
        table: the paired counts, with more than zero pairs.
        confidence: two-sided level, 0 < confidence < 1.

    Returns:
        (low, high) around (gained - lost) / n.

    Raises:
        ValueError: if `confidence` is not strictly between 0 and 1.

    Example:
        >>> table = PairedTable(both=14, gained=5, lost=0, neither=22)
        >>> [round(limit, 4) for limit in newcombe_bounds(table, 0.95)]
        [0.0115, 0.2265]
    """
    n = table.n
    after = min(1.0, (table.both + table.gained) / n)
    before = min(1.0, (table.both + table.lost) / n)
    after_low, after_high = score_bounds(after, n, confidence)
    before_low, before_high = score_bounds(before, n, confidence)
    phi = _corrected_phi(table)
    difference = (table.gained - table.lost) / n
    low = difference - _combine(after - after_low, before_high - before, phi)
    high = difference + _combine(after_high - after, before - before_low, phi)
    return max(-1.0, low), min(1.0, high)


def _corrected_phi(table: PairedTable) -> float:
    after = (table.both + table.gained) * (table.lost + table.neither)
    before = (table.both + table.lost) * (table.gained + table.neither)
    margins = after * before
    if margins <= 0:
        return 0.0
    numerator = table.both * table.neither - table.gained * table.lost
    # Only a positive correlation narrows the interval, so only that is shrunk.
    if numerator > 0:
        numerator = max(0.0, numerator - table.n / 2)
    return numerator / math.sqrt(margins)


def _combine(first: float, second: float, phi: float) -> float:
    # The form is non-negative for |phi| <= 1; rounding alone can push it under.
    return math.sqrt(max(0.0, first**2 - 2 * phi * first * second + second**2))
