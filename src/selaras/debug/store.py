"""Per-token log-probabilities on disk, so that no ablation is ever run twice.

SQLite, keyed by the model's identity, the ids that were kept (template and mask are in them) and
the response's ids; values are float32. The file holds no text, and may be deleted at any time.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import SelarasError

Values = NDArray[np.float32]
_SCHEMA = "create table if not exists ablation (key blob primary key, value blob) without rowid"


class AblationStore:
    """The log-probabilities of one model; None as path keeps them in memory only.

    >>> store = AblationStore(None, "model")
    >>> key = store.key([1, 2], [3]); store.put({key: np.array([-0.5], np.float32)})
    >>> store.get(key), store.get(store.key([1], [3]))
    (array([-0.5], dtype=float32), None)
    """

    def __init__(self, path: Path | None, model: str) -> None:
        self._model = model.encode()
        self._path = path
        self._known: dict[bytes, Values] = {}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

    def key(self, kept: Sequence[int], response: Sequence[int]) -> bytes:
        """Return the key of a prompt's kept ids with a response's."""
        parts = (np.asarray(kept, np.int64).tobytes(), np.asarray(response, np.int64).tobytes())
        digest = hashlib.sha256(self._model)
        for part in parts:
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.digest()

    def get(self, key: bytes) -> Values | None:
        """Return the values of a key, or None."""
        if key in self._known or self._path is None:
            return self._known.get(key)
        try:
            with closing(self._open(self._path)) as connection:
                row = connection.execute(
                    "select value from ablation where key = ?", (key,)
                ).fetchone()
        except sqlite3.Error as error:
            raise SelarasError(
                f"{self._path}: the cache of ablations is damaged ({error}); delete it"
            ) from error
        if row is not None:
            self._known[key] = np.frombuffer(row[0], np.float32)
        return self._known.get(key)

    def put(self, found: dict[bytes, Values]) -> None:
        """Keep values under their keys."""
        self._known |= found
        if self._path is None:
            return
        rows = [(key, value.astype(np.float32).tobytes()) for key, value in found.items()]
        try:
            with closing(self._open(self._path)) as connection, connection:
                connection.executemany("insert or replace into ablation values (?, ?)", rows)
        except sqlite3.Error as error:
            raise SelarasError(f"{self._path}: cannot be written ({error})") from error

    def _open(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=30)
        connection.execute(_SCHEMA)
        return connection
