"""Weights of costs, moved towards their budgets by projected dual ascent.

The objective is reward subject to `cost <= budget`; each cost has a Lagrange multiplier that rises
while the cost is over its budget, falls while it is under, and is never negative (Safe RLHF,
arXiv:2310.12773, with one multiplier a cost and a plain step in place of one on its logarithm).
"""

from collections.abc import Mapping


def moved(
    weights: Mapping[str, float],
    costs: Mapping[str, float | None],
    budgets: Mapping[str, float],
    rate: float,
    limit: float,
) -> dict[str, float]:
    """Return the weights after one step of ascent, each in [0, limit].

    A cost of None (no response that it applies to) leaves its weight.

    >>> moved({"a": 1.0, "b": 0.1}, {"a": 0.5, "b": 0.0}, {"a": 0.1, "b": 0.3}, 1.0, 20.0)
    {'a': 1.4, 'b': 0.0}
    """
    return {
        name: weight
        if (cost := costs.get(name)) is None
        else min(limit, max(0.0, weight + rate * (cost - budgets[name])))
        for name, weight in weights.items()
    }
