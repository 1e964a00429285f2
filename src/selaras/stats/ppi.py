"""A rate that a judge measured on many rows, corrected by people's labels on some of them.

Why: a judge that errs gives a biased rate with a narrow interval; people alone give an unbiased one
with a wide interval. Prediction-powered inference takes the judge's mean and adds the mean error
that the labels show, weighted so that it is never worse than the labels alone (for many rows).
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selaras.stats._quantiles import two_sided_t, two_sided_z
from selaras.stats.intervals import score_bounds

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PowerTuned:
    """A PPI++ mean with its interval.

    Attributes:
        value: the estimate; nan under two labelled clusters. It may fall outside [0, 1].
        low: the lower limit, cut to the range of the labels' scale [0, 1].
        high: the upper limit, cut likewise.
        labelled: rows with a label.
        rows: all rows with a judgement, labelled ones among them.
        weight: how much the judge counts, lambda in [0, 1]; 0 is the mean of the labels alone.
        effective: how many labels alone would give this interval.
    """

    value: float
    low: float
    high: float
    labelled: int
    rows: int
    weight: float
    effective: float


def ppi_mean(
    labels: Sequence[float],
    judged: Sequence[float],
    others: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    other_clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> PowerTuned:
    """Return the mean label over all rows, from the labelled rows and the judge's other verdicts.

    The labelled rows have to be a random draw of all rows.

    Source: Angelopoulos, Duchi & Zrnic (2023), PPI++, arXiv:2311.01453, mean estimation with power
    tuning (example 6.1). Deviations: cluster-robust variances, and the t quantile at labelled
    clusters - 1 in place of the normal one, since labels are few.

    Args:
        labels: people's values in [0, 1] on the labelled rows.
        judged: the judge's values on the same rows, in the same order.
        others: the judge's values on the rows without a label.
        clusters: one label a labelled row; None makes every row its own cluster.
        other_clusters: one label a row of `others`; None likewise.
        confidence: two-sided level, 0 < confidence < 1.

    Returns:
        A `PowerTuned`; without other rows it is the mean of the labels.

    Raises:
        ValueError: on unequal lengths or a bad confidence.

    Example:
        >>> people, judge = [1.0, 0, 1, 1, 0, 0, 1, 0] * 10, [1.0, 0, 1, 0, 0, 0, 1, 0] * 10
        >>> found = ppi_mean(people, judge, [1.0, 0, 0, 0, 1, 0, 1, 0] * 100)
        >>> round(found.value, 2), found.effective > 80
        (0.5, True)
    """
    y, f, g = (np.asarray(part, dtype=np.float64) for part in (labels, judged, others))
    if len(y) != len(f):
        raise ValueError(f"{len(y)} labels but {len(f)} judgements of the same rows")
    own = _places(range(len(y)) if clusters is None else clusters, len(y))
    far = _places(range(len(g)) if other_clusters is None else other_clusters, len(g))
    two_sided_t(confidence, 1)
    units = len(set(own))
    if units < 2:
        value = float(y.mean()) if len(y) else math.nan
        return PowerTuned(value, 0.0, 1.0, len(y), len(y) + len(g), 0.0, float(len(y)))
    weight = _weight(y, f, g, own, far)
    rest = y - weight * f
    mean = float(rest.mean() + (weight * g.mean() if weight else 0.0))
    value = min(1.0, max(0.0, mean))
    variance = _robust(rest, rest, own) + (weight**2 * _robust(g, g, far) if weight else 0.0)
    alone = _robust(y, y, own)
    # Labels that are all alike show no spread, and so no gain either.
    effective = len(y) * (alone / variance if variance > 0 else 1.0)
    size = value * (1 - value) / variance if variance > 0 else 0.0
    shrink = (two_sided_z(confidence) / two_sided_t(confidence, units - 1)) ** 2
    low, high = score_bounds(value, shrink * (size or len(y)), confidence)
    return PowerTuned(value, low, high, len(y), len(y) + len(g), weight, effective)


def _weight(y: Floats, f: Floats, g: Floats, own: Sequence[int], far: Sequence[int]) -> float:
    """Return the weight of the judge that makes the variance smallest, within [0, 1]."""
    if len(set(far)) < 2:
        return 0.0
    spread = _robust(f, f, own) + _robust(g, g, far)
    return min(1.0, max(0.0, _robust(y, f, own) / spread)) if spread > 0 else 0.0


def _robust(a: Floats, b: Floats, places: Sequence[int]) -> float:
    """Return the cluster-robust covariance of two means over the same rows (CR1)."""
    units = max(places) + 1
    first = np.bincount(places, weights=a - a.mean(), minlength=units)
    second = np.bincount(places, weights=b - b.mean(), minlength=units)
    return float(units / (units - 1) * np.sum(first * second) / len(a) ** 2)


def _places(clusters: Sequence[Hashable], n: int) -> list[int]:
    """Return the clusters as numbers from 0 on, in order of appearance."""
    if len(clusters) != n:
        raise ValueError(f"{n} rows but {len(clusters)} cluster labels")
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(cluster, len(numbers)) for cluster in clusters]
