"""Keeping copies of sealed rows out of development, by the sketch alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from selaras.core.decisions import Removal
from selaras.core.records import Query
from selaras.data.similarity import close_pairs, minhash, shingles, verified_pairs
from selaras.data.sketch import Sketch, query_hash, unit_vectors


def contaminated(
    rows: Sequence[Query], sketch: Sketch, salt: str, vectors: NDArray[np.float32] | None
) -> tuple[list[Query], list[Removal]]:
    """Return (clean rows, removals): a removal names the sealed row, the tier and the similarity.

    Tiers: the same id, the same normal form, char-5 Jaccard >= .6, and, where vectors are given,
    cosine >= .8 within the same kind. Clean and removed together are the input.
    """
    found: dict[int, Removal] = {}
    for i, removal in _matches(rows, sketch, salt, vectors):
        found.setdefault(i, removal)
    clean = [row for i, row in enumerate(rows) if i not in found]
    return clean, [found[i] for i in sorted(found)]


def _matches(
    rows: Sequence[Query], sketch: Sketch, salt: str, vectors: NDArray[np.float32] | None
) -> Iterator[tuple[int, Removal]]:
    by_hash = dict(zip(sketch.hashes, sketch.ids, strict=True))
    sealed = set(sketch.ids)
    for i, row in enumerate(rows):
        if row.id in sealed:
            yield i, Removal(row.id, "has the id of a sealed row", row.id, 1.0)
        if match := by_hash.get(query_hash(row, salt)):
            yield i, Removal(row.id, "equals a sealed row", match, 1.0)
    grams = [shingles(row.query_key, salt) for row in rows]
    near = verified_pairs(grams, minhash(grams), sketch.grams, sketch.signatures)
    for i, j, score in near:
        yield i, Removal(rows[i].id, "nearly equals a sealed row", sketch.ids[j], round(score, 3))
    if vectors is None or not len(sketch.ids):
        return
    for i, j, score in close_pairs(vectors, unit_vectors(sketch)):
        if rows[i].kind.value == sketch.kinds[j]:
            reason = "paraphrases a sealed row"
            yield i, Removal(rows[i].id, reason, sketch.ids[j], round(score, 3))
