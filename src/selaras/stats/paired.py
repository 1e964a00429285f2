"""The difference between two runs over the same rows, with its interval and p-value.

Why: two systems scored on one set of prompts share the hard prompts, so comparing their two
separate intervals wastes power, and treating grouped rows as independent invents it. Pairs
alone get McNemar and Newcombe; grouped pairs get a sign flip of whole clusters and a
cluster-robust t interval.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from selaras.stats._binomial import upper_tail
from selaras.stats._clusters import ClusterSum, as_bits, cluster_sums, robust_variance
from selaras.stats._newcombe import PairedTable, newcombe_bounds
from selaras.stats._quantiles import two_sided_t, two_sided_z
from selaras.stats._tango import tango_bounds

# 2^16 sign patterns take a millisecond; each further cluster doubles that.
_EXACT_CLUSTERS = 16
_FLIPS = 20_000

Test = Literal["mcnemar-exact", "sign-flip-exact", "sign-flip-monte-carlo"]
Score = Literal["newcombe", "tango"]
IntervalKind = Literal[
    "newcombe", "tango", "cluster-t", "newcombe-clusters", "tango-clusters", "no-change"
]
# Scores are compared in thousandths, so that sums of clusters are whole and exact.
_PARTS = 1000
_SCORES = {"newcombe": newcombe_bounds, "tango": tango_bounds}
_SHRUNK: dict[Score, IntervalKind] = {"newcombe": "newcombe-clusters", "tango": "tango-clusters"}


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A paired difference of rates, low <= difference <= high, with a two-sided p-value.

    That of means of scores is in the scores' own unit; `gained` and `lost` then count rows whose
    score rose or fell.

    Attributes:
        difference: rate after minus rate before, in [-1, 1]; nan without rows.
        low: the lower limit, at least -1.
        high: the upper limit, at most 1.
        p_value: two-sided, in [0, 1].
        n: pairs of rows.
        clusters: distinct clusters; `n` when none were given.
        gained: rows false before and true after.
        lost: rows true before and false after.
        test: which test gave `p_value`.
        interval: which method gave `low` and `high`.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    clusters: int
    gained: int
    lost: int
    test: Test
    interval: IntervalKind


def paired_difference(
    before: Sequence[bool],
    after: Sequence[bool],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    score: Score = "newcombe",
) -> PairedDifference:
    """Return mean(after) - mean(before) over paired rows, with a p-value and an interval.

    Singletons: exact McNemar test and Newcombe's method 10, or Tango's score interval. Otherwise:
    a sign-flip test of cluster sums, exact up to 16 non-zero sums and 20,000 seeded flips beyond,
    and a t interval from the cluster-robust variance on clusters - 1 degrees of freedom. Where that
    variance is zero or undefined (no row changed, all changed alike, one cluster), the score
    interval with the clusters as sample size stands in, so the width is never zero. Test and
    interval are separate methods and can disagree at the edge of significance.

    Source: McNemar (1947), exact form; Newcombe (1998); Tango (1998); Liang & Zeger (1986) with
    CR1; the flip test is Fisher's randomisation test, its Monte-Carlo p-value after Phipson &
    Smyth (2010).

    Args:
        before: one outcome a row.
        after: the outcome of the same row afterwards, in the same order.
        clusters: one label a row; None makes every row its own cluster.
        confidence: two-sided level, 0 < confidence < 1.
        seed: for the Monte-Carlo flips.
        score: which score interval stands for singletons.

    Returns:
        A `PairedDifference`; without rows its difference is nan, its interval [-1, 1], p 1.

    Raises:
        ValueError: on unequal lengths, an outcome that is no boolean, or a bad confidence.

    Example:
        >>> result = paired_difference([False] * 8 + [True] * 2, [True] * 7 + [False] * 3)
        >>> result.gained, result.lost, round(result.difference, 3), round(result.p_value, 3)
        (7, 2, 0.5, 0.18)
    """
    old, new = as_bits(before), as_bits(after)
    if len(old) != len(new):
        raise ValueError(f"{len(old)} rows before but {len(new)} after")
    two_sided_z(confidence)
    changes = [y - x for x, y in zip(old, new, strict=True)]
    groups = cluster_sums(changes, range(len(old)) if clusters is None else clusters)
    gained, lost = changes.count(1), changes.count(-1)
    table = PairedTable(sum(new) - gained, gained, lost, len(old) - sum(new) - lost)
    low, high, interval = _interval(table, groups, confidence, score)
    p_value, test = _test(gained, lost, groups, seed)
    return PairedDifference(
        difference=(gained - lost) / len(old) if old else math.nan,
        low=low,
        high=high,
        p_value=p_value,
        n=len(old),
        clusters=len(groups),
        gained=gained,
        lost=lost,
        test=test,
        interval=interval,
    )


def paired_means(
    before: Sequence[float],
    after: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    span: float = 1.0,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Return mean(after) - mean(before) of paired scores, with a p-value and an interval.

    The sign-flip test of cluster sums and the cluster-robust t interval of `paired_difference`.
    Where that variance is zero (no score changed, or all alike), the interval is what none of so
    many clusters changing leaves possible, times the `span` of the scale.

    Args:
        before: one score a row.
        after: the score of the same row afterwards, in the same order.
        clusters: one label a row; None makes every row its own cluster.
        span: the length of the scale, such as 4 for grades of 1 to 5.
        confidence: two-sided level, 0 < confidence < 1.
        seed: for the Monte-Carlo flips.

    Returns:
        A `PairedDifference` in the scores' unit, to a thousandth; without rows its difference is
        nan, its interval [-span, span], p 1.

    Raises:
        ValueError: on unequal lengths or a bad confidence.

    Example:
        >>> found = paired_means([3, 4, 2, 3, 4, 3, 2, 3], [4, 5, 3, 3, 5, 4, 4, 4], span=4)
        >>> found.difference, found.gained, round(found.p_value, 3)
        (1.0, 7, 0.016)
    """
    n = len(before)
    if len(after) != n:
        raise ValueError(f"{n} rows before but {len(after)} after")
    two_sided_z(confidence)
    if not n:
        return PairedDifference(
            math.nan, -span, span, 1.0, 0, 0, 0, 0, "sign-flip-exact", "no-change"
        )
    changes = [round(_PARTS * (y - x)) for x, y in zip(before, after, strict=True)]
    groups = cluster_sums(changes, range(n) if clusters is None else clusters)
    difference = sum(changes) / n / _PARTS
    variance = robust_variance(groups)
    interval: IntervalKind
    if variance in (0, math.inf):
        half, interval = span * (1 - (1 - confidence) ** (1 / len(groups))), "no-change"
    else:
        half = two_sided_t(confidence, len(groups) - 1) * math.sqrt(variance) / _PARTS
        interval = "cluster-t"
    sums = [abs(group.total) for group in groups if group.total]
    p_value, test = _flipped(sums, abs(sum(changes)), seed)
    return PairedDifference(
        difference=difference,
        low=max(-span, difference - half),
        high=min(span, difference + half),
        p_value=p_value,
        n=n,
        clusters=len(groups),
        gained=sum(change > 0 for change in changes),
        lost=sum(change < 0 for change in changes),
        test=test,
        interval=interval,
    )


