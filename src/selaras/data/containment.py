"""How much of one text stands in another: n-grams weighed by rarity, and windows of words.

Weights are inverse document frequencies over both sides, so that what every question says ("how do
I") counts little. Containment is asked in both directions: an evaluation item inside a long row,
and a row that was cut out of an item.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selaras.data.shingles import Numbers, Ragged

Floats = NDArray[np.float64]
# A sheet of rows x items is held at once.
_CELLS = 1 << 22
# How many words more than the item a window has: a word or two may have been put in.
_ROOM = 2


@dataclass(frozen=True, slots=True)
class Contained:
    """Pairs of a row and an item with the weighed share of each that the other holds."""

    pairs: NDArray[np.int64]
    of_item: Floats
    of_row: Floats


def contained(rows: Ragged, items: Ragged, threshold: float, weight: "Rarity") -> Contained:
    """Return the pairs of which either side's sets hold `threshold` of the other's weight.

    `weight` knows every n-gram of both sides.
    """
    vocabulary = weight.grams
    item_grams = np.searchsorted(vocabulary, items.values)
    order = np.argsort(item_grams, kind="stable")
    holders = np.repeat(np.arange(len(items)), items.lengths)[order]
    first = np.searchsorted(item_grams[order], np.arange(len(vocabulary) + 1))
    item_weight, row_weight = weight.total(items), weight.total(rows)
    found: list[tuple[NDArray[np.int64], Floats, Floats]] = []
    step = max(1, _CELLS // max(1, len(items)))
    for start in range(0, len(rows), step):
        part = np.arange(start, min(start + step, len(rows)))
        sets = rows.take(part)
        grams = np.searchsorted(vocabulary, sets.values)
        times = first[grams + 1] - first[grams]
        at = np.repeat(first[grams] - (np.cumsum(times) - times), times) + np.arange(times.sum())
        cell = np.repeat(np.repeat(np.arange(len(part)), sets.lengths), times) * len(items)
        shared = np.bincount(
            cell + holders[at],
            weights=np.repeat(weight.values[grams], times),
            minlength=len(part) * len(items),
        ).reshape(len(part), len(items))
        of_item = shared / np.maximum(item_weight, 1e-9)
        of_row = shared / np.maximum(row_weight[part, None], 1e-9)
        here = np.nonzero((of_item >= threshold) | (of_row >= threshold))
        found.append((np.stack((here[0] + start, here[1]), axis=1), of_item[here], of_row[here]))
    if not found:
        return Contained(np.zeros((0, 2), np.int64), np.zeros(0), np.zeros(0))
    pairs, of_item, of_row = (np.concatenate(column) for column in zip(*found, strict=True))
    return Contained(pairs, np.minimum(of_item, 1), np.minimum(of_row, 1))


@dataclass(frozen=True, slots=True)
class Rarity:
    """The weight of each n-gram; `grams` are sorted."""

    grams: Numbers
    values: Floats

    def of(self, grams: Numbers) -> Floats:
        """Return the weights of n-grams; of one that is not known, the largest."""
        place = np.minimum(np.searchsorted(self.grams, grams), max(0, len(self.grams) - 1))
        if not len(self.grams):
            return np.ones(len(grams))
        known = self.grams[place] == grams
        return np.where(known, self.values[place], self.values.max())

    def total(self, sets: Ragged) -> Floats:
        """Return the weight of each row."""
        rows = np.repeat(np.arange(len(sets)), sets.lengths)
        return np.bincount(rows, self.of(sets.values), len(sets)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Counts:
    """In how many of `texts` texts each n-gram stands; `grams` are sorted."""

    grams: Numbers
    counts: NDArray[np.int64]
    texts: int


def counted(sets: Ragged) -> Counts:
    """Return the document frequencies of a collection: the map step, a shard at a time."""
    grams, counts = np.unique(sets.values, return_counts=True)
    return Counts(grams, counts.astype(np.int64), len(sets))


def summed(parts: Iterable[Counts]) -> Counts:
    """Return the frequencies of all parts together: the reduce step, in whatever order."""
    found = list(parts)
    grams, place = np.unique(
        np.concatenate([np.zeros(0, np.uint32), *(part.grams for part in found)]),
        return_inverse=True,
    )
    weights = np.concatenate([np.zeros(0, np.int64), *(part.counts for part in found)])
    counts = np.bincount(place, weights, len(grams)).astype(np.int64)
    return Counts(grams, counts, sum(part.texts for part in found))


def rarity(counts: Counts) -> Rarity:
    """Return log(1 + n / df) of every n-gram."""
    return Rarity(counts.grams, np.log1p(counts.texts / counts.counts))


def covered(sequence: Numbers, item: Numbers, weight: Rarity) -> float:
    """Return the largest share of an item's words (by weight) in a window of the text's words.

    The window is two words longer than the item. A word counts once; order does not count.
    """
    places = np.flatnonzero(np.isin(sequence, item))
    if not len(places):
        return 0.0
    names = sequence[places].tolist()
    values = weight.of(sequence[places]).tolist()
    size = len(item) + _ROOM
    best = current = 0.0
    inside: dict[int, int] = {}
    oldest = 0
    for place, name, value in zip(places.tolist(), names, values, strict=True):
        inside[name] = inside.get(name, 0) + 1
        current += value if inside[name] == 1 else 0.0
        while places[oldest] <= place - size:
            inside[names[oldest]] -= 1
            current -= values[oldest] if inside[names[oldest]] == 0 else 0.0
            oldest += 1
        best = max(best, current)
    return best / max(1e-9, float(weight.of(item).sum()))


def meetings(rows: Ragged, items: Ragged) -> Iterator[tuple[int, int]]:
    """Yield (row, item) once for each pair of sets that share a number."""
    order = np.argsort(items.values, kind="stable")
    known, holders = items.values[order], np.repeat(np.arange(len(items)), items.lengths)[order]
    low, high = np.searchsorted(known, rows.values), np.searchsorted(known, rows.values, "right")
    owners = np.repeat(np.arange(len(rows)), rows.lengths)
    seen: set[tuple[int, int]] = set()
    for at in np.flatnonzero(high > low):
        for holder in holders[low[at] : high[at]]:
            pair = int(owners[at]), int(holder)
            if pair not in seen:
                seen.add(pair)
                yield pair
