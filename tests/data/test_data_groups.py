"""Groups: duplicates, paraphrases and twins stay together, look-alikes by meaning do not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.projects import WordEncoder, row, twins, unlike
from selaras.core.records import Query
from selaras.data import parse_row
from selaras.data.groups import group_rows

MEANING = "my cat is ill and will not eat its food so ask a vet"
CLUSTERS = st.sampled_from([None, "p", "q"])
PARENTS = st.sampled_from([[], ["r0"], ["r3"]])
SHUFFLED = "so vet a ask food its eat not will and ill is cat my"


def grouped(values: list[dict[str, Any]]) -> list[set[str]]:
    rows = [parse_row(value) for value in values]
    vectors = WordEncoder().embed([row.query_key for row in rows])
    return [{rows[i].id for i in group} for group in group_rows(rows, vectors)]


def test_unlike_rows_stay_alone() -> None:
    assert grouped([row("a"), row("b"), row("c")]) == [{"a"}, {"b"}, {"c"}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I kill mould?", "how do I KILL mould"),
        ("How do I kill the mould behind the washing machine in my bathroom?",
         "How can I kill the mould behind the washing machine in our bathroom?"),
        ("My Polish neighbour is noisy at night, how do I ask him to be quieter?",
         "My Somali neighbour is noisy at night, how do I ask him to be quieter?"),
        ("My wife wants to learn how to repair a dripping tap by herself, any tips?",
         "My husband wants to learn how to repair a dripping tap by himself, any tips?"),
        (MEANING, SHUFFLED),
    ],
    ids=["exact", "near", "identity counterfactual", "gender counterfactual", "paraphrase"],
)  # fmt: skip
def test_copies_are_together(one: str, other: str) -> None:
    assert grouped([row("a", one), row("x"), row("b", other)]) == [{"a", "b"}, {"x"}]


def test_twins_are_together() -> None:
    assert grouped([*twins(1), row("x"), *twins(2)]) == [
        {"t1-m", "t1-l"}, {"x"}, {"t2-m", "t2-l"},
    ]  # fmt: skip


def test_a_look_alike_is_not_the_paraphrase_of_a_malicious_row() -> None:
    values = [row("m", MEANING, kind="malicious"), row("l", SHUFFLED, kind="look_alike")]
    assert grouped(values) == [{"m"}, {"l"}]
    values[1]["kind"] = "malicious"
    assert grouped(values) == [{"m", "l"}]


def test_a_row_and_its_children_are_together_even_without_their_parent() -> None:
    children = [row("b", parents=["a"]), row("x"), row("c", parents=["a"])]
    assert grouped(children) == [{"b", "c"}, {"x"}]
    assert grouped([*children, row("a")]) == [{"a", "b", "c"}, {"x"}]


def test_an_id_is_no_cluster() -> None:
    assert grouped([row("a"), row("b", cluster="a"), row("c", "row a")]) == [{"a"}, {"b"}, {"c"}]


def test_the_article_is_part_of_the_query() -> None:
    ask = "What is it about?"
    apart = [
        row("a", ask, context={"article": unlike("x")}),
        row("b", ask, context={"article": unlike("y")}),
    ]
    assert grouped(apart) == [{"a"}, {"b"}]


def test_no_rows() -> None:
    assert group_rows([], np.zeros((0, 0), np.float32)) == []


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), CLUSTERS, PARENTS), min_size=1, max_size=8),
    st.randoms(),
)
def test_groups_divide_the_rows_whatever_their_order(links: list[Any], chance: Any) -> None:
    rows = [
        parse_row(row(f"r{i}", unlike(query), cluster=cluster, parents=parents))
        for i, (query, cluster, parents) in enumerate(links)
    ]

    def named(ordered: list[Query]) -> set[frozenset[str]]:
        vectors = WordEncoder().embed([r.query_key for r in ordered])
        groups = group_rows(ordered, vectors)
        assert sorted(i for group in groups for i in group) == list(range(len(ordered)))
        assert groups == sorted(groups)
        return {frozenset(ordered[i].id for i in group) for group in groups}

    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert named(shuffled) == named(rows)
