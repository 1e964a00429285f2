"""Rows that must stay on one side of a split: duplicates, paraphrases, twins."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from selaras.core.records import Query
from selaras.data.clusters import chains
from selaras.data.near import near_duplicates
from selaras.data.similarity import closest

# Rows compared with all others at once; how many pairs they make is not bounded by anything else.
_BLOCK = 1024


def group_rows(rows: Sequence[Query], vectors: NDArray[np.float32]) -> list[tuple[int, ...]]:
    """Return groups of row numbers, each sorted, ordered by their first row.

    Joined are rows with the same normal form, a char-5 Jaccard of .6 or more, a cosine of .8 or
    more within the same kind (a harmless look-alike is close to the harmful question it resembles,
    and is not its paraphrase), the same cluster, and parents with all their children. No guard
    here: a counterfactual of a sealed row would tell about it as much as a copy.
    """
    return chains(len(rows), _links(rows, vectors))


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
        for name in ties(row):
            yield first.setdefault(name, i), i
    found = near_duplicates([row.query_key for row in rows])
    for i, content in enumerate(found.content.tolist()):
        yield int(found.first[content]), i
    yield from found.first[found.pairs].tolist()
    for start in range(0, len(vectors), _BLOCK):
        for a, b in closest(vectors[start : start + _BLOCK], vectors)[0].tolist():
            if rows[start + a].kind == rows[b].kind:
                yield start + a, b
