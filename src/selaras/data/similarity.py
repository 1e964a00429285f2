"""How alike two texts are: hashed character 5-grams with MinHash, and sentence embeddings."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

NEAR = 0.6
PARAPHRASE = 0.8
PERMUTATIONS = 128
# MinHash of 128 permutations has a standard error of about .04 at .6: .4 lets nothing slip by.
_CANDIDATE = 0.4
_PRIME = (1 << 31) - 1
_BLOCK = 4096
Shingles = NDArray[np.uint32]


def shingles(text: str, salt: str = "", width: int = 5) -> Shingles:
    """Return the sorted set of hashed character n-grams of a text (one hash for a short text).

    >>> len(shingles("household")), len(shingles("ant"))
    (5, 1)
    """
    grams = {text[i : i + width] for i in range(max(1, len(text) - width + 1))}
    key = salt.encode()[:64]
    hashed = [
        hashlib.blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=4, key=key).digest()
        for gram in grams
    ]
    return np.unique(np.frombuffer(b"".join(hashed), dtype="<u4")).astype(np.uint32)


def jaccard(a: Shingles, b: Shingles) -> float:
    """Return |a ∩ b| / |a ∪ b| of two shingle sets, in [0, 1].

    >>> jaccard(shingles("kill the mould"), shingles("kill the mould"))
    1.0
    """
    shared = len(np.intersect1d(a, b, assume_unique=True))
    union = len(a) + len(b) - shared
    return shared / union if union else 1.0


def minhash(sets: Sequence[Shingles]) -> NDArray[np.uint32]:
    """Return the MinHash signatures, shape (sets, 128); equal places estimate the Jaccard."""
    a, b = _coefficients()
    signatures = np.zeros((len(sets), PERMUTATIONS), dtype=np.uint32)
    for i, grams in enumerate(sets):
        reduced = grams.astype(np.int64)[:, None] % _PRIME
        # (reduced * a) stays under 2**62, so int64 never overflows; blocks bound the memory that
        # a long article takes.
        blocks = (reduced[start : start + _BLOCK] for start in range(0, len(grams), _BLOCK))
        signatures[i] = np.min([((block * a + b) % _PRIME).min(axis=0) for block in blocks], axis=0)
    return signatures


def near_pairs(
    left: Sequence[Shingles], right: Sequence[Shingles], threshold: float = NEAR
) -> Iterator[tuple[int, int, float]]:
    """Yield (i, j, Jaccard) for the pairs at or over the threshold: MinHash, then exactly."""
    signatures = minhash(left)
    others = signatures if right is left else minhash(right)
    yield from verified_pairs(left, signatures, right, others, threshold)


def verified_pairs(
    left: Sequence[Shingles],
    left_signatures: NDArray[np.uint32],
    right: Sequence[Shingles],
    right_signatures: NDArray[np.uint32],
    threshold: float = NEAR,
) -> Iterator[tuple[int, int, float]]:
    """Yield (i, j, Jaccard) like `near_pairs`, for signatures that are already there."""
    for i, signature in enumerate(left_signatures):
        estimate = (right_signatures == signature).mean(axis=1)
        for j in np.flatnonzero(estimate >= _CANDIDATE):
            score = jaccard(left[i], right[int(j)])
            if score >= threshold:
                yield i, int(j), score


def close_pairs(
    left: NDArray[np.float32], right: NDArray[np.float32], threshold: float = PARAPHRASE
) -> Iterator[tuple[int, int, float]]:
    """Yield (i, j, cosine) for unit vectors at or over the threshold, in blocks of rows."""
    for start in range(0, len(left), 1024):
        similar = left[start : start + 1024] @ right.T
        for i, j in zip(*np.nonzero(similar >= threshold), strict=True):
            yield start + int(i), int(j), float(similar[i, j])


@cache
def _coefficients() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # From a hash, not from NumPy's generator, whose stream may change: signatures are kept on disk.
    raw = hashlib.shake_128(b"selaras minhash").digest(8 * PERMUTATIONS)
    a, b = np.frombuffer(raw, dtype="<u4").astype(np.int64).reshape(2, PERMUTATIONS)
    return a % (_PRIME - 1) + 1, b % _PRIME
