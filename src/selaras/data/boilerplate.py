"""Runs of words that stand in several texts: boilerplate, to be reported and never cut out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from selaras.core.fingerprint import normalise
from selaras.data.shingles import Ragged, windows

# A refusal's sentence has some twenty words; the field's fifty tokens are for web pages.
LENGTH, TEXTS = 20, 3
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Run:
    """Words in a row that several texts share: (text, start, end) in characters for each."""

    words: int
    places: tuple[tuple[int, int, int], ...]


def shared_runs(texts: Sequence[str], length: int = LENGTH, fewest: int = TEXTS) -> Iterator[Run]:
    """Yield the longest runs of `length` words or more that at least `fewest` texts share.

    A text is in one run at most, the first that begins in it. Runs come by how many texts share
    them, the most first.
    """
    # Pieces between spaces, so that a run can be shown in the text as it is written.
    pieces = [[*_WORD.finditer(text)] for text in texts]
    words = [[normalise(piece.group()) for piece in found] for found in pieces]
    long = [i for i, found in enumerate(pieces) if len(found) >= length]
    if len(long) < fewest:
        return
    names: dict[str, int] = {}
    numbers = [names.setdefault(word, len(names)) for i in long for word in words[i]]
    lengths = np.array([len(words[i]) for i in long], dtype=np.int64)
    grams = windows(Ragged(np.array(numbers, dtype=np.uint32), lengths), length)
    owners = np.repeat(np.arange(len(long)), grams.lengths)
    at = np.arange(len(grams.values)) - np.repeat(grams.ends - grams.lengths, grams.lengths)
    places: dict[int, dict[int, int]] = {}
    for value, owner, place in zip(
        grams.values.tolist(), owners.tolist(), at.tolist(), strict=True
    ):
        places.setdefault(value, {}).setdefault(owner, place)
    used: set[int] = set()
    for _, shared in sorted(places.items(), key=lambda item: (-len(item[1]), item[0])):
        mine = {owner: place for owner, place in shared.items() if owner not in used}
        if len(mine) < fewest:
            continue
        before, after = _grown([words[long[owner]] for owner in mine], [*mine.values()], length)
        used |= mine.keys()
        yield Run(after - before, tuple(
            (long[owner], pieces[long[owner]][place + before].start(),
             pieces[long[owner]][place + after - 1].end())
            for owner, place in mine.items()
        ))  # fmt: skip


def _grown(words: Sequence[Sequence[str]], places: Sequence[int], length: int) -> tuple[int, int]:
    """Return how far a run reaches before and after its places while all texts agree."""
    before, after = 0, length
    while all(place + before > 0 for place in places) and _agree(words, places, before - 1):
        before -= 1
    while all(p + after < len(w) for w, p in zip(words, places, strict=True)) and _agree(
        words, places, after
    ):
        after += 1
    return before, after


def _agree(words: Sequence[Sequence[str]], places: Sequence[int], offset: int) -> bool:
    return len({w[place + offset] for w, place in zip(words, places, strict=True)}) == 1
