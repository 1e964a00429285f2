"""Choosing a checkpoint and an adapter scale on development rows kept out of training.

A checkpoint's figures jump from epoch to epoch, and interpolating between base and tuned weights
(WiSE-FT, arXiv:2109.01903, here as a LoRA scale) trades compliance for over-refusal. So every
epoch end is tried at every scale, and the point of most benefit is taken. Its figures are
development figures: the sealed rows decide later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Enough tokens for a refusal to show; choosing compares points with each other only.
SELECTION_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint at an adapter scale with its figures on the selection rows."""

    checkpoint: str
    scale: float
    figures: dict[str, Any]

    @property
    def benefit(self) -> float:
        """Compliance less over-refusal over all rows to be answered, in [-1, 1]."""
        compliance = self.figures["compliance_rate"]["value"]
        over_refusal = self.figures["over_refusal_rate"]["value"]
        return float((compliance or 0.0) - (over_refusal or 0.0))


def best_point(points: Sequence[Point]) -> Point:
    """Return the point of most benefit; among equals the one that moved least from the base.

    >>> def p(name, scale, c, o):
    ...     figures = {"compliance_rate": {"value": c}, "over_refusal_rate": {"value": o}}
    ...     return Point(name, scale, figures)
    >>> best_point([p("e1", 1.0, .9, .5), p("e2", .7, .6, .1), p("e2", 1.0, .6, .1)]).scale
    0.7
    """
    return min(
        enumerate(points), key=lambda item: (-round(item[1].benefit, 9), item[1].scale, item[0])
    )[1]
