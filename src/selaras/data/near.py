"""Near-duplicates among any number of texts, as map, shuffle and verify steps over shards.

    map      `sign`        texts -> signatures; a shard or batch at a time
    shuffle  `candidates`  signatures -> pairs of contents that meet in a band
    verify   `verified`    pairs and the shingles of their texts -> pairs with their exact Jaccard

Texts are told apart by content (the hash of the normal form), and contents are put in the order of
their hashes, so that neither the order of rows nor how they were sharded changes the result.
Exact duplicates are one content: a million identical rows cost no more than one.

A band's bucket of up to 32 contents is compared whole. A larger one (a template filled a thousand
times) is sorted by the next band's key, and each content is compared with the four that follow:
work stays linear, and near-duplicates in such a bucket are still found by their other bands.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selaras.core.progress import SILENT, Progress
from selaras.data.minhash import BANDS, PERMUTATIONS, Signatures, concatenate, sign
from selaras.data.shingles import Ragged, join, shingles

NEAR = 0.6
# The estimate's standard error is about .045 at .6 for a text of average length; short texts have
# less to estimate from.
SLACK = 0.22
WHOLE, FOLLOWING = 32, 4
_BATCH = 1 << 14
_PAIRS = 1 << 11
Pairs = NDArray[np.int64]
Shards = Callable[[], Iterable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """What texts are alike. Contents are numbered in the order of their hashes.

    `content` (texts,): the content of each text; equal numbers are exact duplicates.
    `first` (contents,): the first text of each content.
    `pairs` (pairs, 2) and `scores` (pairs,): contents at or over the threshold and their Jaccard.
    """

    content: NDArray[np.int64]
    first: NDArray[np.int64]
    pairs: Pairs
    scores: NDArray[np.float64]


def near_duplicates(
    texts: Sequence[str], threshold: float = NEAR, progress: Progress = SILENT
) -> NearDuplicates:
    """Return the exact and near-duplicates among texts.

    >>> found = near_duplicates(["Kill the mould, please.", "kill the mould please", "Buy milk"])
    >>> bool(found.content[0] == found.content[1]), len(found.pairs)
    (True, 0)
    """
    return near_duplicates_of(lambda: [texts], threshold, progress)


def near_duplicates_of(
    shards: Shards, threshold: float = NEAR, progress: Progress = SILENT
) -> NearDuplicates:
    """Return the exact and near-duplicates of sharded texts, numbered through all shards.

    `shards()` is read twice, for signatures and for the shingles of candidates, and must give the
    same texts both times; a shard's texts are held one batch at a time. Memory is 264 bytes a text
    and the shingles of those that have a candidate.
    """
    with progress.task("reading signatures", 1) as task:
        signed = concatenate([sign(batch) for batch in _batches(shards())])
        task.advance()
    content, first = contents(signed)
    pairs = candidates(signed, first, threshold, progress)
    needed = np.unique(pairs)
    sets = _shingles_of(shards, first[needed])
    local = np.searchsorted(needed, pairs).reshape(-1, 2)
    scores = verified(sets, local, progress)
    kept = scores >= threshold
    return NearDuplicates(content, first, pairs[kept], scores[kept])


def contents(signed: Signatures) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the content number of each text, and the first text of each content."""
    order = np.argsort(signed.content, kind="stable")
    hashes = signed.content[order]
    new = np.append(True, hashes[1:] != hashes[:-1]) if len(order) else np.zeros(0, bool)
    content = np.empty(len(order), np.int64)
    content[order] = np.cumsum(new) - 1
    return content, order[new]


def candidates(
    signed: Signatures, first: NDArray[np.int64], threshold: float, progress: Progress = SILENT
) -> Pairs:
    """Return the pairs of contents (the lower first) that share a band and may reach the threshold.

    `first` is a text of each content, as `contents` gives it.
    """
    found = [np.zeros(0, np.uint64)]
    with progress.task("comparing signatures", BANDS) as task:
        for band in range(BANDS):
            keys, following = signed.bands[band][first], signed.bands[(band + 1) % BANDS][first]
            met = _unique(np.concatenate([np.zeros(0, np.uint64), *_bucket_pairs(keys, following)]))
            found.append(_likely(met, signed.places, first, threshold))
            task.advance()
    return _unpacked(_unique(np.concatenate(found)))


def verified(sets: Ragged, pairs: Pairs, progress: Progress = SILENT) -> NDArray[np.float64]:
    """Return the exact Jaccard of each pair of rows of `sets` (sorted, without repeats)."""
    scores = np.zeros(len(pairs))
    with progress.task("verifying pairs", len(pairs)) as task:
        for start in range(0, len(pairs), _PAIRS):
            part = pairs[start : start + _PAIRS]
            scores[start : start + _PAIRS] = jaccards(sets, sets, part)
            task.advance(len(part))
    return scores


