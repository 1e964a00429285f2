"""MinHash signatures of texts, and the band keys under which alike texts meet.

One permutation hashing (Li, Owen, Zhang 2012): each shingle's hash names one of 128 places and
competes there, so a text costs one pass and not 128. Empty places are filled from others of the
same text, chosen by place alone (optimal densification, Shrivastava 2017); after eight rounds,
which only very short texts need, by the text's smallest hash. Equal places estimate the Jaccard.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from selaras.data.shingles import Ragged, blocks, windows

PERMUTATIONS, BANDS = 128, 32
_ROWS_PER_BAND = PERMUTATIONS // BANDS
_BITS = PERMUTATIONS.bit_length() - 1
_EMPTY = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Signatures:
    """What the later steps need of each text: 264 bytes, whatever its length.

    `content` (texts,) uint64: the hash of the normal form, equal for exact duplicates only.
    `bands` (BANDS, texts) uint32: texts with an equal key in a band are candidates.
    `places` (texts, PERMUTATIONS) uint8: the signature, a byte a place.
    """

    content: NDArray[np.uint64]
    bands: NDArray[np.uint32]
    places: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.content)


def sign(texts: Sequence[str]) -> Signatures:
    """Return the signatures of texts: the map step, one shard or batch at a time.

    >>> signed = sign(["Kill the mould!", "kill  the mould"])
    >>> bool(signed.content[0] == signed.content[1])
    True
    """
    signed = Signatures(
        np.zeros(len(texts), np.uint64),
        np.zeros((BANDS, len(texts)), np.uint32),
        np.zeros((len(texts), PERMUTATIONS), np.uint8),
    )
    for rows, characters in blocks(texts):
        grams = windows(characters, 5)
        places = signature(grams)
        signed.content[rows] = _contents(grams)
        signed.bands[:, rows] = _band_keys(places)
        signed.places[rows] = places.astype(np.uint8)
    return signed


def concatenate(parts: Sequence[Signatures]) -> Signatures:
    """Return the signatures of all parts, in their order."""
    parts = [sign([]), *parts]
    return Signatures(
        np.concatenate([part.content for part in parts]),
        np.concatenate([part.bands for part in parts], axis=1),
        np.concatenate([part.places for part in parts]),
    )


def signature(grams: Ragged) -> NDArray[np.uint32]:
    """Return the MinHash of rows of hashed shingles, shape (rows, PERMUTATIONS).

    Every row has a shingle at least, as `windows` and `shingles` see to.
    """
    rows = np.repeat(np.arange(len(grams), dtype=np.uint32) << np.uint32(_BITS), grams.lengths)
    lowest = np.full(len(grams) * PERMUTATIONS, _EMPTY)
    places = grams.values >> np.uint32(32 - _BITS)
    np.minimum.at(lowest, rows + places, grams.values & np.uint32((1 << (32 - _BITS)) - 1))
    return _densified(lowest.reshape(-1, PERMUTATIONS))


def _densified(lowest: NDArray[np.uint32]) -> NDArray[np.uint32]:
    filled = lowest.copy()
    flat, source = filled.reshape(-1), lowest.reshape(-1)
    empty = np.flatnonzero(flat == _EMPTY)
    for donors in _donors():
        if not len(empty):
            return filled
        place = empty & (PERMUTATIONS - 1)
        flat[empty] = source[empty - place + donors[place]]
        empty = empty[flat[empty] == _EMPTY]
    flat[empty] = lowest.min(axis=1)[empty >> _BITS]
    return filled


def _band_keys(places: NDArray[np.uint32]) -> NDArray[np.uint32]:
    grouped = places.reshape(-1, BANDS, _ROWS_PER_BAND)
    keys = np.zeros(grouped.shape[:2], np.uint64)
    for i in range(_ROWS_PER_BAND):
        keys = (keys ^ grouped[:, :, i]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return np.ascontiguousarray(keys.astype(np.uint32).T)


def _contents(grams: Ragged) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each row of hashed windows, in their order (multilinear hashing)."""
    starts = grams.ends - grams.lengths
    place = np.arange(len(grams.values)) - np.repeat(starts, grams.lengths)
    keys = _mixed(np.arange(1, grams.lengths.max(initial=0) + 1, dtype=np.uint64)) | np.uint64(1)
    weighed = (grams.values + np.uint64(1)) * keys[place]
    return _mixed(np.add.reduceat(weighed, starts, dtype=np.uint64))


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # SplitMix64.
    numbers = numbers * np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)


@cache
def _donors() -> list[NDArray[np.int64]]:
    # From a hash, not from NumPy's generator, whose stream may change.
    raw = np.frombuffer(hashlib.shake_128(b"selaras donors").digest(8 * PERMUTATIONS), np.uint8)
    return list(raw.astype(np.int64).reshape(8, PERMUTATIONS) % PERMUTATIONS)
