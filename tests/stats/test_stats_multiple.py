"""Holm's adjustment against statsmodels."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from selaras.stats import holm


@settings(max_examples=20, deadline=None, database=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert adjusted == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)
    assert all(raw <= new <= 1 for raw, new in zip(p_values, adjusted, strict=True))


def test_holm_of_none_or_one_changes_nothing() -> None:
    assert holm([]) == []
    assert holm([0.2]) == [0.2]


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_holm_refuses_what_is_no_probability(bad: float) -> None:
    with pytest.raises(ValueError, match="p-value"):
        holm([0.5, bad])
