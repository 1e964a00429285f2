"""Paired differences: against statsmodels, brute force, published examples and simulation."""

import math
from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from selaras.stats import paired_difference

quick = settings(max_examples=100, deadline=None, database=None)
triples = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 30)), min_size=1, max_size=80
)


def table_rows(both: int, gained: int, lost: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Rows with the given cells, as (before, after)."""
    before = [True] * both + [False] * gained + [True] * lost + [False] * neither
    after = [True] * (both + gained) + [False] * (lost + neither)
    return before, after


def columns(data: list[tuple[bool, bool, int]]) -> tuple[list[bool], list[bool], list[int]]:
    return [row[0] for row in data], [row[1] for row in data], [row[2] for row in data]


def flipped_p_value(sums: list[int]) -> float:
    """The exact sign-flip p-value, by convolution of the two-point distributions."""
    total = sum(map(abs, sums))
    weights = np.zeros(2 * total + 1)
    weights[total] = 1
    for size in map(abs, sums):
        weights = (np.roll(weights, size) + np.roll(weights, -size)) / 2
    extreme = np.abs(np.arange(-total, total + 1)) >= abs(sum(sums))
    return float(weights[extreme].sum())


@quick
@given(st.integers(0, 20), st.integers(0, 40), st.integers(0, 40), st.integers(1, 20))
def test_mcnemar_agrees_with_statsmodels(both: int, gained: int, lost: int, neither: int) -> None:
    result = paired_difference(*table_rows(both, gained, lost, neither))
    theirs = mcnemar([[both, lost], [gained, neither]], exact=True).pvalue
    assert result.p_value == pytest.approx(theirs, abs=1e-10)
    assert (result.gained, result.lost, result.test) == (gained, lost, "mcnemar-exact")


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        # Bentur et al. (2009) as worked in Fagerland, Lydersen & Laake (2014).
        ((1, 1, 7, 12), -0.507, -0.026),
        # Altman et al. (2000), Statistics with Confidence, table 6.2.
        ((14, 5, 0, 22), 0.011, 0.226),
    ],
)
def test_newcombe_gives_the_published_limits(
    cells: tuple[int, int, int, int], low: float, high: float
) -> None:
    result = paired_difference(*table_rows(*cells))
    assert (result.low, result.high) == pytest.approx((low, high), abs=6e-4)
    assert result.interval == "newcombe"


@pytest.mark.parametrize("cells", [(20, 9, 4, 7), (2, 9, 8, 3), (5, 3, 3, 5), (60, 12, 3, 25)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_newcombe_agrees_with_the_formula(
    cells: tuple[int, int, int, int], confidence: float
) -> None:
    both, gained, lost, neither = cells
    n = sum(cells)
    p, q = (both + gained) / n, (both + lost) / n
    p_low, p_high = proportion_confint(both + gained, n, 1 - confidence, "wilson")
    q_low, q_high = proportion_confint(both + lost, n, 1 - confidence, "wilson")
    cross = both * neither - gained * lost
    corrected = max(cross - n / 2, 0) if cross > 0 else cross
    phi = corrected / n**2 / math.sqrt(p * (1 - p) * q * (1 - q))
    low = (p - p_low) ** 2 - 2 * phi * (p - p_low) * (q_high - q) + (q_high - q) ** 2
    high = (p_high - p) ** 2 - 2 * phi * (p_high - p) * (q - q_low) + (q - q_low) ** 2
    result = paired_difference(*table_rows(*cells), confidence=confidence)
    expected = (p - q - math.sqrt(low), p - q + math.sqrt(high))
    assert (result.low, result.high) == pytest.approx(expected, abs=1e-10)


@quick
@given(triples, st.booleans())
def test_swapping_before_and_after_negates(
    data: list[tuple[bool, bool, int]], clustered: bool
) -> None:
    before, after, labels = columns(data)
    clusters = labels if clustered else None
    forth = paired_difference(before, after, clusters)
    back = paired_difference(after, before, clusters)
    assert back.difference == -forth.difference
    assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low), abs=1e-12)
    assert (back.p_value, back.gained, back.lost) == (forth.p_value, forth.lost, forth.gained)


@quick
@given(triples, st.booleans())
def test_limits_hold_the_difference_and_have_a_width(
    data: list[tuple[bool, bool, int]], clustered: bool
) -> None:
    before, after, labels = columns(data)
    result = paired_difference(before, after, labels if clustered else None)
    assert -1 <= result.low <= result.difference <= result.high <= 1
    assert result.low < result.high
    assert 0 < result.p_value <= 1
    assert result.difference == pytest.approx(np.mean(after) - np.mean(before), abs=1e-12)


@quick
@given(triples)
def test_singleton_clusters_are_plain_pairs(data: list[tuple[bool, bool, int]]) -> None:
    before, after, _ = columns(data)
    labels = [str(index) for index in range(len(data))]
    assert paired_difference(before, after, labels) == paired_difference(before, after)


def test_sign_flip_is_exact_up_to_16_changed_clusters() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(14), 3)
    before, after = rng.random(42) < 0.4, rng.random(42) < 0.6
    result = paired_difference(before.tolist(), after.tolist(), labels.tolist())
    changes = np.subtract(after, before, dtype=int).reshape(14, 3).sum(axis=1)
    flips = [abs(np.dot(signs, changes)) for signs in product((-1, 1), repeat=14)]
    assert result.test == "sign-flip-exact"
    assert result.p_value == pytest.approx(np.mean(np.array(flips) >= abs(changes.sum())))


def test_monte_carlo_flips_come_near_the_exact_value_and_repeat() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(40), 4)
    before, after = rng.random(160) < 0.45, rng.random(160) < 0.55
    result = paired_difference(before.tolist(), after.tolist(), labels.tolist(), seed=5)
    sums = np.subtract(after, before, dtype=int).reshape(40, 4).sum(axis=1).tolist()
    assert result.test == "sign-flip-monte-carlo"
    # Four standard errors of a share of 20,000 draws.
    assert result.p_value == pytest.approx(flipped_p_value(sums), abs=0.014)
    assert result == paired_difference(before.tolist(), after.tolist(), labels.tolist(), seed=5)


def test_monte_carlo_never_gives_zero() -> None:
    result = paired_difference([False] * 200, [True] * 150 + [False] * 50, list(range(100)) * 2)
    assert result.p_value == 1 / 20_001


def test_cluster_interval_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 9, 70)
    before, after = rng.random(70) < 0.4, rng.random(70) < 0.55
    model = sm.OLS(np.subtract(after, before, dtype=float), np.ones(70))
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": labels}, use_t=True)
    result = paired_difference(before.tolist(), after.tolist(), labels.tolist())
    assert (result.low, result.high) == pytest.approx(tuple(fit.conf_int()[0]), abs=1e-9)
    assert (result.clusters, result.interval) == (len(set(labels.tolist())), "cluster-t")


@pytest.mark.parametrize(
    ("before", "after"),
    [([True, False] * 20, [True, False] * 20), ([False] * 40, [True] * 40)],
)
def test_no_spread_between_clusters_falls_back_to_newcombe_on_the_clusters(
    before: list[bool], after: list[bool]
) -> None:
    result = paired_difference(before, after, [index // 4 for index in range(40)])
    reference = paired_difference(before[:10], after[:10])
    assert result.interval == "newcombe-clusters"
    assert (result.low, result.high) == pytest.approx((reference.low, reference.high))


def test_one_cluster_shows_nothing() -> None:
    result = paired_difference([False] * 30, [True] * 20 + [False] * 10, ["only"] * 30)
    assert (result.p_value, result.clusters, result.interval) == (1, 1, "newcombe-clusters")
    assert result.low < 0 < result.high


def test_no_rows_leave_the_difference_unknown() -> None:
    result = paired_difference([], [])
    assert math.isnan(result.difference)
    assert (result.low, result.high, result.p_value, result.clusters) == (-1, 1, 1, 0)


def test_bad_arguments_raise() -> None:
    with pytest.raises(ValueError, match="before but"):
        paired_difference([True], [True, False])
    with pytest.raises(ValueError, match="cluster labels"):
        paired_difference([True], [True], ["a", "b"])
    with pytest.raises(ValueError, match="True or False"):
        paired_difference([True], [math.nan])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="confidence"):
        paired_difference([True], [False], confidence=1.0)


def test_newcombe_covers() -> None:
    """600 runs: standard error 0.009 at 0.95; the method is conservative, so 0.92 to 0.99."""
    rng = np.random.default_rng(30)
    covered = 0
    for _ in range(600):
        before, chance = rng.random(60) < 0.5, rng.random(60)
        after = np.where(before, chance >= 0.1, chance < 0.3)
        result = paired_difference(before.tolist(), after.tolist())
        covered += result.low <= 0.1 <= result.high
    assert 0.92 <= covered / 600 <= 0.99


def test_cluster_interval_covers_and_sign_flip_keeps_its_level() -> None:
    """600 runs with no true difference: coverage in 0.92 to 0.98, rejections under 0.075."""
    rng = np.random.default_rng(31)
    covered = rejected = 0
    labels = np.repeat(np.arange(30), 5)
    for _ in range(600):
        rates, shift = rng.beta(1, 1, 30), rng.choice([-0.3, 0.3], 30)
        before = rng.random(150) < rates[labels]
        redrawn = rng.random(150) < 0.3
        after = np.where(redrawn, rng.random(150) < 0.5 + shift[labels], before)
        result = paired_difference(before.tolist(), after.tolist(), labels.tolist())
        covered += result.low <= 0 <= result.high
        rejected += result.p_value <= 0.05
    assert 0.92 <= covered / 600 <= 0.98
    assert rejected / 600 <= 0.075
