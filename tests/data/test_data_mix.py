"""Mixes: whole numbers in the asked shares, capped by cell, the same for the same seed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.mixing import Mix, MixPart
from selaras.core.records import Query
from selaras.data.mix import draw_mix, outside_band

ROWS = [
    Query(id=f"{kind}-{policy}-{i}", query="q", kind=kind, policies=(policy,))
    for kind, n in {"malicious": 12, "look_alike": 6}.items()
    for policy in ("hate", "spam")
    for i in range(n)
] + [Query(id=f"o-{i}", query="q") for i in range(200)]
SAFETY = MixPart(name="safety", weight=0.1, kinds=("malicious", "look_alike"))
REST = MixPart(name="rest", weight=0.9)


@given(st.integers(1, 150), st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_mix_has_its_size_its_shares_and_one_draw_a_seed(
    size: int, seed: int, chance: st.DataObject
) -> None:
    mix = Mix(parts=(SAFETY, REST), size=size)
    drawn = draw_mix(ROWS, mix, seed)
    assert len(drawn.rows) == size == len({row.id for row in drawn.rows})
    assert abs(drawn.given["safety"] - size * 0.1) < 1
    shuffled = list(ROWS)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert draw_mix(shuffled, mix, seed).rows == drawn.rows


def test_a_cap_bounds_every_cell_and_a_row_belongs_to_its_first_part() -> None:
    capped = MixPart(name="few", weight=1, kinds=("malicious",), cap=2)
    drawn = draw_mix(ROWS, Mix(parts=(capped, REST)))
    assert drawn.available == {"few": 4, "rest": 212}
    assert drawn.given == {"few": 4, "rest": 3}


def test_a_mix_that_cannot_be_had_says_which_size_could() -> None:
    with pytest.raises(InputError, match=r"'safety' has 36 rows, 50 are needed.*size of 360"):
        draw_mix(ROWS, Mix(parts=(SAFETY, REST), size=500))


def test_a_share_of_safety_rows_outside_the_band_is_said() -> None:
    assert outside_band(draw_mix(ROWS, Mix(parts=(SAFETY, REST), size=100)).safety_share) is None
    said = outside_band(draw_mix(ROWS, Mix(parts=(SAFETY,))).safety_share)
    assert said is not None
    assert said.startswith("100% of the rows")
