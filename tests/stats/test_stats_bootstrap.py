"""The BCa bootstrap against scipy's, and with clusters."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from selaras.stats import bca


@pytest.mark.parametrize("shape", [0.7, 3.0])
def test_it_agrees_with_scipy(shape: float) -> None:
    values = np.random.default_rng(1).gamma(shape, size=40)
    ours = bca(40, lambda rows: float(values[rows].mean()), draws=4000, seed=3)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=4000, method="BCa", random_state=np.random.default_rng(5)
    ).confidence_interval
    scale = values.std() / math.sqrt(40)
    assert ours.value == pytest.approx(values.mean())
    assert abs(ours.low - theirs.low) < 0.15 * scale
    assert abs(ours.high - theirs.high) < 0.15 * scale


def test_the_seed_decides() -> None:
    values = np.arange(12.0)
    first, again, other = (
        bca(12, lambda rows: float(np.median(values[rows])), draws=200, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_clusters_are_drawn_whole() -> None:
    values = np.repeat([0.0, 1.0, 0.0, 1.0, 1.0, 0.0], 10)
    rows = bca(60, lambda rows: float(values[rows].mean()), draws=500)
    whole = bca(
        60, lambda rows: float(values[rows].mean()), [i // 10 for i in range(60)], draws=500
    )
    assert whole.high - whole.low > 2 * (rows.high - rows.low)


def test_what_has_no_interval_says_so() -> None:
    assert math.isnan(bca(3, lambda rows: 1.0, ["a"] * 3).low)
    assert math.isnan(bca(0, lambda rows: 1.0).value)
    flat = bca(5, lambda rows: 2.0, draws=100)
    assert (flat.low, flat.value, flat.high) == (2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="100 draws"):
        bca(5, lambda rows: 2.0, draws=10)
    with pytest.raises(ValueError, match="cluster labels"):
        bca(5, lambda rows: 2.0, ["a"])
