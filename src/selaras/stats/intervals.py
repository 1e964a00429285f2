"""Confidence intervals for a rate.

Why: a rate without an interval invites reading noise as a finding. Wilson's score interval is
the default, since it keeps its coverage at small n and near 0 and 1. Clopper-Pearson is for a
bound that must never be too low. The clustered form is for rows that come in groups.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from selaras.stats._binomial import exact_lower
from selaras.stats._clusters import ClusterSum, as_bits, cluster_sums, robust_variance
from selaras.stats._quantiles import two_sided_t, two_sided_z
from selaras.stats._repeated import repeated_bounds


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval: low <= value <= high, or value nan at no data.

    Attributes:
        value: the point estimate; nan when it is undefined.
        low: the lower limit.
        high: the upper limit.
        n: the rows behind it, whatever the effective sample size.
        method: how the limits were made, such as "wilson".
    """

    value: float
    low: float
    high: float
    n: int
    method: str


def wilson(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the rate hits / n with Wilson's score interval, within [0, 1].

    Source: Wilson (1927), JASA 22:209-212, without continuity correction.

    Args:
        hits: successes, 0 <= hits <= n.
        n: trials, n >= 0; zero gives value nan and the interval [0, 1].
        confidence: two-sided level, 0 < confidence < 1.

    Returns:
        An `Interval` with method "wilson".

    Raises:
        ValueError: on counts or a confidence out of range.

    Example:
        >>> interval = wilson(8, 10)
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.4902, 0.9433)
    """
    _check_counts(hits, n)
    if n == 0:
        return _unknown("wilson", confidence)
    low, high = score_bounds(hits / n, n, confidence)
    return Interval(hits / n, low, high, n, "wilson")


def clopper_pearson(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the rate hits / n with the exact interval, which covers at least `confidence`.

    Source: Clopper & Pearson (1934), Biometrika 26:404-413; the limits solve the binomial tail
    equations by bisection, to an absolute error under 1e-9 for n up to 100,000.

    Args:
        hits: successes, 0 <= hits <= n.
        n: trials, n >= 0; zero gives value nan and the interval [0, 1].
        confidence: two-sided level, 0 < confidence < 1.

    Returns:
        An `Interval` with method "clopper-pearson".

    Raises:
        ValueError: on counts or a confidence out of range.

    Example:
        >>> interval = clopper_pearson(8, 10)
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.4439, 0.9748)
    """
    _check_counts(hits, n)
    # For its check: a bad confidence must raise even where no quantile is needed.
    two_sided_z(confidence)
    if n == 0:
        return _unknown("clopper-pearson", confidence)
    tail = (1 - confidence) / 2
    low = exact_lower(hits, n, tail)
    high = 1 - exact_lower(n - hits, n, tail)
    return Interval(hits / n, low, high, n, "clopper-pearson")


def clustered_wilson(
    outcomes: Sequence[bool], clusters: Sequence[Hashable], confidence: float = 0.95
) -> Interval:
    """Return the rate of clustered outcomes with Wilson's interval at the effective sample size.

    The design effect is the cluster-robust variance of the mean over its variance under
    independence. The effective size is n over it, times (z / t)^2, at least 1 row and at most n:
    cut after the adjustment and not before, so that no interval jumps where the effect passes 1,
    and a swap of hits and misses mirrors it. Where that is fewer rows than Kish's for clusters
    whose rows all say the same, as an effect estimated from a hit or two often is, the limits are
    no wider than the exact ones for such clusters (nor narrower than plain `wilson` on the rows).
    At a rate of 0 or 1 the data show no design effect, so the interval is plain `wilson`: too
    narrow where rows repeat one another. Simulated coverage: benchmarks/coverage.py.

    Source: Kish (1965) design effect; effective-size Wilson with the t adjustment as in Korn &
    Graubard (1998) and Dean & Pagano (2015), J. Survey Stat. Methodol. 3:484-503. Both variances
    carry their small-sample factor, G / (G - 1) and n / (n - 1), so singletons give a design
    effect of 1. Deviation: the degrees of freedom are at most twice the clusters on the rarer side
    (with a hit, or with a miss), since those carry the variance when the rate is near 0 or 1.

    Args:
        outcomes: one boolean a row; none gives value nan and the interval [0, 1].
        clusters: one label a row.
        confidence: two-sided level, 0 < confidence < 1.

    Returns:
        An `Interval` whose `n` is the row count; its method is "clustered-wilson", or "wilson"
        when all clusters are singletons or the rate is 0 or 1.

    Raises:
        ValueError: on unequal lengths, an outcome that is no boolean, or a bad confidence.

    Example:
        >>> interval = clustered_wilson([True] * 6 + [False] * 4, list("aaabbbccdd"))
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.142, 0.932)
    """
    bits = as_bits(outcomes)
    groups = cluster_sums(bits, clusters)
    n, hits = len(bits), sum(bits)
    if len(groups) == n or hits in (0, n):
        return wilson(hits, n, confidence)
    rate = hits / n
    independent = rate * (1 - rate) / (n - 1)
    effect = robust_variance(groups) / independent
    shrunk = two_sided_z(confidence) / two_sided_t(confidence, _degrees(groups))
    size = min(n, n * shrunk**2 / effect) if effect > 0 else n
    # One cluster has infinite variance; it still counts as one row, not as none.
    low, high = score_bounds(rate, max(1.0, size), confidence)
    sizes = [group.size for group in groups]
    if size < n * n / sum(each * each for each in sizes):
        # A larger effect than Kish's of rows that repeat one another is noise of a few hits.
        least, most = repeated_bounds(hits, hits, sizes, confidence)
        plain = wilson(hits, n, confidence)
        low, high = min(max(low, least), plain.low), max(min(high, most), plain.high)
    return Interval(rate, low, high, n, "clustered-wilson")


def score_bounds(rate: float, n: float, confidence: float) -> tuple[float, float]:
    """Return Wilson's limits for a rate on a sample size that need not be whole.

    Args:
        rate: the observed rate, 0 <= rate <= 1.
        n: the sample size, n > 0.
        confidence: two-sided level, 0 < confidence < 1.

    Returns:
        (low, high) with 0 <= low <= rate <= high <= 1.

    Raises:
        ValueError: if `confidence` is not strictly between 0 and 1.

    Example:
        >>> [round(limit, 4) for limit in score_bounds(0.5, 10.0, 0.95)]
        [0.2366, 0.7634]
    """
    square = two_sided_z(confidence) ** 2
    centre = rate + square / (2 * n)
    half = math.sqrt(square * (rate * (1 - rate) / n + square / (4 * n * n)))
    scale = 1 + square / n
    # Rounding would leave 1e-18 where the limit is exactly 0 or 1.
    low = 0.0 if rate == 0 else (centre - half) / scale
    high = 1.0 if rate == 1 else (centre + half) / scale
    return max(0.0, min(low, rate)), min(1.0, max(high, rate))


def _check_counts(hits: int, n: int) -> None:
    if not 0 <= hits <= n:
        raise ValueError(f"need 0 <= hits <= n, got hits={hits}, n={n}")


def _unknown(method: str, confidence: float) -> Interval:
    two_sided_z(confidence)
    return Interval(math.nan, 0.0, 1.0, 0, method)


def _degrees(groups: Sequence[ClusterSum]) -> int:
    hit = sum(group.total > 0 for group in groups)
    missed = sum(group.total < group.size for group in groups)
    return max(1, min(len(groups) - 1, 2 * min(hit, missed)))
