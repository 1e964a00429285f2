"""The bias-corrected and accelerated bootstrap, of rows or of whole clusters.

Why: kappa, a ratio or a median have no simple interval. Resampling whole clusters keeps rows that
belong together together; the seed makes the interval the same on every machine.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from selaras.stats._quantiles import two_sided_z
from selaras.stats.intervals import Interval

Floats = NDArray[np.float64]
Statistic = Callable[[NDArray[np.intp]], float]


def bca(
    n: int,
    statistic: Statistic,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return a statistic of n rows with its BCa bootstrap interval.

    Source: Efron (1987), JASA 82:171-185, with the jackknife acceleration; clusters are the units
    of resampling and of the jackknife. Draws in which the statistic is nan are left out; where all
    draws are equal the interval is that point.

    Args:
        n: the number of rows.
        statistic: takes row numbers, shape (m,), repeated as drawn, and returns a number or nan.
        clusters: one label a row; None makes every row its own cluster.
        confidence: two-sided level, 0 < confidence < 1.
        draws: resamples, at least 100.
        seed: for the resamples.

    Returns:
        An `Interval`, stretched to hold its value; limits are nan under two clusters.

    Raises:
        ValueError: on unequal lengths, too few draws, or a bad confidence.

    Example:
        >>> values = np.array([1.0, 2.0, 4.0, 8.0, 9.0, 12.0])
        >>> mean = bca(len(values), lambda rows: float(values[rows].mean()))
        >>> mean.value, 2 < mean.low < 4, 8 < mean.high < 10
        (6.0, True, True)
    """
    two_sided_z(confidence)
    if draws < 100:
        raise ValueError(f"need at least 100 draws, got {draws}")
    members = _members(range(n) if clusters is None else clusters, n)
    value = statistic(np.arange(n)) if n else math.nan
    if len(members) < 2 or math.isnan(value):
        return Interval(value, math.nan, math.nan, n, "bca")
    rng = np.random.default_rng(seed)
    found = np.array(
        [
            statistic(np.concatenate([members[unit] for unit in drawn]))
            for drawn in rng.integers(0, len(members), size=(draws, len(members)))
        ]
    )
    found = np.sort(found[~np.isnan(found)])
    if not len(found):
        return Interval(value, math.nan, math.nan, n, "bca")
    left_out = [
        statistic(np.concatenate(members[:unit] + members[unit + 1 :]))
        for unit in range(len(members))
    ]
    tails = _levels(found, value, _acceleration(np.array(left_out)), confidence)
    low, high = np.quantile(found, tails)
    return Interval(value, min(float(low), value), max(float(high), value), n, "bca")


def _members(clusters: Sequence[Hashable], n: int) -> list[NDArray[np.intp]]:
    if len(clusters) != n:
        raise ValueError(f"{n} rows but {len(clusters)} cluster labels")
    found: dict[Hashable, list[int]] = {}
    for number, cluster in enumerate(clusters):
        found.setdefault(cluster, []).append(number)
    return [np.array(rows, dtype=np.intp) for rows in found.values()]


def _acceleration(left_out: Floats) -> float:
    spread = np.nanmean(left_out) - left_out[~np.isnan(left_out)]
    scale = float(np.sum(spread**2)) ** 1.5
    return float(np.sum(spread**3)) / (6 * scale) if scale > 0 else 0.0


def _levels(found: Floats, value: float, acceleration: float, confidence: float) -> list[float]:
    """Return the two quantile levels, corrected for bias and acceleration."""
    normal = NormalDist()
    # Half of the ties, as for a discrete statistic the bias is that of its middle.
    below = float(np.mean(found < value) + np.mean(found == value) / 2)
    if below in (0.0, 1.0):
        return [below, below]
    bias = normal.inv_cdf(below)
    levels = []
    for z in (-two_sided_z(confidence), two_sided_z(confidence)):
        room = 1 - acceleration * (bias + z)
        # Past its pole the correction turns around; the extreme is what it tends to there.
        levels.append(normal.cdf(bias + (bias + z) / room) if room > 0 else float(z > 0))
    return levels
