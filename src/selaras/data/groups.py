"""Rows that must stay on one side of a split: duplicates, paraphrases, twins."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from selaras.core.records import Query
from selaras.data.similarity import close_pairs, near_pairs, shingles


def group_rows(rows: Sequence[Query], vectors: NDArray[np.float32]) -> list[tuple[int, ...]]:
    """Return groups of row numbers, each sorted, ordered by their first row.

    Joined are rows with the same normal form, a char-5 Jaccard of .6 or more, a cosine of .8 or
    more within the same kind (a harmless look-alike is close to the harmful question it resembles,
    and is not its paraphrase), the same cluster, and parents with all their children.
    """
    parent = list(range(len(rows)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in _links(rows, vectors):
        parent[max(find(a), find(b))] = min(find(a), find(b))
    groups: dict[int, list[int]] = {}
    for i in range(len(rows)):
        groups.setdefault(find(i), []).append(i)
    return [tuple(group) for group in groups.values()]


def ties(row: Query) -> tuple[str, ...]:
    """Return the names that a row shares with the rows it belongs to: ids, parents, cluster.

    >>> ties(Query(id="b", query="q", parents=("a",), cluster="twin-1"))
    ('row:b', 'row:a', 'cluster:twin-1')
    """
    family = tuple(f"row:{name}" for name in (row.id, *row.parents))
    return (*family, f"cluster:{row.cluster}") if row.cluster else family


def _links(rows: Sequence[Query], vectors: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for i, row in enumerate(rows):
        for name in (f"query:{row.query_key}", *ties(row)):
            yield first.setdefault(name, i), i
    grams = [shingles(row.query_key) for row in rows]
    for a, b, _ in near_pairs(grams, grams):
        yield a, b
    for a, b, _ in close_pairs(vectors, vectors):
        if rows[a].kind == rows[b].kind:
            yield a, b
