"""Contradictions: labels that cannot all be right, and pairs that only look wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selaras.core.project import PolicyOverride, UseCase
from selaras.core.records import Example, Preference, Query
from selaras.data import read_rows
from selaras.data.contradictions import contradictions, wanted_of
from selaras.data.finding import AuditInput, Finding
from selaras.policy import builtin_policies

FIXTURES = Path(__file__).parents[1] / "fixtures"
POLICIES = {name: builtin_policies()[name] for name in ("dangerous-content", "high-stakes-advice")}
USE_CASES = (
    UseCase(id="answer", title="Answer"),
    UseCase(id="write", title="Write",
            overrides={"dangerous-content": PolicyOverride(expected="answer")}),  # type: ignore[arg-type]
)  # fmt: skip
REFUSAL, ANSWER = "I can't help with hurting anyone.", "Mix two spoons of soda with warm water."
HARM: dict[str, Any] = {"expected": "refuse", "kind": "malicious"}
SHARED: dict[str, Any] = {"policies": ("dangerous-content",), "use_case": "answer"}


def audit(*rows: Query) -> list[Finding]:
    given = AuditInput(rows, lambda texts: np.zeros((len(texts), 2)), POLICIES, USE_CASES)
    return list(contradictions(given))


def example(response: str, **fields: Any) -> Example:
    return Example(**{"id": "a", "query": "How?", "response": response, "response_label": "safe",
                      **SHARED, **fields})  # fmt: skip


def pair(a: str, b: str, best: str, **fields: Any) -> Preference:
    return Preference(**{"id": "p", "query": "How?", "response_a": a, "response_b": b,
                         "best": best, **SHARED, **fields})  # fmt: skip


@pytest.mark.parametrize(
    ("row", "check"),
    [
        (example(ANSWER, expected="refuse", kind="malicious"), "complies"),
        (example(ANSWER, kind="malicious"), "complies"),
        (example(REFUSAL, expected="answer"), "refuses"),
        (example(REFUSAL, kind="look_alike"), "refuses"),
        (example(REFUSAL, expected="safe_completion", kind="inadvertent"), "unhelpful"),
        (pair(ANSWER, ANSWER + " Done.", "a", **HARM), "complies"),
        (pair(REFUSAL, REFUSAL + " Sorry.", "a", expected="answer"), "refuses"),
        (pair(ANSWER, REFUSAL, "a", **HARM), "worse_preferred"),
        (pair(ANSWER, REFUSAL, "b", expected="answer"), "worse_preferred"),
        (Query(id="q", query="q", kind="look_alike", expected="refuse"), "kind_against_expected"),
        (Query(id="q", query="q", kind="malicious", expected="answer", **SHARED),
         "kind_against_expected"),
    ],
)  # fmt: skip
def test_it_is_found(row: Query, check: str) -> None:
    (finding,) = audit(row)
    assert (finding.check, finding.level, finding.records) == (check, "review", (row.id,))
    assert {p.action for p in finding.proposed} == {"relabel"}
    assert not any(p.safe for p in finding.proposed)


@pytest.mark.parametrize(
    "row",
    [
        example(REFUSAL, expected="refuse", kind="malicious"),
        example(ANSWER, expected="answer"),
        example(ANSWER, expected="refuse", kind="malicious", response_label="unsafe"),
        example(ANSWER, kind="malicious", use_case="write"),
        example("", expected="refuse", kind="malicious"),
        pair(REFUSAL, REFUSAL + " Sorry.", "a", **HARM),
        pair(ANSWER, REFUSAL, "b", **HARM),
        pair(ANSWER, REFUSAL, "tie", **HARM),
        Query(id="q", query="q", kind="malicious", expected="answer", use_case="write",
              policies=("dangerous-content",)),
    ],
)  # fmt: skip
def test_it_is_fine(row: Query) -> None:
    assert audit(row) == []


def test_the_seed_rows_are_fine() -> None:
    rows, _ = read_rows([FIXTURES / "seed_en.jsonl"])
    assert audit(*rows) == []


def test_what_is_safe_depends_on_the_use_case() -> None:
    cases = {each.id: each for each in USE_CASES}
    row = Query(id="q", query="q", kind="malicious", policies=("dangerous-content",))
    assert wanted_of(row, POLICIES, cases) == "refuse"
    assert wanted_of(row.model_copy(update={"use_case": "write"}), POLICIES, cases) == "answer"
    both = row.model_copy(update={"policies": tuple(POLICIES)})
    assert wanted_of(both, POLICIES, cases) == "refuse"
    assert wanted_of(Query(id="q", query="q"), POLICIES, cases) is None


def test_the_same_query_with_opposite_labels() -> None:
    rows = [
        Query(id="a", query="Kill it?", expected="answer", use_case="answer"),
        Query(id="b", query="kill it", expected="refuse", kind="malicious", use_case="answer"),
        Query(id="c", query="kill it", expected="refuse", kind="malicious", use_case="write"),
        Query(id="d", query="Spare it?", expected="answer", use_case="answer"),
    ]
    (finding,) = audit(*rows)
    assert (finding.check, finding.level, finding.records) == ("opposite_labels", "fault",
                                                              ("a", "b"))  # fmt: skip
    assert not any(p.safe for p in finding.proposed)


def test_the_same_response_labelled_both_ways() -> None:
    rows = [example("Two spoons.", id="a"), example("two spoons", id="b", response_label="unsafe"),
            example("Three spoons.", id="c", response_label="unsafe")]  # fmt: skip
    (finding,) = audit(*rows)
    assert finding.records == ("a", "b")
    assert "safe and unsafe" in finding.message
