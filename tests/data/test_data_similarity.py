"""Cosines in blocks: every pair over the threshold, or the closest few."""

import numpy as np
import pytest
from numpy.typing import NDArray

from selaras.data.similarity import alike_pairs, closest


def units(rows: int, seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def test_all_pairs_over_the_threshold_reach_over_blocks() -> None:
    vectors = np.eye(3, dtype=np.float32)[np.arange(2500) % 3]
    pairs, scores = closest(vectors, vectors[:3], 0.99)
    assert pairs.tolist() == [[i, i % 3] for i in range(2500)]
    assert (scores > 0.99).all()


def test_the_closest_few_are_the_closest() -> None:
    left, right = units(40, 1), units(30, 2)
    pairs, scores = closest(left, right, -1.0, most=3)
    cosine = left @ right.T
    for row in range(40):
        mine = scores[pairs[:, 0] == row]
        assert np.allclose(sorted(mine), sorted(cosine[row])[-3:])
    few, _ = closest(left, right, 0.5, most=3)
    assert {(a, b) for a, b in few.tolist()} <= {(a, b) for a, b in pairs.tolist()}


def test_nothing_to_compare() -> None:
    nothing = np.zeros((0, 4), np.float32)
    for left, right in (
        (nothing, nothing),
        (np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)),
    ):
        pairs, scores = closest(left, right)
        assert pairs.shape == (0, 2)
        assert len(scores) == 0


def clustered(rows: int, seed: int = 0) -> NDArray[np.float32]:
    """Return unit vectors around a few directions, as texts on a few topics are."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((12, 16))
    vectors = centres[chance.integers(0, 12, rows)] + 0.35 * chance.standard_normal((rows, 16))
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


@pytest.mark.parametrize("most", [None, 3])
def test_pairs_within_a_set_are_those_of_brute_force(most: int | None) -> None:
    vectors = clustered(1500)
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -1)
    wanted = set()
    for i in range(len(vectors)):
        close = np.flatnonzero(cosine[i] >= 0.9)
        for j in close if most is None else close[np.argsort(-cosine[i, close])][:most]:
            wanted.add((min(i, int(j)), max(i, int(j))))
    pairs, scores = alike_pairs(vectors, 0.9, most)
    # Which of two cosines that are equal in float32 is the larger one differs by the block.
    found = {(a, b) for a, b in pairs.tolist()}
    assert len(found ^ wanted) <= 4 < len(wanted)
    assert len(pairs) == len(found)
    assert np.allclose(scores, cosine[pairs[:, 0], pairs[:, 1]], atol=1e-6)


def test_the_index_finds_nearly_all_of_them_and_nothing_else() -> None:
    vectors = clustered(4000)
    exact = {(a, b) for a, b in alike_pairs(vectors, 0.93)[0].tolist()}
    found = [(a, b) for a, b in alike_pairs(vectors, 0.93, exact=0)[0].tolist()]
    assert len(exact) > 500
    assert len(found) == len(set(found))
    assert set(found) <= exact
    assert len(found) >= 0.97 * len(exact)
    assert found == [(a, b) for a, b in alike_pairs(vectors, 0.93, exact=0)[0].tolist()]


def test_a_set_of_one_text_is_bounded_by_what_is_kept() -> None:
    vectors = np.tile(clustered(1), (1500, 1))
    for exact in (0, 10_000):
        pairs, _ = alike_pairs(vectors, 0.9, most=4, exact=exact)
        assert 0 < len(pairs) <= 4 * 1500
