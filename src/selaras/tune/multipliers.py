"""Weights of costs: projected dual ascent towards their budgets, and a push in the step itself.

The objective is reward subject to `cost <= budget`; each cost has a Lagrange multiplier that rises
while the cost is over its budget, falls while it is under, and is never negative (Safe RLHF,
arXiv:2310.12773, with one multiplier a cost and a plain step in place of one on its logarithm).
That alone is the integral of the excess, and late: it has fallen to 0 while nothing was refused.
So a step's own excess counts at once (the proportional term of arXiv:2007.03964). It is measured
before the step is taken and kept nowhere, so that a run that goes on has no more to remember.
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


def pushed(
    weights: Mapping[str, float],
    costs: Mapping[str, float | None],
    budgets: Mapping[str, float],
    push: float,
    limit: float,
) -> dict[str, float]:
    """Return what the costs of a step weigh in it: more by what they are over their budgets.

    A cost under its budget takes nothing off: noise would switch its weight on and off.

    >>> pushed({"a": 0.0, "b": 0.1}, {"a": 0.5, "b": 0.0}, {"a": 0.1, "b": 0.3}, 10.0, 20.0)
    {'a': 4.0, 'b': 0.1}
    """
    over = {name: max(budgets[name], costs.get(name) or 0.0) for name in weights}
    return moved(weights, over, budgets, push, limit)
