"""Rates: against statsmodels, and the properties an interval must keep."""

import math
import random

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from selaras.stats import Interval, clopper_pearson, clustered_wilson, wilson
from selaras.stats._clusters import cluster_sums, robust_variance
from selaras.stats._repeated import repeated_bounds
from selaras.stats.intervals import score_bounds

quick = settings(max_examples=100, deadline=None, database=None)
levels = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])
rows = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=60)


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(1, 500))
    return draw(st.integers(0, n)), n


def clustered_rows(
    rng: np.random.Generator, clusters: int, size: int, rate: float, icc: float
) -> tuple[list[bool], list[int]]:
    """Beta-binomial rows with the given intra-cluster correlation."""
    spread = 1 / icc - 1
    rates = rng.beta(rate * spread, (1 - rate) * spread, clusters)
    labels = np.repeat(np.arange(clusters), size)
    return (rng.random(labels.size) < rates[labels]).tolist(), labels.tolist()


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 9), (3, 9), (9, 9), (71, 300)])
def test_wilson_and_clopper_pearson_agree_with_statsmodels(
    hits: int, n: int, confidence: float
) -> None:
    for function, method in ((wilson, "wilson"), (clopper_pearson, "beta")):
        ours = function(hits, n, confidence)
        theirs = proportion_confint(hits, n, 1 - confidence, method)
        assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("hits", [0, 1, 17, 30_000, 50_000, 99_999, 100_000])
def test_clopper_pearson_is_accurate_at_a_hundred_thousand(hits: int) -> None:
    ours = clopper_pearson(hits, 100_000)
    theirs = proportion_confint(hits, 100_000, 0.05, "beta")
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)


@quick
@given(counts(), levels)
def test_limits_hold_the_value_within_0_and_1(count: tuple[int, int], confidence: float) -> None:
    for function in (wilson, clopper_pearson):
        interval = function(*count, confidence)
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
        assert interval.low < interval.high


@quick
@given(counts(), levels)
def test_swapping_hits_and_misses_mirrors_the_interval(
    count: tuple[int, int], confidence: float
) -> None:
    hits, n = count
    for function in (wilson, clopper_pearson):
        plain, swapped = function(hits, n, confidence), function(n - hits, n, confidence)
        assert plain.low == pytest.approx(1 - swapped.high, abs=1e-12)
        assert plain.high == pytest.approx(1 - swapped.low, abs=1e-12)


def test_no_rows_leave_the_rate_unknown() -> None:
    for interval in (wilson(0, 0), clopper_pearson(0, 0), clustered_wilson([], [])):
        assert math.isnan(interval.value)
        assert (interval.low, interval.high, interval.n) == (0, 1, 0)


@pytest.mark.parametrize("function", [wilson, clopper_pearson])
@pytest.mark.parametrize(
    ("hits", "n", "confidence"),
    [(-1, 3, 0.95), (4, 3, 0.95), (0, -1, 0.95), (1, 3, 0.0), (1, 3, 1.0), (0, 0, 95.0)],
)
def test_arguments_out_of_range_raise(
    function: object, hits: int, n: int, confidence: float
) -> None:
    with pytest.raises(ValueError, match=r"hits|confidence"):
        function(hits, n, confidence)  # type: ignore[operator]


# Here the design effect is 1 but for rounding, where the limits once jumped (low .637, and .708
# for the rows with hits and misses swapped).
AT_ONE = [(False, 0), (True, 0), (True, 0), (True, 1), (True, 1), (True, 1)]


@quick
@example(AT_ONE, 0.5)
@given(rows, levels)
def test_clustered_limits_hold_the_value(data: list[tuple[bool, int]], confidence: float) -> None:
    outcomes, labels = [row[0] for row in data], [row[1] for row in data]
    interval = clustered_wilson(outcomes, labels, confidence)
    plain = wilson(sum(outcomes), len(outcomes), confidence)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low <= plain.low + 1e-12
    assert interval.high >= plain.high - 1e-12
    assert interval.n == len(outcomes)
    mirrored = clustered_wilson([not outcome for outcome in outcomes], labels, confidence)
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-12)


@quick
@given(st.lists(st.booleans(), max_size=50), levels)
def test_clustered_is_plain_on_singletons(outcomes: list[bool], confidence: float) -> None:
    labels = [f"row {index}" for index in range(len(outcomes))]
    ours = clustered_wilson(outcomes, labels, confidence)
    plain = wilson(sum(outcomes), len(outcomes), confidence)
    assert (ours.low, ours.high, ours.n) == (plain.low, plain.high, plain.n)


