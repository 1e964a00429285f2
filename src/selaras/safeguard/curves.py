"""What a fitted guard tells apart, by policy: precision-recall, recall at the budget, false alarms.

The scores are out of fold, so these are development figures; intervals are over whole groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from selaras.core.records import Kind
from selaras.evaluate.figures import interval_value
from selaras.stats import bca, clustered_wilson
from selaras.stats.ranking import average_precision, precision_recall

DRAWS = 500
BAND_DRAWS = 200
GRID = np.linspace(0.02, 1, 50)
ALL = "all"


@dataclass(frozen=True, slots=True)
class RowScore:
    """A row's out-of-fold probability, without its text; `bad` is what it is labelled."""

    row: str
    side: str
    kind: str
    policies: tuple[str, ...]
    group: str
    bad: bool
    score: float


def curve_figures(scores: Sequence[RowScore], threshold: float) -> dict[str, Any]:
    """Return AU-PRC and recall of each policy and of all, and the false alarms of each kind.

    A policy's bad rows are set against every row that is not bad.
    """
    good = [row for row in scores if not row.bad]
    names = sorted({name for row in scores if row.bad for name in row.policies})
    by_policy = {ALL: [row for row in scores if row.bad]} | {
        name: [row for row in scores if row.bad and name in row.policies] for name in names
    }
    return {
        "policies": {
            name: {
                "auprc": _area([*bad, *good]),
                "recall": _reached(bad, threshold),
            }
            for name, bad in by_policy.items()
        },
        "false_alarms": {
            "all": _reached(good, threshold),
            **{
                kind.value: _reached(own, threshold)
                for kind in Kind
                if (own := [row for row in good if row.kind == kind.value])
            },
        },
    }


def points(scores: Sequence[RowScore], policy: str = ALL) -> list[tuple[float, float, float]]:
    """Return (recall, precision, threshold) along the curve of a policy, from the highest score."""
    mine = [row for row in scores if not row.bad or policy == ALL or policy in row.policies]
    found = precision_recall(_values(mine), _labels(mine))
    return [(float(r), float(p), float(t)) for p, r, t in zip(*found, strict=True)]


def band(scores: Sequence[RowScore], policy: str = ALL) -> list[tuple[float, float, float, float]]:
    """Return (recall, precision, low, high) along the curve of a policy, from the least recall.

    The precision at a recall is that of the highest threshold that reaches it; its 95 % interval is
    of the 2.5th to the 97.5th percentile over draws of whole groups, point by point.
    """
    mine = [row for row in scores if not row.bad or policy == ALL or policy in row.policies]
    if not any(row.bad for row in mine):
        return []
    values, labels = _values(mine), _labels(mine)
    own = _precision(values, labels)
    groups: dict[str, list[int]] = {}
    for number, row in enumerate(mine):
        groups.setdefault(row.group, []).append(number)
    members = [np.array(each) for each in groups.values()]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(BAND_DRAWS):
        drawn = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        if labels[drawn].any():
            found.append(_precision(values[drawn], labels[drawn]))
    low, high = np.percentile(found, (2.5, 97.5), axis=0)
    low, high = np.minimum(low, own), np.maximum(high, own)
    rows = zip(GRID, own, low, high, strict=True)
    return [(float(r), float(p), float(a), float(b)) for r, p, a, b in rows]


def _precision(
    values: "np.typing.NDArray[np.float64]", labels: "np.typing.NDArray[np.bool_]"
) -> "np.typing.NDArray[np.float64]":
    """Return the precision at each recall of the grid."""
    precision, recall, _ = precision_recall(values, labels)
    return np.asarray(precision[np.searchsorted(recall, GRID - 1e-9)], np.float64)


def _area(rows: Sequence[RowScore]) -> dict[str, Any]:
    values, labels = _values(rows), _labels(rows)

    def area(drawn: "np.typing.NDArray[np.intp]") -> float:
        own = labels[drawn]
        return average_precision(values[drawn], own) if own.any() else float("nan")

    return interval_value(bca(len(rows), area, [row.group for row in rows], draws=DRAWS))


def _reached(rows: Sequence[RowScore], threshold: float) -> dict[str, Any]:
    hits = [row.score >= threshold for row in rows]
    return interval_value(clustered_wilson(hits, [row.group for row in rows]))


def _values(rows: Sequence[RowScore]) -> "np.typing.NDArray[np.float64]":
    return np.array([row.score for row in rows])


def _labels(rows: Sequence[RowScore]) -> "np.typing.NDArray[np.bool_]":
    return np.array([row.bad for row in rows])
