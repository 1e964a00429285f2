"""How far a map may be believed: what it predicts, beside baselines that know nothing.

- LDS (Park et al. 2023; Cohen-Wang et al. 2024): Spearman's correlation of the summed scores of
  what was kept with logit p(target), on random masks that no method has seen.
- drop at k (comprehensiveness, DeYoung et al. 2020): f(all) - f(all but the top k), in nats.
- hold (sufficiency): f(all) - f(the top 3 alone); near 0 is good.
- AOPC: the mean drop at 1, 5, 10, 20 and 50 % of the segments, less that of random orders.

Baselines: the longest segment, the latest one, random scores (mean of several draws). A map whose
LDS or top-3 drop is not above the best baseline is no better than the baselines, and says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.debug.design import unseen
from selaras.debug.probe import Probe, Rows, values
from selaras.debug.segments import Segment
from selaras.debug.settings import Settings
from selaras.debug.surrogate import design_of
from selaras.debug.target import Array, logit

HELD_OUT = 24
SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)
RANDOM_DRAWS = 5
FEWEST_SEGMENTS, FEWEST_MASKS = 3, 4
NO_BETTER = "no better than the baselines"


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one map; `lds` is None where too few masks could be held out."""

    lds: float | None
    drop_at_1: float
    drop_at_3: float
    hold: float
    aopc: float


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """A map's figures, its baselines' and how many masks they rest on.

    `lds_low` and `lds_high` are Fisher's 95 % interval over the masks.
    """

    figures: Measured
    baselines: Mapping[str, Measured]
    masks: int
    lds_low: float | None
    lds_high: float | None
    forwards: int

    @property
    def above_baselines(self) -> bool:
        """Whether LDS and top-3 drop are above those of every baseline."""
        lds = [m.lds for m in self.baselines.values() if m.lds is not None]
        drops = [m.drop_at_3 for m in self.baselines.values()]
        if self.figures.lds is None or not lds:
            return self.figures.drop_at_1 > max(m.drop_at_1 for m in self.baselines.values())
        return self.figures.lds > max(lds) and self.figures.drop_at_3 >= max(drops)

    @property
    def badge(self) -> str:
        """The one line that stands beside the map."""
        if self.figures.lds is None:
            told = f"top segment: {self.figures.drop_at_1:.1f} nats; too few segments for an LDS"
        else:
            told = (
                f"LDS {self.figures.lds:.2f} [{self.lds_low:.2f}, {self.lds_high:.2f}] on "
                f"{self.masks} unseen ablations"
            )
        return told if self.above_baselines else f"{NO_BETTER} ({told})"

    def to_dict(self) -> dict[str, Any]:
        """Return the block of the issue's JSON form."""
        shown: dict[str, Any] = {**_numbers(self.figures)}
        shown |= {"lds_interval": [self.lds_low, self.lds_high], "masks": self.masks}
        shown["baselines"] = {name: _numbers(m) for name, m in self.baselines.items()}
        shown |= {"above_baselines": self.above_baselines, "forwards": self.forwards}
        return shown


def faithfulness(
    probe: Probe, segments: Sequence[Segment], scores: Array, settings: Settings
) -> Faithfulness:
    """Return how far the scores can be believed; maps of a target share its ablations."""
    before = probe.cost.forwards
    count = len(segments)
    generator = np.random.default_rng([settings.seed, count, 2])
    held = unseen(count, HELD_OUT, design_of(count, settings), generator)
    baselines = {
        "length": np.array([float(len(segment.tokens)) for segment in segments]),
        "recency": np.arange(count, dtype=float),
    }
    draws = [generator.random(count) for _ in range(RANDOM_DRAWS)]
    maps = [np.asarray(scores, float), *baselines.values(), *draws]
    orders = [np.argsort(-each, kind="stable") for each in maps]
    rows = np.vstack([np.ones((1, count), bool), *(_deletions(order) for order in orders), held])
    found = values(probe, segments, rows)
    full, outcome = found[0], logit(probe.target, found[len(found) - len(held) :])
    each = len(_deletions(orders[0]))
    raw = [
        _measured(full, found[1 + i * each : 1 + (i + 1) * each], held @ one, outcome)
        for i, one in enumerate(maps)
    ]
    chance = _mean(raw[len(baselines) + 1 :])
    figures, *rest = [
        Measured(m.lds, m.drop_at_1, m.drop_at_3, m.hold, m.aopc - chance.aopc)
        for m in [*raw[: len(baselines) + 1], chance]
    ]
    low, high = fisher(figures.lds, len(held))
    return Faithfulness(
        figures, dict(zip([*baselines, "random"], rest, strict=True)), len(held), low, high,
        probe.cost.forwards - before,
    )  # fmt: skip


def spearman(a: Array, b: Array) -> float | None:
    """Return Spearman's rank correlation; None for fewer than four points, or without any spread.

    >>> spearman(np.array([1.0, 2, 3, 4]), np.array([2.0, 4, 8, 9]))
    1.0
    """
    if len(a) < FEWEST_MASKS:
        return None
    ranks = [_ranks(values) for values in (a, b)]
    if min(rank.std() for rank in ranks) == 0:
        return 0.0
    return float(np.round(np.corrcoef(ranks[0], ranks[1])[0, 1], 12))


def fisher(correlation: float | None, count: int) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a rank correlation (Fisher's z, variance 1.06/(n - 3))."""
    if correlation is None or count < FEWEST_MASKS:
        return None, None
    z = math.atanh(max(min(correlation, 0.999999), -0.999999))
    reach = 1.96 * math.sqrt(1.06 / (count - 3))
    return math.tanh(z - reach), math.tanh(z + reach)


def _deletions(order: NDArray[np.intp]) -> Rows:
    """Return the masks of drop at 1, drop at 3, hold at 3 and the shares of AOPC."""
    count = len(order)
    sizes = [1, 3, *(max(1, round(share * count)) for share in SHARES)]
    rows = np.ones((len(sizes) + 1, count), bool)
    for row, size in zip(rows, sizes, strict=False):
        row[order[:size]] = False
    rows[-1] = False
    rows[-1, order[:3]] = True
    return rows


def _measured(full: float, found: Array, predicted: Array, outcome: Array) -> Measured:
    drops = full - found
    return Measured(spearman(predicted, outcome), float(drops[0]), float(drops[1]),
                    float(drops[-1]), float(drops[2:-1].mean()))  # fmt: skip


def _mean(found: Sequence[Measured]) -> Measured:
    lds = [m.lds for m in found if m.lds is not None]
    rest = np.array([[m.drop_at_1, m.drop_at_3, m.hold, m.aopc] for m in found]).mean(axis=0)
    return Measured(float(np.mean(lds)) if lds else None, *map(float, rest))


def _ranks(values: Array) -> Array:
    """Return ranks with ties at their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - counts + 1 + ends) / 2)[place], dtype=float)


def _numbers(measured: Measured) -> dict[str, float | None]:
    return {
        "lds": measured.lds, "drop_at_1": measured.drop_at_1, "drop_at_3": measured.drop_at_3,
        "hold": measured.hold, "aopc": measured.aopc,
    }  # fmt: skip