@pytest.mark.parametrize("outcome", [True, False])
def test_clustered_is_plain_at_rate_0_and_1(outcome: bool) -> None:
    assert clustered_wilson([outcome] * 12, list("aaaabbbbcccc")) == wilson(12 * outcome, 12)


@settings(quick, max_examples=30)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=30, max_size=90),
    st.integers(2, 5),
)
def test_duplicating_rows_inside_their_clusters_adds_nothing(
    data: list[tuple[bool, int]], copies: int
) -> None:
    outcomes, labels = [row[0] for row in data], [row[1] for row in data]
    rate, n = sum(outcomes) / len(outcomes), len(outcomes)
    assume(0 < rate < 1 and len(set(labels)) > 1)
    # Where clusters are more even than chance the floor of 1 hides the duplication at first.
    assume(robust_variance(cluster_sums(outcomes, labels)) >= rate * (1 - rate) / (n - 1))
    once = clustered_wilson(outcomes, labels)
    often = clustered_wilson(outcomes * copies, labels * copies)
    assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=0.01)
    assert often.n == copies * once.n


def test_robust_variance_agrees_with_statsmodels() -> None:
    outcomes, labels = clustered_rows(np.random.default_rng(3), 12, 5, 0.4, 0.3)
    del outcomes[50:], labels[50:]
    model = sm.OLS(np.array(outcomes, dtype=float), np.ones(50))
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": np.array(labels)})
    ours = robust_variance(cluster_sums(outcomes, labels))
    assert ours == pytest.approx(fit.cov_params()[0, 0], rel=1e-10)


def test_one_cluster_counts_as_one_row() -> None:
    interval = clustered_wilson([True, False] * 50, ["only"] * 100)
    assert interval == Interval(0.5, interval.low, interval.high, 100, "clustered-wilson")
    assert interval.high - interval.low > 0.85


def test_one_hit_among_rows_of_which_two_are_twins_is_not_drowned() -> None:
    """The design effect of a single hit is noise: the limits once were .1 % and 30 %."""
    outcomes = [True] + [False] * 49
    plain = wilson(1, 50)
    for labels in ([*range(49), 48], [*range(49), 0]):
        interval = clustered_wilson(outcomes, labels)
        assert 0 < interval.low < plain.low
        assert plain.high <= interval.high < 0.11


@quick
@given(rows, levels)
def test_noise_makes_no_limits_wider_than_clusters_of_one_mind(
    data: list[tuple[bool, int]], confidence: float
) -> None:
    outcomes, labels = [row[0] for row in data], [row[1] for row in data]
    n, hits = len(outcomes), sum(outcomes)
    sizes = [group.size for group in cluster_sums(outcomes, labels)]
    interval = clustered_wilson(outcomes, labels, confidence)
    kish = n * n / sum(size * size for size in sizes)
    worst, plain = repeated_bounds(hits, hits, sizes, confidence), wilson(hits, n, confidence)
    score = score_bounds(hits / n, kish, confidence)
    assert interval.low >= min(worst[0], plain.low, score[0]) - 1e-9
    assert interval.high <= max(worst[1], plain.high, score[1]) + 1e-9


def test_row_order_and_label_type_do_not_matter() -> None:
    outcomes, labels = clustered_rows(np.random.default_rng(4), 10, 4, 0.5, 0.3)
    order = list(range(40))
    random.Random(0).shuffle(order)
    moved = clustered_wilson([outcomes[i] for i in order], [("id", labels[i]) for i in order])
    assert moved == clustered_wilson(outcomes, labels)


def test_missing_outcomes_and_unequal_lengths_raise() -> None:
    with pytest.raises(ValueError, match="True or False"):
        clustered_wilson([True, None], ["a", "b"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="cluster labels"):
        clustered_wilson([True, False], ["a"])


def test_clustered_interval_covers_where_the_plain_one_does_not() -> None:
    """With 400 runs a coverage of 0.95 has standard error 0.011; tolerance is three of them."""
    rng = np.random.default_rng(20)
    covered = plain = 0
    for _ in range(400):
        outcomes, labels = clustered_rows(rng, 60, 6, 0.4, 0.3)
        interval = clustered_wilson(outcomes, labels)
        covered += interval.low <= 0.4 <= interval.high
        interval = wilson(sum(outcomes), len(outcomes))
        plain += interval.low <= 0.4 <= interval.high
    assert 0.95 - 0.033 <= covered / 400 <= 0.95 + 0.033
    assert plain / 400 < 0.85
