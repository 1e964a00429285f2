"""Findings: a stable id, JSON both ways, and no proposal that --fix must not make."""

import json

import pytest

from selaras.core.records import Example, Message, Preference, Query
from selaras.data.finding import Evidence, Finding, Proposal, cut, responses, text_fields


def finding(**changes: object) -> Finding:
    fields = {
        "audit": "duplicates", "check": "exact", "version": 1, "level": "fault",
        "records": ("a", "b"), "message": "b equals a",
        "evidence": (Evidence("b", "query", 0, 4, "Mould"),), "score": 1.0, "threshold": 1.0,
        "proposed": (Proposal("b", "remove", "copy of a", safe=True),),
    }  # fmt: skip
    return Finding(**{**fields, **changes})  # type: ignore[arg-type]


def test_it_is_the_same_after_json() -> None:
    made = finding(proposed=(Proposal("b", "relabel", "answered", {"expected": "answer"}),))
    assert Finding.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_its_id_is_its_rows_and_places() -> None:
    assert finding().id == finding(records=("b", "a"), message="other words", score=0.9).id
    assert finding().id != finding(check="near").id
    assert finding().id != finding(evidence=()).id
    assert finding(records=(), message="cell x").id != finding(records=(), message="cell y").id


def test_only_a_removal_may_be_safe() -> None:
    with pytest.raises(ValueError, match="only a removal"):
        Proposal("a", "relabel", "wrong", {"kind": "malicious"}, safe=True)


def test_text_fields_name_every_text() -> None:
    row = Preference(
        id="p", query="q", turns=(Message(role="user", content="t"),), context={"article": "x"},
        response_a="A", response_b="B", best="a",
    )  # fmt: skip
    assert text_fields(row) == {
        "turns.0": "t", "query": "q", "context.article": "x", "response_a": "A", "response_b": "B",
    }  # fmt: skip
    assert responses(Query(id="q", query="q")) == {}
    assert responses(Example(id="e", query="q")) == {"response": ""}


def test_evidence_is_one_short_line() -> None:
    assert cut("a\nb" * 10**6, 20) == "a ba ba ba ba ba ba…"
