"""Exact limits for a rate whose rows come in clusters that say one thing each.

Why: with clusters of unequal size the hits are a weighted sum of independent coins, and no number
of "effective" rows turns that into a binomial: Kish's falls short where one cluster is large. The
distribution of the sum is cheap to have exactly, so the tail equations of Clopper and Pearson can
be solved for it as they stand.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from selaras.stats._binomial import exact_lower
from selaras.stats._quantiles import two_sided_z

STEPS = 50
# The transform's rounding error, far under any tail that is asked for.
NOISE = 1e-12


def repeated_bounds(
    fewest: int, most: int, sizes: Sequence[int], confidence: float
) -> tuple[float, float]:
    """Return the limits of p for sums of clusters that are hit whole with chance p.

    The lower limit solves P(sum >= fewest) = (1 - confidence) / 2, the upper one
    P(sum <= most) = (1 - confidence) / 2. Sums that whole clusters cannot reach count as the next
    one that they can, away from the middle. Exact if rows of a cluster repeat one another, wider
    than needed if they do not: outcomes of one mean vary most as coins.

    Source: Clopper & Pearson (1934), for a generalised binomial whose distribution comes from its
    characteristic function (Hong 2013, doi:10.1016/j.csda.2012.10.006, with sizes as exponents).

    Args:
        fewest: the fewest hits among all rows, 0 <= fewest <= most.
        most: the most hits.
        sizes: rows of each cluster, at least one, each >= 1.
        confidence: two-sided level, 0 < confidence < 1.

    Raises:
        ValueError: on a confidence out of range.

    Example:
        >>> [round(limit, 4) for limit in repeated_bounds(8, 8, [1] * 10, 0.95)]
        [0.4439, 0.9748]
        >>> [round(limit, 4) for limit in repeated_bounds(16, 16, [2] * 10, 0.95)]
        [0.4439, 0.9748]
    """
    two_sided_z(confidence)  # refuses what is no level
    tail, n, size = (1 - confidence) / 2, sum(sizes), sizes[0]
    if set(sizes) == {size}:
        clusters = n // size
        low = exact_lower(fewest // size, clusters, tail)
        return low, 1 - exact_lower(clusters + -most // size, clusters, tail)
    chances = distribution(sizes)
    sums = _reachable(sizes)
    above = next(k for k in range(most, n + 1) if sums >> k & 1)
    below = next(k for k in range(fewest, -1, -1) if sums >> k & 1)
    low = _solve(lambda p: float(chances(p)[below:].sum()) > tail) if below else 0.0
    high = _solve(lambda p: float(chances(p)[: above + 1].sum()) <= tail) if above < n else 1.0
    return low, high


def distribution(sizes: Sequence[int]) -> Callable[[float], NDArray[np.float64]]:
    """Return the chances of 0 to n hits as a function of p."""
    n = sum(sizes)
    angles = 2j * np.pi * np.arange((n + 1) // 2 + 1) / (n + 1)
    waves = [(np.exp(-angles * size), count) for size, count in Counter(sizes).items()]

    def chances(p: float) -> NDArray[np.float64]:
        product = np.ones(len(angles), dtype=complex)
        for wave, count in waves:
            product *= (1 - p + p * wave) ** count
        found = np.fft.irfft(product, n + 1)
        return np.where(found > NOISE, found, 0.0)

    return chances


def _reachable(sizes: Sequence[int]) -> int:
    """Return the sums of whole clusters as the bits of a number."""
    sums = 1
    for size in sizes:
        sums |= sums << size
    return sums


def _solve(beyond: Callable[[float], bool]) -> float:
    """Return where `beyond` turns true on [0, 1]."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return (low + high) / 2
