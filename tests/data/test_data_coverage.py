"""Coverage: what is promised and not there is named, and the gate does not pass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from selaras.core.project import AuditSettings, UseCase
from selaras.core.records import Example, Preference, Query
from selaras.data.audit import run_audits
from selaras.data.coverage import Cell, audit_coverage, coverage, rl_balance
from selaras.data.finding import AuditInput, Finding
from selaras.policy import builtin_policies

HATE = {"hate": builtin_policies()["hate"]}


def given(rows: Sequence[Query], policies: Any = None, **settings: Any) -> AuditInput:
    return AuditInput(
        tuple(rows), lambda texts: np.zeros((len(texts), 2), np.float32),
        HATE if policies is None else policies, (UseCase(id="answer", title="Answer"),),
        AuditSettings(**{"minimum": 2, "minimum_look_alikes": 2, **settings}),
    )  # fmt: skip


def rows(n: int, kind: str, **fields: Any) -> list[Query]:
    policies = () if kind == "ordinary" else ("hate",)
    return [
        Query(id=f"{kind}-{i}", query=f"{kind} {i}", kind=kind, policies=policies,
              use_case="answer", expected="answer", **fields)  # type: ignore[arg-type]
        for i in range(n)
    ]  # fmt: skip


def found(given: AuditInput) -> list[Finding]:
    return [said for said in audit_coverage(given) if isinstance(said, Finding)]


def full() -> list[Query]:
    return [row for kind in ("ordinary", "look_alike", "inadvertent", "malicious")
            for row in rows(2, kind)]  # fmt: skip


def test_a_full_grid_passes() -> None:
    assert run_audits(given(full()), {"coverage": audit_coverage}).passed


def test_empty_and_thin_cells_are_named() -> None:
    kept = [row for row in full() if row.id not in {"malicious-0", "malicious-1", "look_alike-0"}]
    said = {finding.message for finding in found(given(kept)) if finding.level == "fault"}
    assert "hate / answer / malicious: no rows" in said
    assert "hate / answer / look_alike: 1 of at least 2 rows" in said
    assert any(text.startswith("hate: 1 of at least 2 look-alikes") for text in said)
    assert not run_audits(given(kept), {"coverage": audit_coverage}).passed


def test_a_row_of_two_policies_counts_in_both() -> None:
    both = Query(id="b", query="q", kind="malicious", policies=("hate", "off-topic"))
    counts = coverage(given([both])).counts
    assert counts == {Cell("hate", "-", "malicious"): 1, Cell("off-topic", "-", "malicious"): 1}


def test_no_rows_are_asked_for_where_none_should_be_written() -> None:
    only = {"child-safety": builtin_policies()["child-safety"]}
    assert only["child-safety"].statement_only
    assert [f.message for f in found(given(rows(2, "ordinary"), only))] == []


def test_labels_count_where_they_are_asked_for() -> None:
    made = [
        Example(**row.model_dump(), response="No.", response_label="safe")  # type: ignore[arg-type]
        for row in full()
    ]
    assert [f for f in found(given(made, labels=["safe"])) if f.level == "fault"] == []
    said = [f.message for f in found(given(made, labels=["safe", "unsafe"]))]
    assert "hate / answer / malicious: no rows labelled unsafe" in said


def test_missing_metadata_is_told_once_with_all_rows() -> None:
    bare = [Query(id=f"q{i}", query="q", kind="malicious") for i in range(50)]
    said = {f.check: f for f in found(given(bare)) if f.level == "review"}
    assert len(said["no_policies"].records) == len(said["no_use_case"].records) == 50
    assert said["no_expected"].message == "50 rows do not say what is expected"


@pytest.mark.parametrize(("malicious", "unbalanced"), [(0, True), (5, False), (10, True)])
def test_rl_queries_are_balanced(malicious: int, unbalanced: bool) -> None:
    made = rows(malicious, "malicious") + rows(10 - malicious, "ordinary")
    checks = [f.check for f in found(given(made))]
    assert ("rl_balance" in checks) == unbalanced


def test_rl_rows_are_those_without_a_response_and_preferences() -> None:
    made = [
        Query(id="q", query="q", kind="malicious"),
        Example(id="e", query="e", kind="malicious"),
        Example(id="sft", query="s", response="S."),
        Preference(id="p", query="p", response_a="A", response_b="B", best="a"),
    ]
    balance = rl_balance(made)
    assert (balance["n"], round(balance["value"], 3)) == (3, 0.667)
    assert rl_balance([])["value"] is None


def test_ten_thousand_rows_of_one_policy() -> None:
    made = rows(10_000, "malicious")
    figures = coverage(given(made))
    assert figures.counts == {Cell("hate", "answer", "malicious"): 10_000}
    assert len(list(figures.lacking())) == 3
