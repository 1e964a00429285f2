"""Rows and Systems: checked where they enter, unchangeable after, with an identity."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from selaras.core.records import RECORDS, Example, Kind, Message, Preference, Query, Record
from selaras.core.system import Sampling, System

WORDS = st.text("abc xyz.!?é", min_size=1, max_size=12).filter(lambda text: text.strip())


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "", "query": "x"},
        {"id": "a b", "query": "x"},
        {"id": "a/b", "query": "x"},
        {"id": "a\n", "query": "x"},
        {"id": ".a", "query": "x"},
        {"id": "a" * 129, "query": "x"},
        {"id": "a"},
        {"id": "a", "query": ""},
        {"id": "a", "query": " \n\t\u00a0"},
        {"id": "a", "query": "x\ud83d"},
        {"id": "a", "query": 3},
        {"id": "a", "query": "x", "kind": "benign"},
        {"id": "a", "query": "x", "expected": "comply"},
        {"id": "a", "query": "x", "policies": "hate"},
        {"id": "a", "query": "x", "context": {"article": 3}},
        {"id": "a", "query": "x", "turns": [{"role": "tool", "content": "x"}]},
        {"id": "a", "query": "x", "querry": "y"},
    ],
)
def test_a_wrong_query_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Query.model_validate(fields)


@pytest.mark.parametrize("name", ["a", "danger-001-m", "a.b:c_d", "ä1", "7", "baris-é"])
def test_ids_may_be_in_any_script(name: str) -> None:
    assert Query(id=name, query="x").id == name


@pytest.mark.parametrize(
    "change", [{"best": "c"}, {"best": None}, {"response_a": ""}, {"response_b": None}]
)
def test_a_wrong_preference_is_refused(change: dict[str, Any]) -> None:
    fields = {"id": "a", "query": "x", "response_a": "1", "response_b": "2", "best": "a"}
    Preference.model_validate(fields)
    with pytest.raises(ValidationError):
        Preference.model_validate({**fields, **change})


def test_a_row_cannot_be_changed() -> None:
    row = Query(id="a", query="x")
    with pytest.raises(ValidationError):
        row.query = "y"  # type: ignore[misc]


def test_every_record_is_listed_by_its_name() -> None:
    assert {name: model.record for name, model in RECORDS.items()} == {
        "query": "query", "example": "example", "preference": "preference"
    }  # fmt: skip


@given(WORDS, WORDS, st.sampled_from(list(Kind)))
def test_the_fingerprint_is_the_content_without_metadata(
    query: str, response: str, kind: Kind
) -> None:
    row = Example(id="a", query=query, response=response)
    other = Example(
        id="b", query=query, response=response, kind=kind, policies=("hate",), use_case="answer",
        response_label="unsafe", source="x", licence="y", cluster="z", parents=("p",),
    )  # fmt: skip
    assert row.fingerprint == other.fingerprint
    assert row.fingerprint != Query(id="a", query=query).fingerprint
    assert row.fingerprint != Example(id="a", query=query, response=response + "!").fingerprint
    assert row.fingerprint != Example(id="a", query=query + "!", response=response).fingerprint


def test_turns_and_context_are_content() -> None:
    row = Query(id="a", query="x")
    talk = row.model_copy(update={"turns": (Message(role="user", content="Hi"),)})
    text = row.model_copy(update={"context": {"article": "Hi"}})
    assert len({row.fingerprint, talk.fingerprint, text.fingerprint}) == 3
    assert (row.query_key, talk.query_key, text.query_key) == ("x", "hi x", "x hi")


@given(st.dictionaries(st.sampled_from("abc"), WORDS, min_size=2))
def test_the_order_of_variables_does_not_matter(context: dict[str, str]) -> None:
    row = Query(id="a", query="x", context=context)
    turned = Query(id="a", query="x", context=dict(reversed(context.items())))
    assert (row.fingerprint, row.query_key) == (turned.fingerprint, turned.query_key)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_record_holds_a_number_that_json_cannot(value: float) -> None:
    class Score(Record):
        value: float

    for make in (lambda: Score(value=value), lambda: Sampling(temperature=value)):
        with pytest.raises(ValidationError):
            make()


def test_a_system_is_all_that_changes_an_output_but_its_name() -> None:
    base = System(name="a", model={"name": "m"}, sampling=Sampling())
    assert base.fingerprint == base.model_copy(update={"name": "b"}).fingerprint
    changed = [
        {"model": {"name": "m", "adapter": "1"}},
        {"template": "t"},
        {"guard": "g"},
        {"sampling": Sampling(temperature=1)},
        {"sampling": Sampling(seed=1)},
        {"sampling": Sampling(max_tokens=3)},
    ]
    prints = {base.model_copy(update=change).fingerprint for change in changed}
    assert len(prints | {base.fingerprint}) == len(changed) + 1
