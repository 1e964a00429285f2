"""Sentence embeddings kept by the hash of their text, so that each text is read once.

Encoders read texts in normal form, so what differs in case and marks alone is one text: the audits
of a run share one pass, whether they ask for a query as it stands or normalised.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.arrays import read_arrays, write_arrays
from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint, normalise
from selaras.core.progress import SILENT, Progress
from selaras.data.encoder import MINILM
from selaras.models.protocol import Embedder

# What seals are made with. A full cache needs no torch.
ENCODER = MINILM.package
BLOCK = 256

Vectors = NDArray[np.float32]


class Embeddings:
    """The vectors of one encoder: those of a file, those of this process, and new ones as asked."""

    def __init__(
        self,
        open_embedder: Callable[[], Embedder],
        cache: Path | None = None,
        progress: Progress = SILENT,
    ) -> None:
        """`cache` is an .npz of hashes and vectors, None where nothing is kept."""
        self._open = open_embedder
        self._cache = cache
        self._progress = progress
        self._place_of_text: dict[str, int] = {}
        self._place: dict[str, int] | None = None
        self._vectors: Vectors = np.zeros((0, 0), np.float32)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, shape (texts, dimensions).

        The encoder is opened only when a text is new. A cache that cannot be read is made anew.
        """
        if not texts:
            return np.zeros((0, 0), np.float32)
        if self._place is None:
            self._place, self._vectors = _read(self._cache)
        self._learn([text for text in dict.fromkeys(texts) if text not in self._place_of_text])
        return self._vectors[[self._place_of_text[text] for text in texts]]

    def _learn(self, texts: Sequence[str]) -> None:
        place = self._place if self._place is not None else {}
        keys = [fingerprint(normalise(text), 32) for text in texts]
        new = sorted({key: text for key, text in zip(keys, texts, strict=True)
                      if key not in place}.items())  # fmt: skip
        if new:
            blocks = [self._vectors] if len(self._vectors) else []
            embedder = self._open()
            with self._progress.task("embedding rows", len(new)) as task:
                for start in range(0, len(new), BLOCK):
                    block = new[start : start + BLOCK]
                    blocks.append(embedder.embed([text for _, text in block]))
                    task.advance(len(block))
            place.update(zip((key for key, _ in new), range(len(place), len(place) + len(new)),
                             strict=True))  # fmt: skip
            self._vectors = np.concatenate(blocks).astype(np.float32, copy=False)
            if self._cache:
                write_arrays(self._cache, keys=np.array(list(place)), vectors=self._vectors)
        self._place_of_text.update(zip(texts, map(place.__getitem__, keys), strict=True))


def open_encoder() -> Embedder:
    """Return MiniLM; raises MissingExtraError where its package is missing."""
    return MINILM.open()


def embed_cached(
    texts: Sequence[str],
    cache: Path | None,
    open_embedder: Callable[[], Embedder] = open_encoder,
    progress: Progress = SILENT,
) -> Vectors:
    """Return one unit vector a text, by what the file knows and the encoder (see Embeddings)."""
    return Embeddings(open_embedder, cache, progress).embed(texts)


def _read(cache: Path | None) -> tuple[dict[str, int], Vectors]:
    nothing: tuple[dict[str, int], Vectors] = {}, np.zeros((0, 0), np.float32)
    if cache is None:
        return nothing
    try:
        keys, vectors = read_arrays(cache, "keys", "vectors")
    except InputError:
        return nothing
    found: Any = vectors
    if found.ndim != 2 or len(keys) != len(found):
        return nothing
    return {key: i for i, key in enumerate(keys.tolist())}, found.astype(np.float32, copy=False)
