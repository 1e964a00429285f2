"""Bounds for gates on means of scores in [0, 1]: grades, preferences, and their differences.

Why: grades are no yes or no, so no binomial limits hold for them, and a normal interval is too kind
where few rows differ. Bets are fair whatever the scores are made of: somebody who stakes a share of
the purse on every row multiplies it by 1 + stake * (score / mean - 1), which is 1 on average under
the true mean. A mean under which many stakes together would have made the purse 1 / alpha times as
large is ruled out, by Markov's inequality.
"""

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from selaras.stats._quantiles import two_sided_z
from selaras.stats.bounds import effective_clusters
from selaras.stats.intervals import Interval
from selaras.stats.power import smallest_n

Floats = NDArray[np.float64]
# Small stakes see small differences in many rows, large ones few rows that hardly vary.
_STAKES = np.linspace(0.01, 0.999, 60)
_HALVINGS = 40


def mean_bounds(
    scores: Sequence[float | None], clusters: Sequence[Hashable], confidence: float = 0.95
) -> Interval:
    """Return the mean of scores in [0, 1] with limits that hold whatever the missing ones were.

    Source: Waudby-Smith & Ramdas (2024), J. R. Stat. Soc. B 86:1-27, betting. Deviation: an even
    mixture of fixed stakes over all rows at once, so that no order of the rows matters. Valid at
    any number of independent rows and for any distribution; rows of one cluster count as Kish's
    effective number of clusters, as in `rate_bounds`.

    Args:
        scores: one a row, in [0, 1]; None where it is not known.
        clusters: one label a row.
        confidence: two-sided level, 0 < confidence < 1; each limit alone holds at half the rest.

    Returns:
        An `Interval` over all rows; its value is the mean of known scores, nan without any.

    Raises:
        ValueError: on unequal lengths, a score out of range, or a bad confidence.

    Example:
        >>> bounds = mean_bounds([0.75] * 80, range(80))
        >>> bounds.value, round(bounds.low, 2), round(bounds.high, 2)
        (0.75, 0.7, 0.77)
    """
    two_sided_z(confidence)
    known = [score for score in scores if score is not None]
    if not all(0 <= score <= 1 for score in known):
        raise ValueError("a score is in [0, 1]")
    n = len(scores)
    if n == 0:
        return Interval(math.nan, 0.0, 1.0, 0, "betting")
    size = effective_clusters(clusters, n)
    worst = np.array([0.0 if score is None else score for score in scores])
    best = np.array([1.0 if score is None else score for score in scores])
    low, high = _limits(worst, best, size, confidence)
    return Interval(sum(known) / len(known) if known else math.nan, low, high, n, "betting")


def scores_to_decide(
    scores: Sequence[float], met: Callable[[float, float], bool], confidence: float = 0.95
) -> int | None:
    """Return about how many independent rows with such scores would meet a criterion.

    Args:
        scores: those that were seen, in [0, 1].
        met: whether (low, high) meets the criterion.
        confidence: as in `mean_bounds`.

    Returns:
        A number in two digits; None where their mean breaks it or 50,000 would not do.

    Example:
        >>> scores_to_decide([0.75, 1.0], lambda low, high: low >= 0.8)
        66
    """
    seen = np.array(scores, dtype=np.float64)
    if not len(seen) or not met(float(seen.mean()), float(seen.mean())):
        return None
    return smallest_n(lambda n: met(*_limits(seen, seen, n, confidence)))


def _limits(worst: Floats, best: Floats, size: int, confidence: float) -> tuple[float, float]:
    goal = math.log(2 / (1 - confidence))
    return _lower(worst, size, goal), 1 - _lower(1 - best, size, goal)


def _lower(scores: Floats, size: int, goal: float) -> float:
    """Return the least mean that the bets do not rule out, to within 1e-9 below it."""
    values, counts = np.unique(scores, return_counts=True)
    weights = np.asarray(counts * (size / len(scores)), dtype=np.float64)
    low, high = 0.0, float(scores.mean())
    # The purse shrinks as the mean grows, and at the observed mean it has not grown.
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _purse(values, weights, middle) >= goal else (low, middle)
    return low


def _purse(values: Floats, weights: Floats, mean: float) -> float:
    """Return the logarithm of what an even mixture of stakes has made of a purse of 1."""
    if mean <= 0:
        return math.inf
    logs = np.log1p(_STAKES[:, None] * (values / mean - 1)[None, :]) @ weights
    most = float(logs.max())
    return most + math.log(float(np.mean(np.exp(logs - most))))
