"""The split: whole groups, in proportion everywhere, the same whatever the order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.records import Expected, Kind, Query
from selaras.data.split import split_groups, stratum

GROUPS = st.lists(st.tuples(st.integers(1, 4), st.sampled_from("abc")), max_size=60)


def laid_out(groups: list[tuple[int, str]]) -> tuple[list[Query], list[tuple[int, ...]]]:
    rows: list[Query] = []
    numbers = []
    for size, cell in groups:
        numbers.append(tuple(range(len(rows), len(rows) + size)))
        rows += [Query(id=f"r{len(rows) + i:03}", query="x", use_case=cell) for i in range(size)]
    return rows, numbers


@given(GROUPS, st.floats(0.05, 0.85), st.integers(0, 5))
def test_every_group_is_on_one_side_and_the_share_holds_everywhere(
    groups: list[tuple[int, str]], share: float, seed: int
) -> None:
    rows, numbers = laid_out(groups)
    split = split_groups(rows, numbers, share, seed)
    assert sorted((*split.development, *split.held_out)) == sorted(numbers)
    held = [rows[i] for group in split.held_out for i in group]
    largest = max((size for size, _ in groups), default=0)
    assert abs(len(held) - share * len(rows)) <= largest / 2 + 1e-6
    for cell in {row.use_case for row in rows}:
        of_cell = sum(row.use_case == cell for row in rows)
        assert abs(sum(row.use_case == cell for row in held) - share * of_cell) <= largest + 1e-6


@given(GROUPS, st.integers(0, 5), st.randoms())
def test_the_order_does_not_matter(groups: list[tuple[int, str]], seed: int, chance: Any) -> None:
    rows, numbers = laid_out(groups)

    def held(ordered: list[Query], parts: list[tuple[int, ...]]) -> set[str]:
        split = split_groups(ordered, parts, 0.3, seed)
        return {ordered[i].id for group in split.held_out for i in group}

    order = list(range(len(rows)))
    chance.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    moved = [tuple(sorted(place[i] for i in group)) for group in numbers]
    chance.shuffle(moved)
    assert held([rows[i] for i in order], moved) == held(rows, numbers)


def test_the_seed_decides() -> None:
    rows, numbers = laid_out([(1, "a")] * 40)
    found = {split_groups(rows, numbers, 0.3, seed).held_out for seed in range(5)}
    assert len(found) == 5
    assert split_groups(rows, numbers, 0.3, 1) == split_groups(rows, numbers, 0.3, 1)


@pytest.mark.parametrize(
    ("fields", "cell"),
    [
        ({}, "-/-/ordinary"),
        (
            {"policies": ("a", "b"), "use_case": "answer", "kind": Kind.MALICIOUS},
            "a/answer/malicious",
        ),
        ({"expected": Expected.REFUSE}, "-/-/ordinary"),
    ],
)
def test_a_cell_is_policy_use_case_and_kind(fields: dict[str, Any], cell: str) -> None:
    assert stratum(Query(id="a", query="x", **fields)) == cell
