"""How unlike each other the texts of a set are: compression, distinct n-grams, Vendi score.

Compression and distinct n-grams depend on how much text there is, so both are taken on samples of
one size and averaged: values of sets of different size compare.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from selaras.core.fingerprint import normalise, seed_from

CHARACTERS = 4_000
WORDS = 600
DRAWS = 5


def compression_ratio(texts: Sequence[str], characters: int = CHARACTERS) -> float | None:
    """Return size over compressed size of text (zlib, level 9) in samples of `characters`.

    Higher is more alike: prose has some 2, filled templates 4 and more (Shaib et al. 2024, who take
    gzip of the whole set). None where there is less text than one sample.
    """
    found = []
    for sample in _samples(texts, characters, len):
        raw = "\n".join(sample).encode()
        found.append(len(raw) / len(zlib.compress(raw, 9)))
    return round(float(np.mean(found)), 3) if found else None


def distinct(texts: Sequence[str], n: int, words: int = WORDS) -> float | None:
    """Return distinct n-grams over all n-grams in samples of `words` (Li et al. 2016), in (0, 1].

    None where there are fewer words.
    """
    found = []
    for sample in _samples(texts, words, lambda text: len(text.split())):
        grams = [gram for text in sample for gram in _grams(text.split(), n)]
        if grams:
            found.append(len(set(grams)) / len(grams))
    return round(float(np.mean(found)), 3) if found else None


def vendi(vectors: NDArray[np.float32]) -> float | None:
    """Return the Vendi score of unit vectors: how many wholly unlike texts would be as diverse.

    exp of the entropy of the eigenvalues of K/n with the cosine kernel (Friedman and Dieng 2023,
    equation 1, q = 1). They are taken from the covariance of the vectors, which has the same
    eigenvalues and the size of a vector, not of the set. From 1 (all equal) to n; None for no text.

    >>> round(vendi(np.eye(4, dtype=np.float32)), 6), vendi(np.ones((5, 1), np.float32))
    (4.0, 1.0)
    """
    if not len(vectors):
        return None
    wide = vectors.astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(wide.T @ wide / len(wide))
    positive = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def evenness(counts: Sequence[int]) -> float | None:
    """Return the entropy of counts over its largest value: 1 where all are equal, 0 where one is.

    >>> evenness([5, 5, 5]), evenness([7])
    (1.0, 0.0)
    """
    share = np.array([count for count in counts if count > 0], dtype=np.float64)
    if not len(share):
        return None
    if len(share) == 1:
        return 0.0
    share /= share.sum()
    return round(float(-(share * np.log(share)).sum() / np.log(len(share))), 3)


def _samples(texts: Sequence[str], size: int, measure: Callable[[str], int]) -> Iterator[list[str]]:
    """Yield up to five samples of whole texts, in order of chance, each cut at `size`."""
    clean = [normalise(text[: 4 * CHARACTERS]) for text in texts]
    sizes = [measure(text) for text in clean]
    if sum(sizes) < size:
        return
    for draw in range(DRAWS):
        generator = np.random.default_rng(seed_from("variety", draw))
        sample, total = [], 0
        for place in generator.permutation(len(clean)):
            sample.append(clean[int(place)])
            total += sizes[int(place)]
            if total >= size:
                break
        yield sample


def _grams(tokens: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    if n == 2:
        yield from pairwise(tokens)
    else:
        yield from (tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
