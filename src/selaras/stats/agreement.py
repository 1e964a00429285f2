"""Cohen's kappa: how far two raters agree beyond chance.

Why: two judges that both say "safe" nine times in ten agree on 82 % of rows by chance. Kappa
takes that off. Its interval comes from a bootstrap of rows, drawn as multinomial tables, which
is the same distribution as resampling rows and needs no loop.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from selaras.stats._quantiles import two_sided_z
from selaras.stats.intervals import Interval

_DRAWS = 2000
_METHOD = "percentile-bootstrap"

Floats = NDArray[np.float64]


def cohen_kappa(
    a: Sequence[Hashable], b: Sequence[Hashable], confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Return unweighted kappa in [-1, 1] with a percentile bootstrap interval.

    Rows are taken as independent. Full agreement gives the interval [1, 1], as every resample
    agrees fully; take `wilson` on the agreement rate there. Meant for up to a few hundred
    distinct label pairs.

    Source: Cohen (1960), Educ. Psychol. Meas. 20:37-46; Efron (1979). Deviations: resamples with
    kappa undefined are left out, and the interval is stretched to hold the value if it must be.

    Args:
        a: the labels of the first rater.
        b: the labels of the second for the same rows.
        confidence: two-sided level, 0 < confidence < 1.
        seed: for the 2000 resamples.

    Returns:
        An `Interval`; value nan with limits -1 and 1 when there are no rows or both raters gave
        one and the same class throughout.

    Raises:
        ValueError: on unequal lengths or a confidence out of range.

    Example:
        >>> kappa = cohen_kappa(list("yyynnnyn"), list("yynnnnyy"))
        >>> kappa.value, kappa.low < 0.5 < kappa.high
        (0.5, True)
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} labels against {len(b)}")
    two_sided_z(confidence)
    cells = Counter(zip(a, b, strict=True))
    n = len(a)
    if n == 0 or all(pair == (a[0], a[0]) for pair in cells):
        return Interval(math.nan, -1.0, 1.0, n, _METHOD)
    # Only cells that occur: the others have probability zero in every resample.
    counts = np.array(list(cells.values()), dtype=np.float64)
    value = float(_kappas(counts[None, :], list(cells))[0])
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n, counts / n, size=_DRAWS).astype(np.float64)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(_kappas(draws, list(cells)), [tail, 1 - tail])
    # With a handful of rows all 2000 quantiles can fall on one side of the value.
    return Interval(value, min(float(low), value), max(float(high), value), n, _METHOD)


def _kappas(tables: Floats, cells: Sequence[tuple[Hashable, Hashable]]) -> Floats:
    """Kappa of each table of cell counts, shape (draws, cells), nan where it is undefined."""
    labels = list(dict.fromkeys(label for pair in cells for label in pair))
    first = _one_hot((x for x, _ in cells), labels)
    second = _one_hot((y for _, y in cells), labels)
    agreed = tables @ (first * second).sum(axis=1)
    n = tables.sum(axis=1)
    # Times n squared all is whole, so that the undefined case is an exact zero.
    expected = ((tables @ first) * (tables @ second)).sum(axis=1)
    room = n * n - expected
    kappas = np.full(len(tables), np.nan)
    np.divide(n * agreed - expected, room, out=kappas, where=room > 0)
    return kappas


def _one_hot(sides: Iterable[Hashable], labels: Sequence[Hashable]) -> Floats:
    place = {label: index for index, label in enumerate(labels)}
    return np.eye(len(labels))[[place[side] for side in sides]]
