"""A sketch of sealed rows: enough to find copies and paraphrases of them, without their text.

It holds salted hashes of character 5-grams, MinHash signatures and int8 embeddings. It keeps text
out of repositories and logs and is no secret store: with the salt, which lies beside it, a guess
can be tested, and who tries all 5-grams can piece most of a text together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.arrays import DAMAGED, read_arrays, write_arrays
from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Query
from selaras.data.groups import ties
from selaras.data.similarity import Shingles, minhash, shingles


@dataclass(frozen=True, slots=True)
class Sketch:
    """Per sealed row: its id, kind, salted query hash, shingles, signature and int8 vector.

    `ties` are the salted hashes of the names it shares with rows that belong to it.
    """

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    hashes: tuple[str, ...]
    grams: tuple[Shingles, ...]
    signatures: NDArray[np.uint32]
    vectors: NDArray[np.int8]
    ties: tuple[tuple[str, ...], ...]


def query_hash(row: Query, salt: str) -> str:
    """Return the salted hash of a row's normal form."""
    return fingerprint([salt, row.query_key], 32)


def tie_hashes(row: Query, salt: str) -> tuple[str, ...]:
    """Return the salted hashes of the names that a row shares with the rows it belongs to."""
    return tuple(fingerprint([salt, name], 32) for name in ties(row))


def make_sketch(rows: Sequence[Query], vectors: NDArray[np.float32], salt: str) -> Sketch:
    """Return the sketch of rows and their unit vectors."""
    grams = tuple(shingles(row.query_key, salt) for row in rows)
    return Sketch(
        ids=tuple(row.id for row in rows),
        kinds=tuple(row.kind.value for row in rows),
        hashes=tuple(query_hash(row, salt) for row in rows),
        grams=grams,
        signatures=minhash(grams),
        vectors=np.rint(vectors * (127 / _peaks(vectors))).astype(np.int8),
        ties=tuple(tie_hashes(row, salt) for row in rows),
    )


def selected(sketch: Sketch, ids: Sequence[str]) -> Sketch:
    """Return the sketch of some of its rows, in the order of `ids`; KeyError for an unknown one."""
    place = {name: i for i, name in enumerate(sketch.ids)}
    rows = [place[name] for name in ids]
    return Sketch(
        ids=tuple(ids),
        kinds=tuple(sketch.kinds[i] for i in rows),
        hashes=tuple(sketch.hashes[i] for i in rows),
        grams=tuple(sketch.grams[i] for i in rows),
        signatures=sketch.signatures[rows],
        vectors=sketch.vectors[rows],
        ties=tuple(sketch.ties[i] for i in rows),
    )


def unit_vectors(sketch: Sketch) -> NDArray[np.float32]:
    """Return the sketch's vectors as unit float32 (rounding to int8 moves a cosine by < .005)."""
    vectors = sketch.vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
    return unit


def write_sketch(path: Path, sketch: Sketch) -> None:
    """Write the sketch as .npz without pickled objects, whole or not at all."""
    write_arrays(
        path,
        ids=np.array(sketch.ids, dtype=str),
        kinds=np.array(sketch.kinds, dtype=str),
        hashes=np.array(sketch.hashes, dtype=str),
        grams=np.concatenate([np.zeros(0, np.uint32), *sketch.grams]),
        lengths=np.array([len(grams) for grams in sketch.grams], dtype=np.int64),
        signatures=sketch.signatures,
        vectors=sketch.vectors,
        ties=np.array([name for names in sketch.ties for name in names], dtype=str),
        tied=np.array([len(names) for names in sketch.ties], dtype=np.int64),
    )


def read_sketch(path: Path) -> Sketch:
    """Return the sketch of a file; raises InputError where it is missing or damaged."""
    try:
        ids, kinds, hashes, grams, lengths, signatures, vectors, names, tied = read_arrays(
            path, "ids", "kinds", "hashes", "grams", "lengths", "signatures", "vectors", "ties",
            "tied",
        )  # fmt: skip
        sketch = Sketch(
            ids=tuple(ids.tolist()),
            kinds=tuple(kinds.tolist()),
            hashes=tuple(hashes.tolist()),
            grams=tuple(part.astype(np.uint32) for part in _parts(grams, lengths)),
            signatures=signatures.astype(np.uint32),
            vectors=vectors.astype(np.int8),
            ties=tuple(tuple(part.tolist()) for part in _parts(names, tied)),
        )
        columns = [getattr(sketch, field.name) for field in fields(Sketch)]
        if {len(column) for column in columns} != {len(ids)}:
            raise ValueError("columns of unequal length")
    except (InputError, *DAMAGED) as error:
        raise InputError(
            "the sketch of the sealed rows is missing or damaged", path=path,
            fix="take it from version control again",
        ) from error  # fmt: skip
    return sketch


def _peaks(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    # Each row is scaled by its own largest number: only the direction of a vector is used.
    peaks: NDArray[np.float32] = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-9)
    return peaks


def _parts(flat: NDArray[Any], lengths: NDArray[Any]) -> list[NDArray[Any]]:
    return np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []
