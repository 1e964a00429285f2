"""Bounds of gates: exact where they can be, and never on the kind side."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from statsmodels.stats.proportion import proportion_confint

from selaras.stats import (
    difference_bounds,
    effective_clusters,
    paired_difference,
    rate_bounds,
)
from selaras.stats._newcombe import PairedTable
from selaras.stats._tango import tango_bounds

OUTCOMES = st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=40)


@given(hits=st.integers(0, 40), misses=st.integers(0, 40), level=st.sampled_from([0.9, 0.995]))
def test_singletons_have_the_exact_interval(hits: int, misses: int, level: float) -> None:
    n = hits + misses
    if n:
        found = rate_bounds([True] * hits + [False] * misses, range(n), level)
        low, high = proportion_confint(hits, n, 1 - level, method="beta")
        assert (found.low, found.high) == pytest.approx((np.nan_to_num(low), high), abs=1e-9)
        assert found.value == hits / n


@given(outcomes=OUTCOMES)
def test_bounds_hold_whatever_a_missing_outcome_was(outcomes: list[bool | None]) -> None:
    whole = rate_bounds(outcomes, range(len(outcomes)))
    for filled in (True, False):
        given_in = [filled if outcome is None else outcome for outcome in outcomes]
        own = rate_bounds(given_in, range(len(outcomes)))
        assert whole.low <= own.low
        assert own.high <= whole.high


@given(before=OUTCOMES, seed=st.integers(0, 9))
def test_differences_hold_whatever_a_missing_outcome_was(before, seed: int) -> None:
    rng = np.random.default_rng(seed)
    after = [[True, False, None][i] for i in rng.integers(0, 3, len(before))]
    rows = range(len(before))
    whole = difference_bounds(before, after, rows)
    own = difference_bounds(
        [bool(rng.random() < 0.5) if a is None else a for a in before],
        [bool(rng.random() < 0.5) if a is None else a for a in after],
        rows,
    )
    assert whole.low <= own.low + 1e-9
    assert own.high <= whole.high + 1e-9


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=10),
    hit=st.lists(st.booleans(), min_size=10, max_size=10),
    level=st.sampled_from([0.8, 0.95, 0.995]),
)
def test_limits_of_whole_clusters_solve_the_tail_equations(sizes, hit, level: float) -> None:
    total = sum(size for size, was in zip(sizes, hit, strict=False) if was)
    found = rate_bounds(
        [was for size, was in zip(sizes, hit, strict=False) for _ in range(size)],
        [number for number, size in enumerate(sizes) for _ in range(size)], level,
    )  # fmt: skip
    subsets = list(itertools.product((0, 1), repeat=len(sizes)))
    sums = [sum(m * b for m, b in zip(sizes, bits, strict=True)) for bits in subsets]

    def chance(p: float, above: bool) -> float:
        return sum(
            p ** sum(bits) * (1 - p) ** (len(bits) - sum(bits))
            for bits, made in zip(subsets, sums, strict=True)
            if (made >= total if above else made <= total)
        )

    tail = (1 - level) / 2
    assert (found.low == 0.0) if total == 0 else chance(found.low, True) == pytest.approx(tail)
    assert (
        (found.high == 1.0)
        if total == sum(sizes)
        else chance(found.high, False) == pytest.approx(tail)
    )


def test_hits_of_a_part_of_a_cluster_count_away_from_the_middle() -> None:
    clusters = [0] * 4 + [1] * 4 + [2] * 3
    part = rate_bounds([True] * 5 + [False] * 6, clusters)
    assert part.low == rate_bounds([True] * 4 + [False] * 7, clusters).low
    assert part.high == rate_bounds([True] * 4 + [False] * 4 + [True] * 3, clusters).high


def test_a_large_cluster_weighs_what_it_holds() -> None:
    """Kish's effective number let 6 % of true rates of .085 out, in clusters like these."""
    rng = np.random.default_rng(5)
    small = np.repeat(np.arange(1, 81), 3)
    clusters = [0] * 60 + list(small)
    held = 0
    for _ in range(500):
        bits = rng.random(81) < 0.085
        found = rate_bounds(list(bits[clusters]), clusters)
        held += found.low <= 0.085 <= found.high
    assert held >= 470


