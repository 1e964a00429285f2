"""How close sentence embeddings are: cosines of unit vectors, in blocks of rows."""

import numpy as np
from numpy.typing import NDArray

PARAPHRASE = 0.8
_BLOCK = 1024


def closest(
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    threshold: float = PARAPHRASE,
    most: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (pairs, cosines) of unit vectors at or over the threshold, pairs (n, 2) in order.

    `most` keeps for each row of `left` its closest ones only, which bounds what a thousand rows
    of one template can give.
    """
    pairs, scores = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for start in range(0, len(left), _BLOCK) if len(right) else ():
        similar = left[start : start + _BLOCK] @ right.T
        if most is not None and most < len(right):
            # The k-th largest of each row, and no lower than the threshold.
            least = np.partition(similar, -most, axis=1)[:, -most, None]
            rows, columns = np.nonzero(similar >= np.maximum(least, threshold))
        else:
            rows, columns = np.nonzero(similar >= threshold)
        pairs.append(np.stack((rows + start, columns), axis=1))
        scores.append(similar[rows, columns].astype(np.float64))
    return np.concatenate(pairs), np.concatenate(scores)
