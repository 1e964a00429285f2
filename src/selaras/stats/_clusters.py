"""Rows to cluster totals, and the cluster-robust variance of their mean.

Why: ten paraphrases of one question are not ten questions. A rate and a paired difference both
get their honest variance from cluster totals, so the arithmetic lives once, in exact integers.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterSum:
    """The rows of one cluster: how many, and the sum of their values."""

    size: int
    total: int


def as_bits(outcomes: Sequence[bool]) -> list[int]:
    """Return the outcomes as 0 or 1, refusing anything that is neither.

    Args:
        outcomes: booleans, numpy booleans, or the numbers 0 and 1.

    Returns:
        A list of the same length.

    Raises:
        ValueError: on any other value; a missing outcome must not count as a miss.

    Example:
        >>> as_bits([True, False])
        [1, 0]
    """
    for outcome in outcomes:
        if outcome not in (0, 1):
            raise ValueError(f"an outcome must be True or False, got {outcome!r}")
    return [int(outcome) for outcome in outcomes]


def cluster_sums(values: Sequence[int], clusters: Sequence[Hashable]) -> list[ClusterSum]:
    """Return one size and total a cluster, in order of first appearance.

    Args:
        values: one integer a row.
        clusters: one label a row; equal labels share a cluster.

    Returns:
        At most one entry a row; sizes add up to the number of rows.

    Raises:
        ValueError: if the two lengths differ.

    Example:
        >>> cluster_sums([1, 0, 1], ["a", "a", "b"])
        [ClusterSum(size=2, total=1), ClusterSum(size=1, total=1)]
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} rows but {len(clusters)} cluster labels")
    # Dicts and not numpy.unique: labels need not be sortable.
    sizes: dict[Hashable, int] = {}
    totals: dict[Hashable, int] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sizes[cluster] = sizes.get(cluster, 0) + 1
        totals[cluster] = totals.get(cluster, 0) + value
    return [ClusterSum(sizes[cluster], totals[cluster]) for cluster in sizes]


def robust_variance(groups: Sequence[ClusterSum]) -> float:
    """Return the cluster-robust variance of the mean of all rows, infinite for one cluster.

    Source: Liang & Zeger (1986) sandwich for a mean, with the G / (G - 1) correction (CR1):
    G / (G - 1) * sum_c (total_c - size_c * mean)^2 / n^2. With singletons it is the sample
    variance over n.

    Args:
        groups: the clusters, at least one, each of size at least 1.

    Returns:
        A number >= 0; infinity when there is one cluster, which says nothing about variance.

    Example:
        >>> robust_variance([ClusterSum(2, 2), ClusterSum(2, 0)])
        0.25
    """
    if len(groups) == 1:
        return math.inf
    n = sum(group.size for group in groups)
    total = sum(group.total for group in groups)
    # Times n to stay whole: equal clusters then give exactly zero, which callers test for.
    squares = sum((n * group.total - group.size * total) ** 2 for group in groups)
    return len(groups) / (len(groups) - 1) * (squares / n**4)