def _interval(
    table: PairedTable, groups: Sequence[ClusterSum], confidence: float, score: Score
) -> tuple[float, float, IntervalKind]:
    if not groups:
        return -1.0, 1.0, score
    bounds = _SCORES[score]
    if all(group.size == 1 for group in groups):
        return *bounds(table, confidence), score
    variance = robust_variance(groups)
    # A t interval would be a point here, or the whole range.
    if variance in (0, math.inf):
        return *bounds(table.scaled_to(len(groups)), confidence), _SHRUNK[score]
    difference = (table.gained - table.lost) / table.n
    half = two_sided_t(confidence, len(groups) - 1) * math.sqrt(variance)
    return max(-1.0, difference - half), min(1.0, difference + half), "cluster-t"


def _test(gained: int, lost: int, groups: Sequence[ClusterSum], seed: int) -> tuple[float, Test]:
    if all(group.size == 1 for group in groups):
        return _mcnemar_exact(gained, lost), "mcnemar-exact"
    # A zero sum is the same under either sign; the null is symmetric, so signs are dropped.
    sums = [abs(group.total) for group in groups if group.total]
    return _flipped(sums, abs(gained - lost), seed)


def _flipped(sums: Sequence[int], observed: int, seed: int) -> tuple[float, Test]:
    if len(sums) <= _EXACT_CLUSTERS:
        return _flip_all(sums, observed), "sign-flip-exact"
    return _flip_some(sums, observed, seed), "sign-flip-monte-carlo"


def _mcnemar_exact(gained: int, lost: int) -> float:
    return min(1.0, 2 * upper_tail(max(gained, lost), gained + lost, 0.5))


def _flip_all(sums: Sequence[int], observed: int) -> float:
    totals = np.zeros(1, dtype=np.int64)
    for size in sums:
        totals = np.concatenate([totals + size, totals - size])
    return float(np.mean(np.abs(totals) >= observed))


def _flip_some(sums: Sequence[int], observed: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    totals = np.zeros(_FLIPS, dtype=np.int64)
    # Clusters of equal size are exchangeable: their positive signs are one binomial draw.
    for size in sorted(set(sums)):
        many = sums.count(size)
        totals += size * (2 * rng.binomial(many, 0.5, _FLIPS) - many)
    extreme = int(np.sum(np.abs(totals) >= observed))
    # The observed assignment is one of the flips, so p is never zero and the test stays valid.
    return (1 + extreme) / (1 + _FLIPS)
