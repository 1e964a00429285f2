"""A sparse linear surrogate of the model over ablations, as ContextCite's with another design.

ContextCite (Cohen-Wang et al. 2024, arXiv:2409.00729): run random subsets of the segments, fit
logit p(target) by LASSO on which were there, read the weights. Deviations: the subsets are a
fold-over design (`design`), and the weights that LASSO leaves are fitted anew by least squares, so
that a model which is linear is recovered exactly. A new target over the same responses is a refit
of the stored log-probabilities.
"""

from collections.abc import Sequence

import numpy as np

from selaras.debug.design import foldover
from selaras.debug.probe import Probe, Rows, values
from selaras.debug.segments import Segment
from selaras.debug.settings import Settings
from selaras.debug.target import Array, logit

ALPHA = 0.01  # ContextCite's, on columns of unit variance
LARGEST = 64  # masks, unless asked for more


def surrogate(probe: Probe, segments: Sequence[Segment], settings: Settings) -> Array:
    """Return each segment's weight on the logit of the target (nats), 0 where it has none."""
    rows = design_of(len(segments), settings)
    return fit(rows, logit(probe.target, values(probe, segments, rows)))


def design_of(count: int, settings: Settings) -> Rows:
    """Return the masks of the surrogate; more than asked only where the design needs them.

    Twice the segments, rounded up to a power of two, up to 64 or what was asked.
    """
    needed = 1 << (max(2 * count, 2) - 1).bit_length()
    rows = max(settings.masks, min(needed, LARGEST))
    generator = np.random.default_rng([settings.seed, count, 1])
    if count > 3 and 1 << count < 2 * rows:
        rows = 1 << (count - 1)  # half of all there are: the rest is left to be predicted
    if 1 << count <= rows:
        every = np.arange(1 << count)[:, None] >> np.arange(count) & 1
        return every.astype(bool)
    return foldover(count, rows, generator)


def fit(rows: Rows, outcome: Array, alpha: float = ALPHA) -> Array:
    """Return the weights of a LASSO of the outcome on the rows, fitted anew where they are not 0.

    >>> rows = foldover(3, 8, np.random.default_rng(0))
    >>> fit(rows, rows @ np.array([2.0, 0.0, -1.0]) + 3).round(6).tolist()
    [2.0, 0.0, -1.0]
    """
    shown = rows.astype(float)
    spread = shown.std(axis=0)
    used = spread > 0
    scaled = (shown - shown.mean(axis=0))[:, used] / spread[used]
    centred = outcome - outcome.mean()
    support = np.flatnonzero(used)[_lasso(scaled, centred, alpha) != 0]
    weights = np.zeros(rows.shape[1])
    if 0 < len(support) < len(rows):
        columns = shown[:, support] - shown[:, support].mean(axis=0)
        weights[support] = np.linalg.lstsq(columns, centred, rcond=None)[0]
    return weights


def _lasso(columns: Array, outcome: Array, alpha: float) -> Array:
    """Return argmin ||y - Xw||^2 / 2n + alpha |w| by coordinate descent (Friedman et al. 2007)."""
    count = len(outcome)
    gram, weights = columns.T @ columns / count, np.zeros(columns.shape[1])
    pull = columns.T @ outcome / count
    for _ in range(1000):
        before = weights.copy()
        for k in range(len(weights)):
            rest = pull[k] - gram[k] @ weights + gram[k, k] * weights[k]
            weights[k] = np.sign(rest) * max(abs(rest) - alpha, 0.0) / gram[k, k]
        if np.abs(weights - before).max(initial=0.0) < 1e-9:
            break
    return weights
