"""A sample of rows for what grows too large on all of them; the same rows give the same sample."""

from collections.abc import Sequence

import numpy as np

from selaras.core.records import Query

# Embeddings of so many rows take minutes, not hours, and fit into memory several times.
MOST = 20_000


def sampled(rows: Sequence[Query], most: int = MOST, seed: int = 0) -> tuple[Query, ...]:
    """Return all rows, or `most` of them drawn without replacement, in their order.

    >>> rows = [Query(id=f"r{i}", query="q") for i in range(5)]
    >>> [row.id for row in sampled(rows, 2)] == [row.id for row in sampled(rows, 2)]
    True
    """
    if len(rows) <= most:
        return tuple(rows)
    chosen = np.random.default_rng(seed).permutation(len(rows))[:most]
    return tuple(rows[int(place)] for place in np.sort(chosen))
