"""Holm's adjustment for several p-values.

Why: twenty comparisons at 5 % find one effect in nothing. Holm's step-down bounds the chance of
any false finding under every kind of dependence, and rejects all that Bonferroni rejects.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p-values in the order given; reject those at or below the level.

    Source: Holm (1979), Scand. J. Statist. 6:65-70, in the adjusted form: the i-th smallest of m
    is multiplied by m - i + 1, made non-decreasing, and cut at 1.

    Args:
        p_values: raw p-values, each in [0, 1]; may be empty.

    Returns:
        A list of the same length, each value in [0, 1] and at least its raw p-value.

    Raises:
        ValueError: if a p-value is nan or outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    for p in p_values:
        if not 0 <= p <= 1:
            raise ValueError(f"a p-value must lie in [0, 1], got {p}")
    adjusted = [0.0] * len(p_values)
    running = 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for rank, index in enumerate(order):
        # A larger raw p-value must not come out smaller after its smaller multiplier.
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted
