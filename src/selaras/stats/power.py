"""Planning: how many rows show a difference or decide a bound, and what zero hits rule out.

Why: an evaluation of 100 prompts cannot see 3 points, and no hit in 50 does not mean none.
Both are known before any model runs.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

from selaras.stats.intervals import wilson


def paired_n(difference: float, discordance: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return the pairs a two-sided McNemar test needs to find `difference` with `power`.

    Source: Connor (1987), Biometrics 43:207-211, the unconditional normal formula
    (z_{alpha/2} sqrt(psi) + z_beta sqrt(psi - delta^2))^2 / delta^2, rounded up. For the
    uncorrected test; the exact test of `paired_difference` needs up to about 10 % more.

    Args:
        difference: rate after minus rate before, 0 < |difference| <= discordance.
        discordance: share of pairs that change either way, at most 1.
        power: chance of finding it, alpha < power < 1.
        alpha: two-sided level, 0 < alpha < 1.

    Returns:
        A whole number of pairs, at least 1.

    Raises:
        ValueError: on an argument out of range.

    Example:
        >>> paired_n(0.05, 0.15)
        469
    """
    if not 0 < abs(difference) <= discordance <= 1:
        raise ValueError(
            f"need 0 < |difference| <= discordance <= 1, got {difference} and {discordance}"
        )
    if not 0 < alpha < power < 1:
        raise ValueError(f"need 0 < alpha < power < 1, got alpha={alpha}, power={power}")
    normal = NormalDist()
    null = normal.inv_cdf(1 - alpha / 2) * math.sqrt(discordance)
    alternative = normal.inv_cdf(power) * math.sqrt(discordance - difference**2)
    return math.ceil(((null + alternative) / difference) ** 2)


def smallest_n(enough: Callable[[int], bool], most: int = 50_000) -> int | None:
    """Return about the smallest n that is enough, in two digits, or None where none is.

    Args:
        enough: whether n rows would do; true from some n on, but for the steps of whole counts.
        most: the largest n that is tried, at least 1.

    Returns:
        A number of rows from 16 on, rounded up to two digits and at most 2 % above the smallest.

    Example:
        >>> smallest_n(lambda n: zero_hits_upper(n) <= 0.01), smallest_n(lambda n: False)
        (390, None)
    """
    high = 16
    while not enough(high):
        high *= 2
        if high > most:
            return None
    low = high // 2
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    step: int = 10 ** max(0, len(str(high)) - 2)
    return -(-high // step) * step


def zero_hits_upper(n: int, confidence: float = 0.95) -> float:
    """Return the Wilson upper limit of a rate after no hit in `n` trials.

    The interval is two-sided: z^2 / (n + z^2), so 3.7 % at n = 100, while the one-sided rule of
    three says 3 %.

    Args:
        n: trials, n >= 0; zero gives 1.
        confidence: two-sided level, 0 < confidence < 1.

    Returns:
        A rate in (0, 1].

    Raises:
        ValueError: if `n` is negative or `confidence` is out of range.

    Example:
        >>> [round(100 * zero_hits_upper(n), 2) for n in (50, 100, 300, 1000)]
        [7.13, 3.7, 1.26, 0.38]
    """
    return wilson(0, n, confidence).high
