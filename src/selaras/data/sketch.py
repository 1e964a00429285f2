"""A sketch of sealed rows: enough to find copies and paraphrases of them, without their text.

It holds salted hashes of n-grams, of words and numbers, and int8 embeddings. It keeps text out of
repositories and logs and is no secret store: with the salt, which lies beside it, a guess can be
tested, and who tries all 5-grams can piece most of a text together.

The rows of an evaluation set are sketched as well (in memory), so that contamination is looked for
in one way, whether or not the text is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.arrays import DAMAGED, read_arrays, write_arrays
from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Query
from selaras.data.groups import ties
from selaras.data.shingles import Ragged, Unit, shingles
from selaras.data.variants import numbers

# Raised when a sketch of the same rows holds something else.
VERSION = 2
GRAMS: dict[str, tuple[Unit, int]] = {
    "characters": ("character", 5),
    "words": ("word", 1),
    "triples": ("word", 3),
    "thirteens": ("word", 13),
}


class OutdatedSketchError(InputError):
    """Raised for a sketch of an earlier version; a split makes a new one of the same rows."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            "the sketch of the sealed rows was made by an earlier version", path=path,
            fix="run 'selaras data split --extend' where holdout/rows.jsonl is",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sketch:
    """Per row: its id, kind, salted query hash, sets of hashed n-grams and int8 vector.

    `grams` holds the sets by the names of GRAMS, and "numbers"; `ties` the salted hashes of the
    names that a row shares with rows that belong to it. A kind is "" where it is not known.
    """

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    hashes: tuple[str, ...]
    grams: Mapping[str, Ragged]
    vectors: NDArray[np.int8]
    ties: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.ids)


def query_hash(row: Query, salt: str) -> str:
    """Return the salted hash of a row's normal form."""
    return fingerprint([salt, row.query_key], 32)


def tie_hashes(row: Query, salt: str) -> tuple[str, ...]:
    """Return the salted hashes of the names that a row shares with the rows it belongs to."""
    return tuple(fingerprint([salt, name], 32) for name in ties(row))


def hashed_grams(texts: Sequence[str], salt: str) -> dict[str, Ragged]:
    """Return the sets of salted hashes that a sketch holds of texts, by name."""
    found = {name: shingles(texts, width, unit, salt) for name, (unit, width) in GRAMS.items()}
    return found | {"numbers": _without_empty([" ".join(numbers(text)) for text in texts], salt)}


def make_sketch(rows: Sequence[Query], vectors: NDArray[np.float32], salt: str) -> Sketch:
    """Return the sketch of rows and their unit vectors."""
    return Sketch(
        ids=tuple(row.id for row in rows),
        kinds=tuple(row.kind.value for row in rows),
        hashes=tuple(query_hash(row, salt) for row in rows),
        grams=hashed_grams([row.query_key for row in rows], salt),
        vectors=_eight_bits(vectors),
        ties=tuple(tie_hashes(row, salt) for row in rows),
    )


def item_sketch(
    ids: Sequence[str], kinds: Sequence[str], texts: Sequence[str], vectors: NDArray[np.float32]
) -> Sketch:
    """Return the unsalted sketch of an evaluation set's texts (in normal form), to compare with."""
    return Sketch(
        ids=tuple(ids),
        kinds=tuple(kinds),
        hashes=tuple(fingerprint(["", text], 32) for text in texts),
        grams=hashed_grams(texts, ""),
        vectors=_eight_bits(vectors),
        ties=((),) * len(texts),
    )


def selected(sketch: Sketch, ids: Sequence[str]) -> Sketch:
    """Return the sketch of some of its rows, in the order of `ids`; KeyError for an unknown one."""
    place = {name: i for i, name in enumerate(sketch.ids)}
    rows = [place[name] for name in ids]
    chosen = np.array(rows, dtype=np.int64)
    return Sketch(
        ids=tuple(ids),
        kinds=tuple(sketch.kinds[i] for i in rows),
        hashes=tuple(sketch.hashes[i] for i in rows),
        grams={name: grams.take(chosen) for name, grams in sketch.grams.items()},
        vectors=sketch.vectors[chosen],
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
    grams = {
        f"{name}.{part}": array
        for name, rows in sketch.grams.items()
        for part, array in (("values", rows.values), ("lengths", rows.lengths))
    }
    write_arrays(
        path,
        version=np.array(VERSION),
        ids=np.array(sketch.ids, dtype=str),
        kinds=np.array(sketch.kinds, dtype=str),
        hashes=np.array(sketch.hashes, dtype=str),
        vectors=sketch.vectors,
        ties=np.array([name for names in sketch.ties for name in names], dtype=str),
        tied=np.array([len(names) for names in sketch.ties], dtype=np.int64),
        **grams,
    )


def read_sketch(path: Path) -> Sketch:
    """Return the sketch of a file.

    Raises InputError where it is missing or damaged, OutdatedSketchError where an earlier version
    made it.
    """
    try:
        ids, kinds, hashes, vectors, names, tied = read_arrays(
            path, "ids", "kinds", "hashes", "vectors", "ties", "tied"
        )
        if _version(path) < VERSION:
            raise OutdatedSketchError(path)
        grams = {name: Ragged(*read_arrays(path, f"{name}.values", f"{name}.lengths"))
                 for name in (*GRAMS, "numbers")}  # fmt: skip
        sketch = Sketch(
            ids=tuple(ids.tolist()),
            kinds=tuple(kinds.tolist()),
            hashes=tuple(hashes.tolist()),
            grams={name: _checked_rows(rows) for name, rows in grams.items()},
            vectors=vectors.astype(np.int8),
            ties=tuple(tuple(part.tolist()) for part in _parts(names, tied)),
        )
        sizes = {len(kinds), len(hashes), len(vectors), len(sketch.ties)}
        if sizes | {len(rows) for rows in grams.values()} != {len(ids)}:
            raise ValueError("columns of unequal length")
    except OutdatedSketchError:
        raise
    except (InputError, *DAMAGED) as error:
        raise InputError(
            "the sketch of the sealed rows is missing or damaged", path=path,
            fix="take it from version control again",
        ) from error  # fmt: skip
    return sketch


def _version(path: Path) -> int:
    try:
        (version,) = read_arrays(path, "version")
    except InputError as error:
        if isinstance(error.__cause__, KeyError):
            return 1
        raise
    return int(version)


def _checked_rows(rows: Ragged) -> Ragged:
    lengths = rows.lengths.astype(np.int64)
    if rows.values.ndim != 1 or lengths.ndim != 1 or (lengths < 0).any():
        raise ValueError("not rows of hashes")
    if lengths.sum() != len(rows.values):
        raise ValueError("rows and their lengths do not agree")
    return Ragged(rows.values.astype(np.uint32), lengths)


def _without_empty(texts: Sequence[str], salt: str) -> Ragged:
    """Return the sets of hashed words of texts; none for a text without words."""
    found = shingles(texts, 1, "word", salt)
    lengths = np.where([bool(text) for text in texts], found.lengths, 0)
    return Ragged(found.values[np.repeat(lengths > 0, found.lengths)], lengths)


def _eight_bits(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    # Each row is scaled by its own largest number: only the direction of a vector is used.
    peaks = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-9)
    rounded: NDArray[np.int8] = np.rint(vectors * (127 / peaks)).astype(np.int8)
    return rounded


def _parts(flat: NDArray[Any], lengths: NDArray[Any]) -> list[NDArray[Any]]:
    return np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []
