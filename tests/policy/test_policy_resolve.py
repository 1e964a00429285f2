"""Overrides in use cases, and the check that rows name what there is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.project import PolicyOverride, UseCase
from selaras.core.records import Example, Expected, Query
from selaras.policy import builtin_policies, check_overrides, check_rows, effective

POLICIES = builtin_policies()
POLICY = POLICIES["dangerous-content"]
ANSWERS = UseCase(id="answers", title="Answers")


def stories(**override: Any) -> UseCase:
    overrides = {"dangerous-content": PolicyOverride(**override)}
    return UseCase(id="stories", title="Stories", overrides=overrides)


def test_without_an_override_the_policy_holds_as_it_is() -> None:
    assert effective(POLICY, ANSWERS) is POLICY
    assert effective(POLICIES["hate"], stories(expected="answer")) is POLICIES["hate"]


def test_exceptions_are_appended_and_nothing_else_changes() -> None:
    held = effective(POLICY, stories(exceptions=("A poisoning in a story.",)))
    assert held.exceptions == (*POLICY.exceptions, "A poisoning in a story.")
    assert held.model_copy(update={"exceptions": POLICY.exceptions}) == POLICY


def test_expected_is_replaced_and_nothing_else_changes() -> None:
    held = effective(POLICY, stories(expected="answer", note="fiction"))
    assert held.desired.expected is Expected.ANSWER
    assert held.desired.guidance == POLICY.desired.guidance
    assert held.model_copy(update={"desired": POLICY.desired}) == POLICY


@given(
    exceptions=st.lists(st.sampled_from([*POLICY.exceptions, "x", "y"]), max_size=6),
    expected=st.none() | st.sampled_from(Expected),
)
def test_effective_is_idempotent_and_keeps_the_policys_own_first(
    exceptions: list[str], expected: Expected | None
) -> None:
    use_case = stories(exceptions=tuple(exceptions), expected=expected)
    held = effective(POLICY, use_case)
    assert effective(held, use_case) == held
    assert held.exceptions[: len(POLICY.exceptions)] == POLICY.exceptions
    assert set(held.exceptions) == {*POLICY.exceptions, *exceptions}
    assert len(set(held.exceptions)) == len(held.exceptions)


def test_an_override_for_an_unknown_policy_is_an_error() -> None:
    check_overrides(POLICIES, [ANSWERS, stories()])
    with pytest.raises(
        InputError, match="override for the unknown policy 'dangerous-content'"
    ) as e:
        check_overrides({"hate": POLICIES["hate"]}, [ANSWERS, stories()], path="/p/selaras.yaml")
    assert e.value.path == "/p/selaras.yaml"
    assert e.value.field == "use_cases.stories.overrides"
    assert "use one of: hate" in str(e.value)


def test_rows_that_name_what_there_is_pass() -> None:
    rows = [
        Query(id="a", query="q"),
        Query(id="b", query="q", policies=("hate",), use_case="answers"),
        Example(id="c", query="q", response="r", policies=("hate", "harassment")),
    ]
    check_rows(rows, POLICIES, [ANSWERS])


def test_the_first_row_with_an_unknown_policy_is_named_with_its_place() -> None:
    rows = [
        Query(id="a", query="q", policies=("hate",)),
        Query(id="b", query="q", policies=("hate", "hat")),
        Query(id="c", query="q", policies=("hut",)),
    ]
    with pytest.raises(InputError, match="row 'b': unknown policy 'hat'") as raised:
        check_rows(rows, POLICIES, [ANSWERS], {"b": ("data/rows.jsonl", 7)})
    error = raised.value
    assert (error.path, error.line, error.field) == ("data/rows.jsonl", 7, "policies")
    assert "hate" in (error.fix or "")


def test_an_unknown_use_case_is_named_and_the_place_may_be_missing() -> None:
    rows = [Query(id="a", query="q", use_case="poems")]
    with pytest.raises(InputError) as raised:
        check_rows(rows, POLICIES, [ANSWERS])
    assert str(raised.value) == (
        "field 'use_case': row 'a': unknown use case 'poems'. "
        "To mend it: use one of: answers; or list it in selaras.yaml."
    )


def test_ids_are_taken_from_an_iterator_once() -> None:
    check_rows(
        (Query(id=str(n), query="q", use_case="answers") for n in range(3)),
        POLICIES,
        iter([ANSWERS]),
    )


def test_no_row_is_taken_under_a_policy_that_is_statement_only() -> None:
    rows = [
        Query(id="a", query="q", policies=("hate",)),
        Query(id="b", query="q", policies=("child-safety",)),
    ]
    with pytest.raises(
        InputError, match="row 'b': the policy 'child-safety' is statement only"
    ) as raised:
        check_rows(rows, POLICIES, [ANSWERS], {"b": ("data/rows.jsonl", 3)})
    assert (raised.value.line, raised.value.fix) == (3, "take the row out")
