"""How close sentence embeddings are: cosines of unit vectors, in tiles, exact or by an index.

Memory is bounded by a tile and by what is found. `closest` compares all with all; `alike_pairs`
finds the close pairs within one set, from 20,000 vectors on by an inverted file: vectors are dealt
to cells by k-means, and each is compared with its own cell and the nearest others (Jégou et al.
2011). How many of the exact pairs that finds: `benchmarks/semantic_scale.py`.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from selaras.core.progress import SILENT, Progress, Task

PARAPHRASE = 0.8
EXACT = 20_000  # vectors that are all compared with all: some seconds of CPU
CELL = 1000  # vectors of a cell, on average
PROBES = 6  # cells in which a vector's neighbours are looked for
TRAINING = 20_000
ROUNDS = 6
_ROWS, _COLUMNS = 1024, 8192

Vectors = NDArray[np.float32]
Pairs = tuple[NDArray[np.int64], NDArray[np.float64]]


def closest(
    left: Vectors, right: Vectors, threshold: float = PARAPHRASE, most: int | None = None
) -> Pairs:
    """Return (pairs, cosines) of unit vectors at or over the threshold, pairs (n, 2) in order.

    `most` keeps for each row of `left` its closest ones only, which bounds what a thousand rows
    of one template can give.
    """
    found = [_empty()]
    for start in range(0, len(left), _ROWS) if len(right) else ():
        pairs, scores = _joined(_tiles(left[start : start + _ROWS], right, threshold, most))
        pairs[:, 0] += start
        found.append(_best(pairs, scores, most))
    return _joined(found)


def alike_pairs(
    vectors: Vectors, threshold: float, most: int | None = None,
    progress: Progress = SILENT, exact: int = EXACT,
) -> Pairs:  # fmt: skip
    """Return (pairs, cosines) within one set, each pair once (i < j), in order.

    `most` keeps for each vector its closest ones. Up to `exact` vectors all pairs are compared;
    past that an index finds nearly all of them.
    """
    with progress.task("comparing meanings", len(vectors)) as task:
        if len(vectors) <= exact:
            found = _all_with_all(vectors, threshold, most, task)
        else:
            found = _by_cells(vectors, threshold, most, task)
    pairs, scores = _joined([_empty(), *found])
    pairs.sort(axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs, scores = pairs[order], scores[order]
    first = np.ones(len(pairs), dtype=bool)
    first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[first], scores[first]


def _all_with_all(vectors: Vectors, threshold: float, most: int | None, task: Task) -> list[Pairs]:
    found = []
    for start in range(0, len(vectors), _ROWS):
        block = vectors[start : start + _ROWS]
        pairs, scores = _joined([_empty(), *_tiles(block, vectors, threshold, most)])
        pairs[:, 0] += start
        found.append(_best(*_others(pairs, scores), most))
        task.advance(len(block))
    return found


def _by_cells(vectors: Vectors, threshold: float, most: int | None, task: Task) -> list[Pairs]:
    """Compare the vectors of each cell with those that probe it."""
    centres = _centres(vectors, max(2, len(vectors) // CELL))
    near = _nearest(vectors, centres, min(PROBES, len(centres)))
    home = np.argsort(near[:, 0], kind="stable")
    starts = np.searchsorted(near[home, 0], np.arange(len(centres) + 1))
    visits = np.argsort(near, axis=None, kind="stable")
    visited = np.searchsorted(near.ravel()[visits], np.arange(len(centres) + 1))
    visitors = visits // near.shape[1]
    found = []
    for cell in range(len(centres)):
        own = home[starts[cell] : starts[cell + 1]]
        guests = np.sort(visitors[visited[cell] : visited[cell + 1]])
        if len(own) == 0:
            continue
        for start in range(0, len(guests), _ROWS):
            part = guests[start : start + _ROWS]
            pairs, scores = _joined(
                [_empty(), *_tiles(vectors[part], vectors[own], threshold, most)]
            )
            pairs = np.stack((part[pairs[:, 0]], own[pairs[:, 1]]), axis=1)
            found.append(_others(pairs, scores))
        task.advance(len(own))
    pairs, scores = _joined([_empty(), *found])
    order = np.argsort(pairs[:, 0], kind="stable")
    return [_best(pairs[order], scores[order], most)]


def _centres(vectors: Vectors, count: int) -> Vectors:
    """Return the centres of a spherical k-means on a sample."""
    chance = np.random.default_rng(0)
    sample = vectors[np.sort(chance.permutation(len(vectors))[: max(TRAINING, 4 * count)])]
    centres = sample[np.sort(chance.permutation(len(sample))[:count])].copy()
    for _ in range(ROUNDS):
        of = _nearest(sample, centres, 1)[:, 0]
        order = np.argsort(of, kind="stable")
        filled, first = np.unique(of[order], return_index=True)
        sums = np.add.reduceat(sample[order], first)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres[filled] = sums / np.maximum(lengths, 1e-9)
    return centres


def _nearest(vectors: Vectors, centres: Vectors, count: int) -> NDArray[np.int64]:
    """Return the nearest centres of each vector, the nearest first, shape (vectors, count)."""
    found = []
    for start in range(0, len(vectors), _ROWS):
        similar = vectors[start : start + _ROWS] @ centres.T
        part = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(similar, part, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(part, order, axis=1))
    return np.concatenate(found).astype(np.int64)


def _tiles(left: Vectors, right: Vectors, threshold: float, most: int | None) -> Iterator[Pairs]:
    """Yield the close pairs of a block of rows, a tile of columns at a time, rows in order."""
    for start in range(0, len(right), _COLUMNS):
        similar = left @ right[start : start + _COLUMNS].T
        close = similar >= threshold
        if most is not None and np.count_nonzero(close) > 4 * (most + 1) * len(left):
            # Rows of one template: each is close to all, and most of that need not be sorted.
            least = np.partition(similar, -most - 1, axis=1)[:, -most - 1, None]
            close &= similar >= least
        rows, columns = np.nonzero(close)
        scores = similar[rows, columns].astype(np.float64)
        pairs = np.stack((rows, columns + start), axis=1)
        # A row is its own closest: one more than is kept.
        yield _best(pairs, scores, None if most is None else most + 1)


def _best(pairs: NDArray[np.int64], scores: NDArray[np.float64], most: int | None) -> Pairs:
    """Return for each row its closest `most` pairs, ordered by row and column."""
    if most is not None and len(pairs) > most:
        ranked = np.lexsort((pairs[:, 1], -scores, pairs[:, 0]))
        rows = pairs[ranked, 0]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = ranked[rank < most]
        pairs, scores = pairs[kept], scores[kept]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], scores[order]


def _others(pairs: NDArray[np.int64], scores: NDArray[np.float64]) -> Pairs:
    other = pairs[:, 0] != pairs[:, 1]
    return pairs[other], scores[other]


def _joined(found: "Iterator[Pairs] | list[Pairs]") -> Pairs:
    pairs, scores = zip(*found, strict=True)
    return np.concatenate(pairs), np.concatenate(scores)


def _empty() -> Pairs:
    return np.zeros((0, 2), np.int64), np.zeros(0)