def jaccards(left: Ragged, right: Ragged, pairs: Pairs) -> NDArray[np.float64]:
    """Return |a ∩ b| / |a ∪ b| of row pairs (i of `left`, j of `right`); two empty sets are 1."""
    shared = overlaps(left, right, pairs)
    union = left.lengths[pairs[:, 0]] + right.lengths[pairs[:, 1]] - shared
    return np.where(union > 0, shared / np.maximum(union, 1), 1.0)


def overlaps(left: Ragged, right: Ragged, pairs: Pairs) -> NDArray[np.int64]:
    """Return |a ∩ b| of each pair of rows, i of `left` and j of `right`."""
    numbers = np.arange(len(pairs), dtype=np.uint64) << np.uint64(32)
    both = [
        np.repeat(numbers, rows.lengths) | rows.values
        for rows in (left.take(pairs[:, 0]), right.take(pairs[:, 1]))
    ]
    # Both are sorted: the stable sort merges them in one pass.
    merged = np.sort(np.concatenate(both), kind="stable")
    shared = merged[1:][merged[1:] == merged[:-1]] >> np.uint64(32)
    return np.bincount(shared.astype(np.int64), minlength=len(pairs))


def _batches(shards: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    for texts in shards:
        for start in range(0, len(texts), _BATCH):
            yield texts[start : start + _BATCH]


def _shingles_of(shards: Shards, needed: NDArray[np.int64]) -> Ragged:
    """Return the shingles of the texts of these numbers, in the order asked for."""
    order = np.argsort(needed)
    wanted, done, parts = needed[order], 0, []
    for batch in _batches(shards()):
        low, high = np.searchsorted(wanted, (done, done + len(batch)))
        parts.append(shingles([batch[i] for i in (wanted[low:high] - done).tolist()]))
        done += len(batch)
    return join(parts).take(np.argsort(order))


def _bucket_pairs(
    keys: NDArray[np.uint32], following: NDArray[np.uint32]
) -> Iterator[NDArray[np.uint64]]:
    """Yield the pairs of contents that a band's buckets bring together, packed in 64 bits."""
    # Most contents are alone under their key: only those that may not be are worth sorting.
    slots = (1 << max(10, 3 + len(keys).bit_length())) - 1
    crowded = np.bincount(keys & slots, minlength=slots + 1) > 1
    rows = np.flatnonzero(crowded[keys & slots]).astype(np.uint64)
    if not len(rows):
        return
    packed = np.sort(keys[rows].astype(np.uint64) << np.uint64(32) | rows)
    met, rows = packed >> np.uint64(32), packed & np.uint64(0xFFFFFFFF)
    same = met[1:] == met[:-1]
    inside = np.append(same, False) | np.append(False, same)
    met, rows = met[inside], rows[inside]
    if not len(met):
        return
    starts = np.flatnonzero(np.append(True, met[1:] != met[:-1]))
    sizes = np.diff(np.append(starts, len(met)))
    large = np.repeat(sizes > WHOLE, sizes)
    if large.any():
        rows[large] = rows[large][np.lexsort((following[rows[large]], met[large]))]
    left = np.repeat(starts + sizes, sizes) - np.arange(len(met)) - 1
    reach = np.minimum(left, np.where(large, FOLLOWING, WHOLE))
    for offset in range(1, int(reach.max()) + 1):
        here = np.flatnonzero(reach >= offset)
        one, other = rows[here], rows[here + offset]
        yield np.minimum(one, other) << np.uint64(32) | np.maximum(one, other)


def _likely(
    packed: NDArray[np.uint64], places: NDArray[np.uint8], first: Pairs, threshold: float
) -> NDArray[np.uint64]:
    """Return the pairs whose signatures agree in enough places."""
    enough = (threshold - SLACK) * PERMUTATIONS
    kept = [packed[:0]]
    for start in range(0, len(packed), _PAIRS):
        part = packed[start : start + _PAIRS]
        one, other = (first[column] for column in _unpacked(part).T)
        kept.append(part[np.count_nonzero(places[one] == places[other], axis=1) >= enough])
    return np.concatenate(kept)


def _unique(packed: NDArray[np.uint64]) -> NDArray[np.uint64]:
    packed = np.sort(packed)
    return packed[np.append(True, packed[1:] != packed[:-1])] if len(packed) else packed


def _unpacked(packed: NDArray[np.uint64]) -> Pairs:
    halves = (packed >> np.uint64(32), packed & np.uint64(0xFFFFFFFF))
    return np.stack(halves, axis=1).astype(np.int64)