def test_repeated_rows_count_once() -> None:
    once = rate_bounds([True] * 9 + [False], range(10))
    many = rate_bounds(([True] * 9 + [False]) * 5, [i % 10 for i in range(50)])
    assert (many.low, many.high, many.n) == (once.low, once.high, 50)
    assert effective_clusters([0] * 50 + list(range(1, 51)), 100) == 3


@pytest.mark.parametrize(
    ("gained", "lost", "rest"), [(5, 0, 36), (3, 9, 88), (0, 0, 50), (7, 7, 0)]
)
def test_tango_inverts_the_score_test(gained: int, lost: int, rest: int) -> None:
    n = gained + lost + rest

    def log_likelihood(down: float, difference: float) -> float:
        up, stay = down + difference, 1 - 2 * down - difference
        cells = ((gained, up), (lost, down), (rest, stay))
        return -sum(k * np.log(max(p, 1e-300)) for k, p in cells if k)

    def score(difference: float) -> float:
        edges = (max(0.0, -difference), (1 - difference) / 2)
        down = optimize.minimize_scalar(
            log_likelihood, bounds=edges, args=(difference,), method="bounded",
            options={"xatol": 1e-12},
        ).x  # fmt: skip
        variance = (2 * down + difference - difference**2) / n
        return float((gained - lost) / n - difference) / np.sqrt(variance) if variance > 0 else 0.0

    low, high = tango_bounds(PairedTable(rest, gained, lost, 0), 0.95)
    if gained or lost:
        assert score(low) == pytest.approx(1.959964, abs=2e-3) or low == -1
        assert score(high) == pytest.approx(-1.959964, abs=2e-3) or high == 1
    else:
        # Nothing changed: z^2 / (n + z^2), as Wilson's limit of no hit.
        assert high == -low == pytest.approx(1.959964**2 / (n + 1.959964**2), abs=1e-6)


@given(
    cells=st.tuples(*[st.integers(0, 30)] * 4).filter(lambda cells: sum(cells) > 0),
    level=st.sampled_from([0.9, 0.95, 0.995]),
)
def test_tango_mirrors_and_holds_the_difference(cells, level: float) -> None:
    both, gained, lost, neither = cells
    low, high = tango_bounds(PairedTable(both, gained, lost, neither), level)
    mirrored = tango_bounds(PairedTable(both, lost, gained, neither), level)
    difference = (gained - lost) / sum(cells)
    assert -1 <= low <= difference + 1e-9
    assert difference - 1e-9 <= high <= 1
    assert mirrored == pytest.approx((-high, -low), abs=1e-8)
    wider = tango_bounds(PairedTable(both, gained, lost, neither), level, 2.0)
    assert wider[0] <= low + 1e-9
    assert high <= wider[1] + 1e-9


def test_a_gate_is_wider_than_what_is_displayed() -> None:
    before, after = [True] * 90 + [False] * 10, [True] * 85 + [False] * 15
    shown = paired_difference(before, after, score="tango")
    bound = difference_bounds(before, after, range(100))
    assert bound.low < shown.low < shown.difference < shown.high < bound.high
    assert shown.interval == "tango"


def test_nothing_is_known_without_rows() -> None:
    found = difference_bounds([], [], [])
    assert (found.low, found.high, found.n) == (-1.0, 1.0, 0)
    empty = rate_bounds([], [])
    assert (empty.low, empty.high, empty.n) == (0.0, 1.0, 0)
    unknown = difference_bounds([None] * 5, [True] * 5, range(5))
    assert np.isnan(unknown.value)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="2 rows before but 1 after"):
        difference_bounds([True, False], [True], "ab")
    with pytest.raises(ValueError, match="labels"):
        rate_bounds([True], "ab")
    with pytest.raises(ValueError, match="must be True or False"):
        difference_bounds([True], [2], "a")  # type: ignore[list-item]
