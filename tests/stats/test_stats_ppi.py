"""PPI++: the labels alone where the judge is worthless, much more where it is good."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.stats import clustered_wilson, ppi_mean

BITS = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=60)


def told(n: int, rows: int, sensitivity: float, specificity: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    truth = (np.arange(rows) % 10 < 3).astype(float)[rng.permutation(rows)]
    right = np.where(truth == 1, rng.random(rows) < sensitivity, rng.random(rows) >= specificity)
    return truth[:n], right[:n].astype(float), right[n:].astype(float), truth


def test_the_formula_of_the_paper() -> None:
    labels, judged, others, _ = told(100, 1000, 0.9, 0.8)
    found = ppi_mean(labels, judged, others)
    n, far = len(labels), len(others)
    cov = np.cov(labels, judged)
    weight = cov[0, 1] / n / (cov[1, 1] / n + np.var(others, ddof=1) / far)
    mean = np.mean(labels - weight * judged) + weight * np.mean(others)
    assert found.weight == pytest.approx(weight)
    assert found.value == pytest.approx(mean)
    variance = (
        np.var(labels - weight * judged, ddof=1) / n + weight**2 * np.var(others, ddof=1) / far
    )
    assert found.effective == pytest.approx(n * np.var(labels, ddof=1) / n / variance)


def test_a_good_judge_is_worth_labels_and_a_coin_is_not() -> None:
    good = ppi_mean(*told(100, 2000, 0.97, 0.97)[:3])
    coin = ppi_mean(*told(100, 2000, 0.5, 0.5)[:3])
    assert good.effective > 300
    assert 95 < coin.effective < 130
    assert coin.weight < 0.3
    assert (good.labelled, good.rows) == (100, 2000)


def test_a_biased_judge_does_not_bias_the_rate() -> None:
    values = []
    for seed in range(200):
        labels, judged, others, truth = told(100, 1000, 0.95, 0.6, seed)
        values.append(ppi_mean(labels, judged, others).value - truth.mean())
    assert abs(np.mean(values)) < 0.01
    assert abs(np.mean(others) - 0.3) > 0.15


def test_without_other_rows_it_is_the_mean_of_the_labels() -> None:
    labels = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    found = ppi_mean(labels, labels, [])
    assert (found.value, found.weight, found.effective) == (pytest.approx(2 / 3), 0.0, 6.0)


def test_labels_that_are_all_alike_leave_a_width() -> None:
    found = ppi_mean([1.0] * 50, [1.0] * 50, [1.0] * 400)
    assert found.value == found.high == 1.0
    assert 0.9 < found.low < 0.95


def test_repeated_rows_widen_it() -> None:
    labels, judged, others, _ = told(40, 400, 0.9, 0.9)
    once = ppi_mean(labels, judged, others)
    many = ppi_mean(
        np.repeat(labels, 5), np.repeat(judged, 5), others, np.repeat(np.arange(40), 5).tolist()
    )
    assert many.value == pytest.approx(once.value)
    assert (many.low, many.high) == pytest.approx((once.low, once.high))


@given(labels=BITS, seed=st.integers(0, 5), far=st.integers(0, 50))
def test_it_is_always_a_rate(labels: list[float], seed: int, far: int) -> None:
    rng = np.random.default_rng(seed)
    judged = (rng.random(len(labels)) < 0.5).astype(float)
    found = ppi_mean(labels, judged, (rng.random(far) < 0.5).astype(float))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert 0 <= found.weight <= 1
    if found.weight == 0:
        assert found.value == pytest.approx(np.mean(labels))


def test_too_little_is_said() -> None:
    lone = ppi_mean([1.0], [1.0], [1.0, 0.0])
    assert (lone.value, lone.low, lone.high) == (1.0, 0.0, 1.0)
    assert math.isnan(ppi_mean([], [], [1.0]).value)
    with pytest.raises(ValueError, match="2 labels but 1"):
        ppi_mean([1.0, 0.0], [1.0], [])


def test_an_interval_of_labels_alone_is_wilsons_with_t() -> None:
    labels = [True] * 30 + [False] * 70
    alone, plain = ppi_mean(labels, labels, []), clustered_wilson(labels, range(100))
    assert alone.high - alone.low == pytest.approx(plain.high - plain.low, rel=0.03)
