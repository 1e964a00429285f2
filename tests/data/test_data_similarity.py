"""Cosines in blocks: every pair over the threshold, or the closest few."""

import numpy as np
from numpy.typing import NDArray

from selaras.data.similarity import closest


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
