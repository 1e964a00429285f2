"""Topics of a set: clusters of sentence embeddings, named by their distinctive words."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import MissingExtraError
from selaras.core.fingerprint import normalise

FEWEST = 12
MOST_TOPICS = 24
COMMON = 1.25  # average topics full of texts in which a word may stand and still name one


@dataclass(frozen=True, slots=True)
class Topics:
    """The topic of each text (`of`, numbers), the topics' names, and places on a plane.

    `places` are the first two principal components of the vectors, shape (texts, 2).
    """

    of: tuple[int, ...]
    names: tuple[str, ...]
    places: NDArray[np.float32]

    def sizes(self) -> list[int]:
        """Return how many texts each topic has."""
        counts = Counter(self.of)
        return [counts[number] for number in range(len(self.names))]


def find_topics(texts: Sequence[str], vectors: NDArray[np.float32], seed: int = 0) -> Topics | None:
    """Return topics by k-means with k = sqrt(n / 3) clusters, 3 to 24; None for under 12 texts.

    Topics are numbered by size, the largest first. Raises MissingExtraError.
    """
    if len(texts) < FEWEST:
        return None
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "data") from error
    k = min(MOST_TOPICS, max(3, round(math.sqrt(len(texts) / 3))))
    k = min(k, len(np.unique(vectors.round(4), axis=0)))
    labels = KMeans(n_clusters=k, n_init=4, random_state=seed).fit_predict(vectors)
    order = np.argsort(-np.bincount(labels, minlength=k), kind="stable")
    rank = np.empty(k, dtype=int)
    rank[order] = np.arange(k)
    of = tuple(int(rank[label]) for label in labels)
    return Topics(of, _names(texts, of, k), _plane(vectors))


def _names(texts: Sequence[str], of: Sequence[int], k: int) -> tuple[str, ...]:
    """Return three distinctive words a topic: c-TF-IDF (Grootendorst 2022, equation 1) times the
    share of a word's texts that are of the topic.
    """
    in_texts: Counter[str] = Counter()
    in_topic: list[Counter[str]] = [Counter() for _ in range(k)]
    for text, number in zip(texts, of, strict=True):
        found = set(normalise(text[:2000]).split())
        in_texts.update(found)
        in_topic[number].update(found)
    few = max(3.0, COMMON * len(texts) / k)
    average = sum(map(len, in_topic)) / k
    names = []
    for number, counts in enumerate(in_topic):
        scores = {
            word: count * count / in_texts[word] * math.log(1 + average / in_texts[word])
            for word, count in counts.items()
            if len(word) > 2 and not word.isdigit() and in_texts[word] <= few
        }
        best = sorted(scores, key=lambda word: (-scores[word], word))[:3]
        names.append(", ".join(best) or f"topic {number + 1}")
    return tuple(names)


def _plane(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    places: NDArray[np.float32] = (centred @ axes[:, :-3:-1]).astype(np.float32)
    return places
