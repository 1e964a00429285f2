"""Decisions: kept and removed are the input, in its order; restore undoes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.decisions import (
    Decision,
    Removal,
    apply_decisions,
    now,
    read_decisions,
    record_decisions,
)
from selaras.core.errors import InputError
from selaras.core.records import Example, Expected, Kind, Preference, Query

IDS = ("a", "b", "c")


def decide(record: str, action: str, **fields: Any) -> Decision:
    return Decision(
        record=record, action=action, reason=f"{action} it", by="me", at=now(), fields=fields
    )


def rows() -> list[Query]:
    return [
        Query(id="a", query="A?"),
        Example(id="b", query="B?", response="B.", response_label="unsafe"),
        Preference(id="c", query="C?", response_a="1", response_b="2", best="tie"),
    ]


DECISIONS = st.lists(
    st.builds(
        decide,
        st.sampled_from((*IDS, "unknown")),
        st.sampled_from(("remove", "approve", "restore")),
    )
    | st.builds(lambda record, kind: decide(record, "relabel", kind=kind),
                st.sampled_from(IDS), st.sampled_from(list(Kind)))
)  # fmt: skip


@given(DECISIONS)
def test_kept_and_removed_are_the_input_in_its_order(decisions: list[Decision]) -> None:
    kept, removed = apply_decisions(rows(), decisions)
    assert sorted([row.id for row in kept] + [removal.record for removal in removed]) == list(IDS)
    assert [row.id for row in kept] == sorted(row.id for row in kept)
    by_id = {row.id: row for row in rows()}
    for row in kept:
        assert row.fingerprint == by_id[row.id].fingerprint
        assert type(row) is type(by_id[row.id])


@given(DECISIONS, st.sampled_from(IDS))
def test_restore_undoes_all_before_it(decisions: list[Decision], record: str) -> None:
    kept, _ = apply_decisions(rows(), [*decisions, decide(record, "restore")])
    assert next(row for row in rows() if row.id == record) in kept


@given(DECISIONS)
def test_the_last_remove_or_approve_holds(decisions: list[Decision]) -> None:
    kept, _ = apply_decisions(rows(), [*decisions, decide("a", "remove")])
    assert "a" not in {row.id for row in kept}
    kept, _ = apply_decisions(rows(), [*decisions, decide("a", "remove"), decide("a", "approve")])
    assert "a" in {row.id for row in kept}


def test_a_removal_carries_its_reason() -> None:
    _, removed = apply_decisions(rows(), [decide("b", "remove")])
    assert removed == [Removal("b", "remove it")]


def test_relabels_add_up_and_are_checked() -> None:
    decisions = [
        decide("b", "relabel", kind="malicious", expected="refuse"),
        decide("b", "relabel", policies=["hate"], response_label="safe"),
        decide("b", "relabel", kind="look_alike"),
    ]
    row = apply_decisions(rows(), decisions)[0][1]
    assert isinstance(row, Example)
    assert (row.kind, row.expected) == (Kind.LOOK_ALIKE, Expected.REFUSE)
    assert (row.policies, row.response_label, row.response) == (("hate",), "safe", "B.")


@pytest.mark.parametrize(
    "fields", [{"kind": "evil"}, {"response_label": "safe"}, {"policies": "x"}]
)
def test_a_relabel_that_does_not_fit_names_row_and_field(fields: dict[str, str]) -> None:
    with pytest.raises(InputError, match="cannot relabel row 'a'") as caught:
        apply_decisions(rows(), [decide("a", "relabel", **fields)])
    assert caught.value.field == next(iter(fields))


def test_they_are_appended_and_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "data" / "decisions.jsonl"
    assert read_decisions(path) == []
    first, second = decide("a", "remove"), decide("a", "relabel", policies=["hate", "é"])
    record_decisions(path, [first])
    before = path.read_bytes()
    record_decisions(path, [second])
    assert path.read_bytes().startswith(before)
    assert read_decisions(path) == [first, second]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"action": "delete"}, "action"),
        ({"reason": None}, "reason"),
        ({"fields": {"query": "another"}}, "fields.query"),
        ({"fields": {"id": "z"}}, "fields.id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_decision_names_file_line_and_field(
    tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    import json

    path = tmp_path / "decisions.jsonl"
    good = decide("a", "remove").model_dump(mode="json")
    path.write_text(json.dumps(good) + "\n\n" + json.dumps({**good, **change}) + "\n")
    with pytest.raises(InputError) as caught:
        read_decisions(path)
    assert (caught.value.path, caught.value.line) == (path, 3)
    assert str(caught.value.field).startswith(field)
