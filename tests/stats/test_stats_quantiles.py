"""Private numerics against scipy."""

import pytest
from scipy import stats

from selaras.stats._binomial import upper_tail
from selaras.stats._quantiles import two_sided_t, two_sided_z


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 15, 29, 100, 1_000, 100_000])
@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.8, 0.95, 0.99, 0.9999, 1 - 1e-10])
def test_t_quantile_agrees_with_scipy(df: int, confidence: float) -> None:
    expected = stats.t.isf((1 - confidence) / 2, df)
    assert two_sided_t(confidence, df) == pytest.approx(expected, rel=1e-8)


def test_t_quantile_falls_to_the_normal_one() -> None:
    values = [two_sided_t(0.95, df) for df in (1, 2, 5, 20, 100, 10_000)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(two_sided_z(0.95), rel=1e-3)


@pytest.mark.parametrize(("confidence", "df"), [(0.0, 3), (1.0, 3), (0.95, 0)])
def test_t_quantile_refuses_bad_arguments(confidence: float, df: int) -> None:
    with pytest.raises(ValueError, match=r"confidence|freedom"):
        two_sided_t(confidence, df)


@pytest.mark.parametrize(
    ("k", "n", "p"),
    [(0, 0, 0.5), (0, 5, 0.0), (3, 5, 0.0), (5, 5, 1.0), (7, 10, 0.5), (51_000, 100_000, 0.5)],
)
def test_upper_tail_agrees_with_scipy(k: int, n: int, p: float) -> None:
    assert upper_tail(k, n, p) == pytest.approx(stats.binom.sf(k - 1, n, p), rel=1e-8)


@pytest.mark.parametrize(("k", "n", "p"), [(3, 10, 0.5), (11, 10, 0.5), (-1, 10, 0.0)])
def test_upper_tail_refuses_thresholds_it_is_slow_or_wrong_for(k: int, n: int, p: float) -> None:
    with pytest.raises(ValueError, match="k <= n"):
        upper_tail(k, n, p)
