"""Sentence embeddings by a static model: one vector a token, their mean, no network to run.

A hundred times as fast as MiniLM, and coarser: it knows words, not their order. The weights are
WordLlama's (l2_supercat, 256 dimensions, MIT), which arrive in the package `wordllama`. The
package's files are read, not imported; torch is not needed.
"""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import MissingExtraError
from selaras.core.fingerprint import normalise, sha256_file

PACKAGE = "wordllama"
NAME = "wordllama-l2-supercat-256"
WEIGHTS = "l2_supercat_256.safetensors"
TOKENIZER = "l2_supercat_tokenizer_config.json"
BATCH = 256
LONGEST = 512  # tokens
# Characters that are looked at: a row may hold a megabyte, and 512 tokens are rarely 4,000 letters.
MOST_CHARACTERS = 8 * LONGEST


class StaticEmbedder:
    """WordLlama's token vectors, averaged over a text and scaled to unit length.

    >>> embedder = open_static()
    >>> vectors = embedder.embed(["How do I kill a process?", "how do i KILL a process"])
    >>> vectors.shape, round(float(vectors[0] @ vectors[1]), 3)
    ((2, 256), 1.0)
    """

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        """Read a table of token vectors and its tokenizer; raises MissingExtraError."""
        try:
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError("tokenizers", "static") from error
        (table,) = load_file(weights).values()
        self._table: NDArray[np.float32] = table.astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)
        self.identity: dict[str, Any] = {"name": NAME, "weights": sha256_file(weights)}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a text, shape (texts, 256), in the texts' order.

        Texts are normalised first (case, punctuation) and cut after 512 tokens. An empty text has
        the vector of zeros: it is close to nothing.
        """
        result = np.zeros((len(texts), self._table.shape[1]), dtype=np.float32)
        for start in range(0, len(texts), BATCH):
            result[start : start + BATCH] = self._batch(texts[start : start + BATCH])
        return result

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        clean = [normalise(text[:MOST_CHARACTERS]) for text in texts]
        found = [each.ids for each in self._tokenizer.encode_batch_fast(
            clean, add_special_tokens=False)]  # fmt: skip
        # The direction of the mean is that of the sum.
        sums = np.stack([self._table[ids].sum(axis=0) for ids in found])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        unit: NDArray[np.float32] = (sums / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit


def open_static() -> StaticEmbedder:
    """Return the static encoder; raises MissingExtraError where its package is missing."""
    return StaticEmbedder(_file(WEIGHTS), _file(TOKENIZER))


def _file(name: str) -> Path:
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError(PACKAGE, "static") from error
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    raise MissingExtraError(PACKAGE, "static")
