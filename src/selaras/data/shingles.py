"""Texts as sets of hashed n-grams, for many texts at once: what every likeness is computed from.

The n-grams are those of the normal form (`selaras.core.fingerprint.normalise`), so that case,
punctuation and invisible characters count for nothing. Rows of ASCII, most rows, are normalised as
one array of bytes; a test holds that to the definition.

Numbers are made modulo 2**32 on purpose: a polynomial hash with odd multipliers, mixed at the end
(the finaliser of MurmurHash3). Unlike n-grams share a number about once in 4e9.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from selaras.core.fingerprint import normalise

Unit = Literal["character", "word"]
Numbers = NDArray[np.uint32]
# A block of rows: its arrays stay in the processor's cache. A longer row is a block of its own.
_ROWS, _CHARACTERS, _ABREAST = 2048, 1 << 17, 256
_SPACE = 32
# Scripts without spaces between words (Thai to Khmer, kana, Chinese characters): each character is
# taken for a word.
_UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF),
             (0x3400, 0x9FFF), (0x20000, 0x3FFFF))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of unequal length in one array: row i is `values[ends[i] - lengths[i] : ends[i]]`."""

    values: Numbers
    lengths: NDArray[np.int64]

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where each row ends."""
        return np.cumsum(self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> Numbers:
        end = int(self.lengths[: row + 1].sum())
        return self.values[end - int(self.lengths[row]) : end]

    def rows(self) -> list[Numbers]:
        """Return the rows, one array each (views)."""
        return np.split(self.values, self.ends[:-1]) if len(self) else []

    def take(self, rows: NDArray[np.int64]) -> "Ragged":
        """Return some of the rows, in the order asked for."""
        lengths = self.lengths[rows]
        shift = (self.ends - self.lengths)[rows] - (np.cumsum(lengths) - lengths)
        return Ragged(self.values[np.repeat(shift, lengths) + np.arange(lengths.sum())], lengths)


def join(parts: Sequence[Ragged]) -> Ragged:
    """Return the rows of several arrays as one."""
    values = [np.zeros(0, np.uint32), *(part.values for part in parts)]
    lengths = [np.zeros(0, np.int64), *(part.lengths for part in parts)]
    return Ragged(np.concatenate(values), np.concatenate(lengths))


def shingles(
    texts: Sequence[str], width: int = 5, unit: Unit = "character", salt: str = ""
) -> Ragged:
    """Return for each text the sorted set of its hashed n-grams; a shorter text has one.

    `salt` changes all hashes and no likeness.

    >>> shingles(["Household!", "ant", ""]).lengths.tolist()
    [5, 1, 1]
    """
    return _in_order(
        (
            rows,
            _sets(windows(characters if unit == "character" else words(characters), width, salt)),
        )
        for rows, characters in blocks(texts)
    )


def sequences(texts: Sequence[str], salt: str = "") -> Ragged:
    """Return for each text the hashes of its words, in their order and with repeats.

    They are those of `shingles(texts, 1, "word", salt)`.
    """
    return _in_order(
        (rows, windows(words(characters), 1, salt)) for rows, characters in blocks(texts)
    )


def blocks(texts: Sequence[str]) -> Iterator[tuple[list[int], Ragged]]:
    """Yield (row numbers, their normal forms as code points) until every text was there once."""
    narrow = np.fromiter(map(str.isascii, texts), bool, len(texts))
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    for ascii_only in (True, False):
        rows = np.flatnonzero(narrow == ascii_only)
        number = np.cumsum(lengths[rows]) // _CHARACTERS + np.arange(len(rows)) // _ROWS
        for block in np.split(rows, np.flatnonzero(np.diff(number)) + 1):
            if len(block):
                numbers = block.tolist()
                yield numbers, _characters([texts[row] for row in numbers], ascii_only)


def windows(units: Ragged, width: int, salt: str = "") -> Ragged:
    """Return the hash of every run of `width` units in each row (the whole row if it is shorter).

    Runs that occur twice are there twice.
    """
    units = _at_least(units, width)
    a, b, c = _keys(salt)
    values = units.values
    hashed = values[: len(values) - width + 1] * a
    for offset in range(1, width):
        hashed += values[offset : len(values) - width + 1 + offset]
        hashed *= a
    hashed ^= hashed >> np.uint32(16)
    hashed *= b
    hashed ^= hashed >> np.uint32(13)
    hashed *= c
    hashed ^= hashed >> np.uint32(16)
    inside = np.ones(len(values), dtype=bool)
    for offset in range(1, width):
        inside[units.ends - offset] = False
    return Ragged(hashed[inside[: len(hashed)]], units.lengths - (width - 1))


def words(characters: Ragged) -> Ragged:
    """Return the hash of each word of each row of code points."""
    codes, row_starts = characters.values, characters.ends - characters.lengths
    apart = codes == _SPACE
    alone = np.zeros(len(codes), dtype=bool)
    if len(codes) and int(codes.max()) >= _UNSPACED[0][0]:
        for low, high in _UNSPACED:
            alone |= (codes >= low) & (codes <= high)
    first = np.ones(len(codes), dtype=bool)
    first[1:] = apart[:-1] | alone[1:] | alone[:-1]
    first[row_starts[characters.lengths > 0]] = True
    first &= ~apart
    starts = np.flatnonzero(first)
    if not len(starts):
        return Ragged(np.zeros(0, np.uint32), np.zeros(len(characters), np.int64))
    place = np.arange(len(codes)) - starts[np.maximum(np.cumsum(first) - 1, 0)]
    weighed = (codes + np.uint32(1)) * _powers()[place & 255]
    weighed[apart] = 0
    counts = np.add.reduceat(np.append(first, False).astype(np.int64), row_starts)
    counts[characters.lengths == 0] = 0
    return Ragged(np.add.reduceat(weighed, starts, dtype=np.uint32), counts)


def _in_order(parts: Iterable[tuple[list[int], Ragged]]) -> Ragged:
    order: list[int] = []
    found: list[Ragged] = []
    for rows, part in parts:
        order += rows
        found.append(part)
    return join(found).take(np.argsort(np.array(order, dtype=np.int64)))


def _sets(grams: Ragged) -> Ragged:
    """Return each row sorted and without repeats."""
    order = np.argsort(grams.lengths, kind="stable")
    # Rows are sorted many at once, side by side with rows of up to twice their length: sorting
    # short rows of 32 bits is many times as fast as sorting one long array.
    size = (
        np.frexp(grams.lengths[order])[1].astype(np.int64) + np.arange(len(order)) // _ABREAST * 64
    )
    groups = np.split(order, np.flatnonzero(np.diff(size)) + 1)
    sets = join([_side_by_side(grams.take(group)) for group in groups])
    return sets.take(np.argsort(order))


def _side_by_side(grams: Ragged) -> Ragged:
    filled = np.arange(grams.lengths.max(initial=0)) < grams.lengths[:, None]
    sheet = np.full(filled.shape, 0xFFFFFFFF, dtype=np.uint32)
    sheet[filled] = grams.values
    sheet.sort(axis=1)
    filled[:, 1:] &= sheet[:, 1:] != sheet[:, :-1]
    return Ragged(sheet[filled], filled.sum(axis=1))


def _characters(texts: list[str], ascii_only: bool) -> Ragged:
    if ascii_only:
        return _ascii(texts)
    return _encoded([normalise(text) for text in texts])


def _encoded(normal: list[str]) -> Ragged:
    data = "".join(normal).encode("utf-32-le", "surrogatepass")
    lengths = np.fromiter(map(len, normal), np.int64, len(normal))
    return Ragged(np.frombuffer(data, dtype="<u4").astype(np.uint32, copy=False), lengths)


def _ascii(texts: list[str]) -> Ragged:
    """Return the normal forms of ASCII texts: `normalise`, for a block at once."""
    # A line end after each text, so that none runs into the next.
    codes = _ascii_table()[np.frombuffer("\n".join([*texts, ""]).encode(), dtype=np.uint8)]
    first = np.append(0, np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1))
    space = codes == _SPACE
    kept = ~space
    # The last space of a run stays, unless it ends or begins a row.
    kept[:-1] |= space[:-1] & ~space[1:]
    kept[first[1:] - 1] = False
    for row in np.flatnonzero(space[first[:-1]]):
        here = slice(first[row], first[row + 1])
        leading = int(first[row] + kept[here].argmax())
        kept[leading] &= not space[leading]
    position = np.flatnonzero(kept)
    lengths = np.diff(np.searchsorted(position, first))
    if not lengths.all():
        # Nothing but symbols: `normalise` keeps those, and so must this.
        return _encoded([normalise(text) for text in texts])
    return Ragged(codes[position].astype(np.uint32), lengths)


def _at_least(units: Ragged, width: int) -> Ragged:
    """Return rows of at least `width` units, short ones filled with 0."""
    short = units.lengths < width
    if not short.any():
        return units
    lengths = np.maximum(units.lengths, width)
    values = np.zeros(int(lengths.sum()), dtype=np.uint32)
    shift = (np.cumsum(lengths) - lengths) - (units.ends - units.lengths)
    values[np.arange(len(units.values)) + np.repeat(shift, units.lengths)] = units.values
    return Ragged(values, lengths)


@cache
def _ascii_table() -> NDArray[np.uint8]:
    folded = [chr(code).lower() if chr(code).isalnum() else " " for code in range(128)]
    return np.array([ord(character) for character in folded], dtype=np.uint8)


@cache
def _keys(salt: str) -> tuple[np.uint32, np.uint32, np.uint32]:
    raw = hashlib.blake2b(b"shingles", digest_size=12, key=salt.encode()[:64]).digest()
    # Odd, so that multiplying loses nothing.
    a, b, c = (np.uint32(number | 1) for number in np.frombuffer(raw, dtype="<u4").tolist())
    return a, b, c


@cache
def _powers() -> Numbers:
    raw = hashlib.shake_128(b"selaras words").digest(4 * 256)
    return np.frombuffer(raw, dtype="<u4").astype(np.uint32) | np.uint32(1)
