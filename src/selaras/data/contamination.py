"""Keeping copies of sealed rows out of development, by the sketch alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from selaras.core.decisions import Removal
from selaras.core.records import Query
from selaras.data.similarity import close_pairs, minhash, shingles, verified_pairs
from selaras.data.sketch import Sketch, query_hash, tie_hashes, unit_vectors

# The reason given for a row that is itself sealed: a split that was cut off left it in the data.
SEALED = "is a sealed row"


def contaminated(
    rows: Sequence[Query], sketch: Sketch, salt: str, vectors: NDArray[np.float32] | None
) -> tuple[list[Query], list[Removal]]:
    """Return (clean rows, removals): a removal names the sealed row, the tier and the similarity.

    Tiers: the same id, the same normal form, a common parent or cluster (the twin of a sealed row),
    char-5 Jaccard >= .6, and, where vectors are given, cosine >= .8 within the same kind. Clean
    and removed together are the input.
    """
    found: dict[int, Removal] = {}
    for i, removal in (*_same(rows, sketch, salt), *_alike(rows, sketch, salt, vectors)):
        found.setdefault(i, removal)
    clean = [row for i, row in enumerate(rows) if i not in found]
    return clean, [found[i] for i in sorted(found)]


def _same(rows: Sequence[Query], sketch: Sketch, salt: str) -> Iterator[tuple[int, Removal]]:
    by_hash = dict(zip(sketch.hashes, sketch.ids, strict=True))
    by_id = dict(zip(sketch.ids, sketch.hashes, strict=True))
    by_tie: dict[str, str] = {}
    for name, ties in zip(sketch.ids, sketch.ties, strict=True):
        for tie in ties:
            by_tie.setdefault(tie, name)
    for i, row in enumerate(rows):
        hashed = query_hash(row, salt)
        if row.id in by_id:
            same = hashed == by_id[row.id]
            yield i, Removal(row.id, SEALED if same else "has the id of a sealed row", row.id)
        if match := by_hash.get(hashed):
            yield i, Removal(row.id, "equals a sealed row", match, 1.0)
        for tie in tie_hashes(row, salt):
            if match := by_tie.get(tie):
                yield i, Removal(row.id, "belongs to a sealed row (parents or cluster)", match)


def _alike(
    rows: Sequence[Query], sketch: Sketch, salt: str, vectors: NDArray[np.float32] | None
) -> Iterator[tuple[int, Removal]]:
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
