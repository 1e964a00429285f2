"""Containment: shares as counted by hand, both ways, and windows that keep words together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.data import containment
from selaras.data.containment import contained, counted, covered, meetings, rarity, summed
from selaras.data.shingles import sequences, shingles

MOULD = ["kill", "the", "mould", "in", "my", "old", "bath", "and", "then", "buy", "tea"]
WORDS = st.lists(st.sampled_from(MOULD), min_size=1)
TEXTS = st.lists(WORDS.map(" ".join), min_size=1, max_size=6)


@given(TEXTS, TEXTS, st.sampled_from([1, 1 << 22]))
def test_shares_are_those_of_the_sets(rows: list[str], items: list[str], cells: int) -> None:
    left, right = shingles(rows, 3, "word"), shingles(items, 3, "word")
    weight = rarity(summed(map(counted, (left, right))))
    before, containment._CELLS = containment._CELLS, cells
    try:
        found = contained(left, right, 0.5, weight)
    finally:
        containment._CELLS = before
    told = dict(zip(map(tuple, found.pairs.tolist()), zip(found.of_item, found.of_row, strict=True),
                    strict=True))  # fmt: skip
    for i, mine in enumerate(left.rows()):
        for j, theirs in enumerate(right.rows()):
            shared = weight.of(np.intersect1d(mine, theirs)).sum()
            shares = shared / weight.of(theirs).sum(), shared / weight.of(mine).sum()
            if max(shares) >= 0.5 + 1e-9:
                assert told[i, j] == pytest.approx(shares)
            elif max(shares) < 0.5 - 1e-9:
                assert (i, j) not in told


@given(TEXTS, TEXTS)
def test_meetings_are_the_pairs_with_something_in_common(rows: list[str], items: list[str]) -> None:
    left, right = shingles(rows, 2, "word"), shingles(items, 2, "word")
    pairs = [*meetings(left, right)]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == {
        (i, j)
        for i, mine in enumerate(left.rows())
        for j, theirs in enumerate(right.rows())
        if len(np.intersect1d(mine, theirs))
    }


def test_a_window_holds_words_that_stand_together() -> None:
    item = "how do i kill a python process"
    near = f"some words before it {item.replace('python', 'ruby')} and after"
    apart = item.replace(" ", " and so on with many other words in between ")
    texts = [item, near, apart]
    sets, ordered = shingles(texts, 1, "word"), sequences(texts).rows()
    weight = rarity(counted(sets))
    whole, edited, scattered = (covered(row, sets.rows()[0], weight) for row in ordered)
    assert whole == pytest.approx(1)
    assert 0.7 < edited < 1
    assert scattered < 0.4
    assert covered(sequences(["nothing alike"]).values, sets.rows()[0], weight) == 0
