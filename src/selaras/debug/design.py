"""Which segments to delete together: masks that tell every segment's effect apart.

Random masks leave effects mixed with each other by chance. A Hadamard matrix and its mirror image
(a fold-over, resolution IV: Plackett & Burman 1946; Box & Wilson 1951) shows every segment in half
of the rows, each pair equally often, and keeps main effects free of every interaction of two. With
as many rows it ranks ablations better than random masks do (benchmarks/salience.py).
"""

import numpy as np

from selaras.debug.probe import Rows


def foldover(segments: int, rows: int, generator: np.random.Generator) -> Rows:
    """Return at most `rows` masks: a fold-over where a power of two holds twice the segments.

    Else mirrored random masks: each row with its opposite.

    >>> masks = foldover(5, 16, np.random.default_rng(0))
    >>> masks.shape, masks.sum(axis=0).tolist()
    ((16, 5), [8, 8, 8, 8, 8])
    """
    order = 1 << (max(rows, 2).bit_length() - 1)
    half = order // 2
    if half < segments:
        drawn = generator.random((max(rows // 2, 1), segments)) < 0.5
        return np.vstack([drawn, ~drawn])
    matrix = np.ones((1, 1), dtype=int)
    while len(matrix) < half:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    # The column of ones comes last: alone it would tell nothing without the mirror image.
    columns = generator.permutation(np.arange(1, half))[:segments]
    columns = np.append(columns, 0) if len(columns) < segments else columns
    signs = generator.choice([-1, 1], segments)
    shown = matrix[:, columns] * signs
    return np.vstack([shown, -shown]) > 0


def unseen(segments: int, rows: int, seen: Rows, generator: np.random.Generator) -> Rows:
    """Return at most `rows` distinct random masks (keep-probability .5) that are not in `seen`."""
    known = {row.tobytes() for row in np.asarray(seen, bool)}
    found: list[Rows] = []
    for _ in range(rows * 20):
        row = generator.random(segments) < 0.5
        if row.tobytes() not in known:
            known.add(row.tobytes())
            found.append(row)
        if len(found) == rows:
            break
    return np.array(found, dtype=bool).reshape(len(found), segments)
