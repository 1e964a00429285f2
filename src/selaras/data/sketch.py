"""A sketch of sealed rows: enough to find copies and paraphrases of them, without their text.

It holds salted hashes of character 5-grams, MinHash signatures and int8 embeddings. It is no
secret store: someone with a guess can test the guess; it keeps text out of repositories and logs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError
from selaras.core.files import replacing
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Query
from selaras.data.similarity import Shingles, minhash, shingles


@dataclass(frozen=True, slots=True)
class Sketch:
    """Per sealed row: its id, kind, salted query hash, shingles, signature and int8 vector."""

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    hashes: tuple[str, ...]
    grams: tuple[Shingles, ...]
    signatures: NDArray[np.uint32]
    vectors: NDArray[np.int8]


def query_hash(row: Query, salt: str) -> str:
    """Return the salted hash of a row's normal form."""
    return fingerprint([salt, row.query_key], 32)


def make_sketch(rows: Sequence[Query], vectors: NDArray[np.float32], salt: str) -> Sketch:
    """Return the sketch of rows and their unit vectors."""
    grams = tuple(shingles(row.query_key, salt) for row in rows)
    return Sketch(
        ids=tuple(row.id for row in rows),
        kinds=tuple(row.kind.value for row in rows),
        hashes=tuple(query_hash(row, salt) for row in rows),
        grams=grams,
        signatures=minhash(grams),
        vectors=np.clip(np.rint(vectors * 127), -127, 127).astype(np.int8),
    )


def unit_vectors(sketch: Sketch) -> NDArray[np.float32]:
    """Return the sketch's vectors as unit float32 (rounding to int8 moves a cosine by < .01)."""
    vectors = sketch.vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
    return unit


def write_sketch(path: Path, sketch: Sketch) -> None:
    """Write the sketch as .npz without pickled objects, whole or not at all."""
    lengths = np.array([len(g) for g in sketch.grams], dtype=np.int64)
    flat = np.concatenate(sketch.grams) if sketch.grams else np.zeros(0, np.uint32)
    with replacing(path, "wb") as sink:
        np.savez_compressed(
            sink, ids=np.array(sketch.ids), kinds=np.array(sketch.kinds),
            hashes=np.array(sketch.hashes), grams=flat, lengths=lengths,
            signatures=sketch.signatures, vectors=sketch.vectors,
        )  # fmt: skip


def read_sketch(path: Path) -> Sketch:
    """Return the sketch of a file; raises InputError where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            bounds = np.cumsum(stored["lengths"])[:-1]
            return Sketch(
                ids=tuple(stored["ids"].tolist()),
                kinds=tuple(stored["kinds"].tolist()),
                hashes=tuple(stored["hashes"].tolist()),
                grams=tuple(np.split(stored["grams"], bounds)),
                signatures=stored["signatures"],
                vectors=stored["vectors"],
            )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(
            "the sketch of the sealed rows is missing or damaged", path=path,
            fix="take it from version control again",
        ) from error  # fmt: skip
