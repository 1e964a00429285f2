"""Sample sizes: the worked values, and power by simulation."""

import numpy as np
import pytest

from selaras.stats import paired_n, wilson, zero_hits_upper


def test_paired_n_at_five_points_and_fifteen_per_cent() -> None:
    # The formula gives 468.57; quantiles rounded to 1.96 and 0.84 would give 468.04.
    assert paired_n(0.05, 0.15) == 469
    assert paired_n(-0.05, 0.15) == 469


@pytest.mark.parametrize(("difference", "discordance"), [(0.05, 0.15), (0.1, 0.3), (0.04, 0.4)])
def test_paired_n_reaches_its_power(difference: float, discordance: float) -> None:
    """40,000 runs, standard error 0.002; the rest of the tolerance is for discreteness."""
    n = paired_n(difference, discordance)
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
    cells = np.random.default_rng(0).multinomial(n, [gain, loss, 1 - discordance], 40_000)
    gained, lost = cells[:, 0], cells[:, 1]
    rejected = np.abs(gained - lost) > 1.959964 * np.sqrt(gained + lost)
    assert rejected.mean() == pytest.approx(0.8, abs=0.02)


def test_paired_n_grows_with_demand() -> None:
    base = paired_n(0.1, 0.2)
    assert paired_n(0.05, 0.2) > paired_n(0.1, 0.3) > base
    assert paired_n(0.1, 0.2, power=0.9) > base
    assert paired_n(0.1, 0.2, alpha=0.01) > base
    assert paired_n(1.0, 1.0) >= 1


@pytest.mark.parametrize(
    ("difference", "discordance", "power", "alpha"),
    [
        (0.0, 0.2, 0.8, 0.05),
        (0.3, 0.2, 0.8, 0.05),
        (0.3, 1.2, 0.8, 0.05),
        (0.1, 0.2, 0.04, 0.05),
        (0.1, 0.2, 1.0, 0.05),
        (0.1, 0.2, 0.8, 0.0),
    ],
)
def test_paired_n_refuses_arguments_out_of_range(
    difference: float, discordance: float, power: float, alpha: float
) -> None:
    with pytest.raises(ValueError, match="need 0 <"):
        paired_n(difference, discordance, power, alpha)


@pytest.mark.parametrize(
    ("n", "per_cent", "digits"), [(50, 7.1, 1), (100, 3.7, 1), (300, 1.26, 2), (1000, 0.38, 2)]
)
def test_zero_hits_upper_at_the_worked_sizes(n: int, per_cent: float, digits: int) -> None:
    assert round(100 * zero_hits_upper(n), digits) == per_cent
    assert zero_hits_upper(n) == wilson(0, n).high


def test_zero_hits_in_no_trials_rule_nothing_out() -> None:
    assert zero_hits_upper(0) == 1
    with pytest.raises(ValueError, match="hits"):
        zero_hits_upper(-1)
