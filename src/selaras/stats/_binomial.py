"""The exact binomial upper tail, summed from its largest term.

Why: Clopper-Pearson limits and the exact McNemar test both rest on it. Starting at the
threshold and multiplying by the ratio of neighbours needs about sqrt(n) terms, so n = 100,000
costs milliseconds without scipy.
"""

import math


def upper_tail(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X binomial(n, p), for a threshold at or above the mean, k >= n p.

    Args:
        k: the threshold, 0 <= k <= n and k >= n p, so that the terms fall from the first on.
        n: the number of trials, n >= 0.
        p: the success probability, 0 <= p <= 1.

    Returns:
        A probability in [0, 1], relative error about 1e-9 at n = 100,000 and less below.

    Raises:
        ValueError: if `k` is outside [0, n] or below the mean.

    Example:
        >>> round(upper_tail(9, 10, 0.5), 6)
        0.010742
    """
    if not 0 <= k <= n or k < n * p * (1 - 1e-12):
        raise ValueError(f"need n p <= k <= n, got k={k}, n={n}, p={p}")
    if k == 0 or p == 1:
        return 1.0
    if p == 0:
        return 0.0
    # In logs, since the coefficient overflows from n of about 1000 on.
    log_first = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    log_first += k * math.log(p) + (n - k) * math.log1p(-p)
    odds = p / (1 - p)
    # The sum is kept relative to its first term, which may underflow on its own.
    term = total = 1.0
    for i in range(k, n):
        term *= (n - i) / (i + 1) * odds
        total += term
        if term < 1e-17 * total:
            break
    return min(1.0, math.exp(log_first) * total)


def exact_lower(hits: int, n: int, tail: float) -> float:
    """Return the p at which P(X >= hits) = tail, for a tail under 1/2; 0 for no hits."""
    if hits == 0:
        return 0.0
    # At hits / n the mean is hits, hence the median too, and the tail at least 1/2.
    low, high = 0.0, hits / n
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(hits, n, middle) < tail else (low, middle)
    return (low + high) / 2
