"""Sentence embeddings kept on disk by the hash of their text, so that each text is read once."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selaras.core.files import replacing
from selaras.core.fingerprint import fingerprint
from selaras.core.progress import SILENT, Progress
from selaras.models.protocol import Embedder

BLOCK = 256


def embed_cached(
    texts: Sequence[str],
    cache: Path,
    open_embedder: Callable[[], Embedder],
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Return one unit vector a text, shape (texts, dimensions).

    The encoder is opened only when a text is new; `cache` is an .npz of hashes and vectors. A cache
    that cannot be read is made anew.
    """
    keys = [fingerprint(text, 32) for text in texts]
    known = _read(cache)
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
        with replacing(cache, "wb") as sink:
            np.savez(sink, keys=np.array(list(known)), vectors=np.stack(list(known.values())))
    return np.stack([known[key] for key in keys]).astype(np.float32)


def _read(cache: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with np.load(cache, allow_pickle=False) as stored:
            return dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))
    except (OSError, ValueError, KeyError, EOFError):
        return {}
