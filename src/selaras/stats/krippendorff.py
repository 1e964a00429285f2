"""Krippendorff's alpha: how far any number of raters agree beyond chance, gaps allowed.

Why: kappa knows two raters who both rated everything. Alpha takes whatever votes there are; items
with one vote say nothing of agreement and are left out. Units with the same counts are one pattern,
so the bootstrap draws multinomial tables over patterns and costs the same at a hundred items and at
a hundred thousand.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from selaras.stats._quantiles import two_sided_z
from selaras.stats.intervals import Interval

__all__ = ["krippendorff_alpha"]

_DRAWS = 2000
_METHOD = "percentile-bootstrap"
_CHUNK = 200

Floats = NDArray[np.float64]


def krippendorff_alpha(
    counts: NDArray[np.integer] | NDArray[np.float64],
    level: Literal["nominal", "ordinal"] = "nominal",
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return alpha, at most 1, with a percentile bootstrap interval over items.

    Source: Krippendorff (2019), Content Analysis, 4th ed., ch. 12; the bootstrap resamples whole
    items (Efron 1979), not the deviations that Krippendorff's own resamples. Deviation: resamples
    in which everybody chose one value are left out, as alpha is not defined there.

    Args:
        counts: shape (items, values), how many raters gave each value; for `ordinal` the values
            in their order. Items with fewer than two votes are left out.
        level: how far two values are apart: the same or not, or by the ranks between them.
        confidence: two-sided level, 0 < confidence < 1.
        seed: for the 2000 resamples.

    Returns:
        An `Interval` whose n counts the items with two votes or more; value nan with limits -1 and
        1 where there are none, or only one value was ever given.

    Raises:
        ValueError: on counts that are no table of numbers from 0 up, or a bad confidence.

    Example:
        >>> alpha = krippendorff_alpha(np.array([[3, 0], [0, 3], [2, 1], [3, 0]]))
        >>> round(alpha.value, 3), alpha.n
        (0.656, 4)
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or (table < 0).any() or not np.isfinite(table).all():
        raise ValueError("counts are a table of numbers from 0 up: items by values")
    two_sided_z(confidence)
    table = table[table.sum(axis=1) >= 2]
    n = len(table)
    if n == 0:
        return Interval(math.nan, -1.0, 1.0, 0, _METHOD)
    patterns, times = np.unique(table, axis=0, return_counts=True)
    pairs = _pairs(patterns)
    value = float(_alphas(times[None, :].astype(np.float64), patterns, pairs, level)[0])
    if math.isnan(value):
        return Interval(math.nan, -1.0, 1.0, n, _METHOD)
    rng = np.random.default_rng(seed)
    found = np.concatenate([
        _alphas(rng.multinomial(n, times / n, size=_CHUNK).astype(np.float64), patterns, pairs,
                level)
        for _ in range(_DRAWS // _CHUNK)
    ])  # fmt: skip
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(found, [tail, 1 - tail])
    return Interval(value, min(float(low), value), max(float(high), value), n, _METHOD)


def _pairs(patterns: Floats) -> Floats:
    """Return each pattern's coincidences, shape (patterns, values, values)."""
    outer = patterns[:, :, None] * patterns[:, None, :]
    values = np.arange(patterns.shape[1])
    outer[:, values, values] -= patterns
    return np.asarray(outer / (patterns.sum(axis=1) - 1)[:, None, None])


def _alphas(tables: Floats, patterns: Floats, pairs: Floats, level: str) -> Floats:
    """Return alpha of each weighting of the patterns, shape (draws,), nan where undefined."""
    marginals = tables @ patterns
    observed = np.tensordot(tables, pairs, axes=1)
    distances = _distances(marginals, level)
    expected = marginals[:, :, None] * marginals[:, None, :]
    disagreed = (observed * distances).sum(axis=(1, 2))
    by_chance = (expected * distances).sum(axis=(1, 2))
    alphas = np.full(len(tables), np.nan)
    room = marginals.sum(axis=1) - 1
    np.divide(room * disagreed, by_chance, out=alphas, where=by_chance > 0)
    return 1 - alphas


def _distances(marginals: Floats, level: str) -> Floats:
    """Return squared distances between values, shape (draws, values, values)."""
    draws, values = marginals.shape
    if level == "nominal":
        return np.broadcast_to(1 - np.eye(values), (draws, values, values))
    # The distance of two ranks: the votes between them, with half of those at either end.
    middle = np.cumsum(marginals, axis=1) - marginals / 2
    return np.asarray((middle[:, :, None] - middle[:, None, :]) ** 2)
