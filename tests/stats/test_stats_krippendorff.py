"""Alpha and one-coin Dawid-Skene: against kept libraries, known values, and invariants."""

import math

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.stats import cohen_kappa, krippendorff_alpha, one_coin

ROWS = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=3, max_size=30)
TABLES = ROWS.map(np.array)


@given(TABLES, st.sampled_from(["nominal", "ordinal"]))
def test_alpha_is_that_of_the_kept_library(table: np.ndarray, level: str) -> None:
    known = table[table.sum(axis=1) >= 2]
    ours = krippendorff_alpha(table, level)  # type: ignore[arg-type]
    if len(known) == 0 or (known.sum(axis=0) > 0).sum() < 2:
        assert math.isnan(ours.value)
        return
    theirs = krippendorff.alpha(
        value_counts=known, value_domain=list(range(3)), level_of_measurement=level
    )
    assert ours.value == pytest.approx(theirs, abs=1e-9)
    assert ours.low <= ours.value <= ours.high
    assert ours.n == len(known)


@given(TABLES)
def test_alpha_knows_no_order_of_items_or_nominal_values(table: np.ndarray) -> None:
    first = krippendorff_alpha(table).value
    assert krippendorff_alpha(table[::-1, ::-1]).value == pytest.approx(first, nan_ok=True)


def test_items_with_one_vote_say_nothing() -> None:
    table = np.array([[3, 0], [0, 3], [2, 1]])
    more = np.vstack([table, [[1, 0]] * 50])
    assert krippendorff_alpha(more).value == krippendorff_alpha(table).value


def test_the_interval_covers() -> None:
    """Two raters who copy each other half the time have alpha .5, whatever is drawn."""
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(60):
        first = rng.integers(0, 2, 150)
        second = np.where(rng.random(150) < 0.5, first, rng.integers(0, 2, 150))
        table = np.stack([(first == v).astype(int) + (second == v) for v in (0, 1)], axis=1)
        found = krippendorff_alpha(table, seed=seed)
        hits += found.low <= 0.5 <= found.high
    assert hits >= 52


def test_alpha_is_near_kappa_for_two_raters_and_many_items() -> None:
    rng = np.random.default_rng(2)
    first = rng.integers(0, 3, 4_000)
    second = np.where(rng.random(4_000) < 0.7, first, rng.integers(0, 3, 4_000))
    table = np.stack([(first == v).astype(int) + (second == v) for v in range(3)], axis=1)
    kappa = cohen_kappa(list(first), list(second)).value
    assert krippendorff_alpha(table).value == pytest.approx(kappa, abs=0.005)


@pytest.mark.parametrize("bad", [np.array([1, 2]), np.array([[-1, 2]]), np.array([[math.nan, 1]])])
def test_what_is_no_table_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="counts are a table"):
        krippendorff_alpha(bad)


def votes(
    seed: int, items: int = 300, raters: int = 40, careless: int = 6
) -> tuple[np.ndarray, ...]:
    """Return truths and three votes an item; some raters answer at random."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, items)
    item = np.repeat(np.arange(items), 3)
    rater = np.concatenate([rng.choice(raters, 3, replace=False) for _ in range(items)])
    right = rng.random(len(item)) < np.where(rater < careless, 0.5, 0.85)
    return truth, item, rater, np.where(right, truth[item], 1 - truth[item])


def test_consensus_beats_the_majority_where_raters_differ() -> None:
    ours = majority = 0.0
    for seed in range(10):
        truth, item, rater, value = votes(seed)
        found = one_coin(item, rater, value, shape=(300, 40, 2))
        ours += (found.posterior.argmax(axis=1) == truth).mean()
        majority += ((np.bincount(item, weights=value) > 1.5) == truth).mean()
        assert np.allclose(found.posterior.sum(axis=1), 1)
    assert ours > majority


@pytest.mark.filterwarnings("ignore")  # crowd-kit's own use of pandas
def test_consensus_is_that_of_crowd_kit() -> None:
    import pandas
    from crowdkit import aggregation

    # Many votes a rater: the imagined ones, which crowd-kit has not, weigh next to nothing.
    _, item, rater, value = votes(3, items=2_000)
    frame = pandas.DataFrame({"task": item, "worker": rater, "label": value})
    theirs = aggregation.OneCoinDawidSkene(n_iter=100).fit_predict(frame).sort_index().to_numpy()
    ours = one_coin(item, rater, value, shape=(2_000, 40, 2)).posterior.argmax(axis=1)
    assert (ours == theirs).mean() > 0.98


def test_unknown_items_and_raters_stay_unknown() -> None:
    found = one_coin(*np.zeros((3, 1), dtype=int), shape=(2, 2, 2))
    assert math.isnan(found.skills[1])
    assert found.posterior[1] == pytest.approx(found.priors, abs=1e-6)
    with pytest.raises(ValueError, match="two values"):
        one_coin(*np.zeros((3, 1), dtype=int), shape=(1, 1, 1))
