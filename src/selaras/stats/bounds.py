"""Bounds for gates: rates and paired differences that must not be too kind.

Why: a launch is decided by a bound, so it may be too wide and never too narrow. Rates have
Clopper-Pearson limits, paired differences Tango's with a continuity correction. Rows of one
cluster may say the same thing over again: rates are bounded as if they did, exactly; differences
count as Kish's effective number of clusters, with room to spare (benchmarks/coverage.py). Rows
without an outcome are taken at their worst on both sides.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from selaras.stats._clusters import as_bits, cluster_sums
from selaras.stats._newcombe import PairedTable
from selaras.stats._quantiles import two_sided_z
from selaras.stats._repeated import repeated_bounds
from selaras.stats._tango import tango_bounds
from selaras.stats.intervals import Interval, clopper_pearson
from selaras.stats.power import smallest_n

# Pairs taken off the score: with 2, enumeration of all tables up to n = 400 finds no bound that
# covers less than its level (benchmarks/coverage.py); with none it falls short in 4 of 10 cases.
CORRECTION = 2.0

Outcome = bool | None


def rate_bounds(
    outcomes: Sequence[Outcome], clusters: Sequence[Hashable], confidence: float = 0.95
) -> Interval:
    """Return the share of hits with limits that hold whatever the missing outcomes were.

    Source: Clopper & Pearson (1934), for rows that repeat one another fully within a cluster
    (`repeated_bounds`). Exact for singletons and for such clusters, conservative otherwise.

    Args:
        outcomes: one a row; None where it is not known.
        clusters: one label a row.
        confidence: two-sided level, 0 < confidence < 1; each limit alone holds at half the rest.

    Returns:
        An `Interval` over all rows; its value is the share among known outcomes, nan without any.

    Raises:
        ValueError: on unequal lengths, an outcome that is no boolean, or a bad confidence.

    Example:
        >>> bounds = rate_bounds([True] * 19 + [None], range(20))
        >>> bounds.value, round(bounds.low, 3), bounds.high
        (1.0, 0.751, 1.0)
    """
    known = as_bits([outcome for outcome in outcomes if outcome is not None])
    n, hits = len(outcomes), sum(known)
    if n == 0:
        return clopper_pearson(0, 0, confidence)
    sizes = [group.size for group in cluster_sums([0] * n, clusters)]
    low, high = repeated_bounds(hits, hits + n - len(known), sizes, confidence)
    value = hits / len(known) if known else math.nan
    return Interval(value, low, high, n, "clopper-pearson")


def difference_bounds(
    before: Sequence[Outcome],
    after: Sequence[Outcome],
    clusters: Sequence[Hashable],
    confidence: float = 0.95,
) -> Interval:
    """Return mean(after) - mean(before) with limits that hold whatever the missing outcomes were.

    A lower limit above minus the margin is a test of non-inferiority at half of 1 - confidence.

    Source: Tango (1998) with `CORRECTION`, at Kish's effective number of clusters; no exact
    interval is known that stays cheap for thousands of pairs.

    Args:
        before: one outcome a row; None where it is not known.
        after: the outcome of the same row afterwards, in the same order.
        clusters: one label a row.
        confidence: two-sided level, 0 < confidence < 1; each limit alone holds at half the rest.

    Returns:
        An `Interval` in [-1, 1] over all pairs; its value is the difference among pairs that are
        known on both sides, nan without any.

    Raises:
        ValueError: on unequal lengths, an outcome that is no boolean, or a bad confidence.

    Example:
        >>> bounds = difference_bounds([True] * 300, [True] * 298 + [False] * 2, range(300))
        >>> bounds.low > -0.04, bounds.high > 0
        (True, True)
    """
    n = len(before)
    if len(after) != n:
        raise ValueError(f"{n} rows before but {len(after)} after")
    as_bits([outcome for outcome in (*before, *after) if outcome is not None])
    if n == 0:
        two_sided_z(confidence)
        return Interval(math.nan, -1.0, 1.0, 0, "tango-corrected")
    size = effective_clusters(clusters, n)
    pairs = list(zip(before, after, strict=True))
    known = [(bool(a), bool(b)) for a, b in pairs if a is not None and b is not None]
    # The limits change places with the sides: an unknown row was a hit before and a miss after,
    # or the other way round.
    worst = [(a is None or bool(a), b is not None and bool(b)) for a, b in pairs]
    best = [(a is not None and bool(a), b is None or bool(b)) for a, b in pairs]
    low = tango_bounds(_table(worst).scaled_to(size), confidence, CORRECTION)[0]
    high = tango_bounds(_table(best).scaled_to(size), confidence, CORRECTION)[1]
    value = sum(b - a for a, b in known) / len(known) if known else math.nan
    return Interval(value, low, high, n, "tango-corrected")


def rows_to_decide(
    share: float, met: Callable[[float, float], bool], confidence: float = 0.95
) -> int | None:
    """Return about how many independent rows would meet a criterion at the share, None where none.

    Args:
        share: the share of hits that more rows are assumed to show, in [0, 1].
        met: whether (low, high) meets the criterion.
        confidence: as in `rate_bounds`.

    Returns:
        A number in two digits; None where the share itself breaks it or 50,000 would not do.

    Example:
        >>> rows_to_decide(0.0, lambda low, high: high <= 0.05)
        72
    """
    if not met(share, share):
        return None

    def enough(n: int) -> bool:
        found = clopper_pearson(round(share * n), n, confidence)
        return met(found.low, found.high)

    return smallest_n(enough)


def pairs_to_decide(
    gained: float, lost: float, met: Callable[[float, float], bool], confidence: float = 0.95
) -> int | None:
    """Return about how many independent pairs would meet a criterion at these shares of changes.

    Args:
        gained: the share of pairs that become a hit.
        lost: the share of pairs that are no hit any more.
        met: whether (low, high) of the difference meets the criterion.
        confidence: as in `difference_bounds`.

    Returns:
        A number in two digits; None where the difference itself breaks it or 50,000 would not do.

    Example:
        >>> pairs_to_decide(0.05, 0.05, lambda low, high: low >= -0.02)
        1200
    """
    if not met(gained - lost, gained - lost):
        return None
    table = PairedTable(1 - gained - lost, gained, lost, 0.0)
    return smallest_n(lambda n: met(*tango_bounds(table.scaled_to(n), confidence, CORRECTION)))


def effective_clusters(clusters: Sequence[Hashable], n: int) -> int:
    """Return Kish's effective number of clusters, whole and at least 1.

    Raises ValueError unless there is one label a row, n of them.

    >>> effective_clusters(["a"] * 8 + ["b", "c"], 10), effective_clusters("abc", 3)
    (1, 3)
    """
    groups = cluster_sums([0] * n, clusters)
    return max(1, math.floor(n * n / sum(group.size**2 for group in groups) + 1e-9))


def _table(pairs: Sequence[tuple[bool, bool]]) -> PairedTable:
    counts = Counter(pairs)
    cells = (True, True), (False, True), (True, False), (False, False)
    return PairedTable(*(counts[cell] for cell in cells))
