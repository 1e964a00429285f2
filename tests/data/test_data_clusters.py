"""Stars and chains: who stays, and what hangs together."""

from hypothesis import given
from hypothesis import strategies as st

from selaras.data.clusters import chains, stars

PAIRS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([0.6, 0.7, 0.9])).filter(
        lambda pair: pair[0] != pair[1]
    )
)


@given(PAIRS, st.permutations(range(10)), st.randoms(use_true_random=False))
def test_a_row_goes_only_for_one_that_stays_and_is_alike(
    pairs: list[tuple[int, int, float]], rank: list[int], chance: object
) -> None:
    found = stars(pairs, rank)
    alike = {(a, b): s for a, b, s in pairs} | {(b, a): s for a, b, s in pairs}
    gone = {row for star in found for row, _ in star.others}
    assert len(gone) == sum(len(star.others) for star in found)
    for star in found:
        assert star.kept not in gone
        for row, _ in star.others:
            assert (star.kept, row) in alike
            assert rank[star.kept] < rank[row]
    # No two rows that stay are alike: a second look finds nothing more.
    assert not [pair for pair in pairs if not {pair[0], pair[1]} & gone]
    shuffled = list(pairs)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [star.kept for star in stars(shuffled, rank)] == [star.kept for star in found]


@given(PAIRS)
def test_chains_are_a_partition_in_which_links_stay_together(
    pairs: list[tuple[int, int, float]],
) -> None:
    groups = chains(10, [(a, b) for a, b, _ in pairs])
    assert sorted(row for group in groups for row in group) == list(range(10))
    assert groups == sorted(groups)
    home = {row: group for group in groups for row in group}
    assert all(home[a] == home[b] for a, b, _ in pairs)
