"""How well scores rank positives above negatives: precision-recall and rates at a budget."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]


def precision_recall(scores: Values, positive: NDArray[np.bool_]) -> tuple[Values, Values, Values]:
    """Return (precision, recall, threshold) at every distinct score, from the highest down.

    Equal scores come in together. Raises ValueError where there is no positive.

    >>> p, r, t = precision_recall(np.array([.9, .8, .1]), np.array([True, False, True]))
    >>> p.round(2).tolist(), r.tolist()
    ([1.0, 0.5, 0.67], [0.5, 0.5, 1.0])
    """
    if not positive.any():
        raise ValueError("no positives to rank")
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], np.cumsum(positive[order])
    last = np.append(np.diff(sorted_scores) != 0, True)
    seen = np.arange(1, len(scores) + 1)
    return (hits / seen)[last], (hits / hits[-1])[last], sorted_scores[last]


def average_precision(scores: Values, positive: NDArray[np.bool_]) -> float:
    """Return the area under the precision-recall curve as a sum of steps (AU-PRC).

    >>> average_precision(np.array([.9, .8, .1]), np.array([True, True, False]))
    1.0
    """
    precision, recall, _ = precision_recall(scores, positive)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def threshold_at(negatives: Values, budget: float) -> float:
    """Return a threshold that at most a share `budget` of the negatives reach.

    It lies midway between the last score that must stay below and the first that may reach it.

    >>> threshold_at(np.array([.1, .2, .3, .8]), 0.25)
    0.55
    """
    if not len(negatives):
        raise ValueError("no negatives to bound")
    falling = np.sort(negatives)[::-1]
    allowed = int(np.floor(budget * len(falling) + 1e-9))
    if allowed >= len(falling):
        return float(falling[-1])
    below = float(falling[allowed])
    above = float(falling[allowed - 1]) if allowed else 1.0
    if above > below:
        return (above + below) / 2
    higher = falling[falling > below]
    if len(higher):
        return float((higher.min() + below) / 2)
    return max((1.0 + below) / 2, float(np.nextafter(below, np.inf)))


def recall_at(scores: Values, positive: NDArray[np.bool_], budget: float) -> float:
    """Return the share of positives above the threshold that `budget` negatives may reach.

    >>> recall_at(np.array([.9, .2, .5, .1]), np.array([True, True, False, False]), 0.5)
    0.5
    """
    threshold = threshold_at(scores[~positive], budget)
    return float((scores[positive] >= threshold).mean())


def folds_of(groups: Sequence[str], count: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return the fold of each row, whole groups only, folds of about the same number of groups."""
    names = sorted(set(groups))
    places = generator.permutation(len(names)) % count
    fold = dict(zip(names, places, strict=True))
    return np.array([fold[name] for name in groups], dtype=np.intp)
