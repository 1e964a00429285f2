"""Verdicts: what they refuse to hold, and that they survive JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import selaras.judge
from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.late import resolve
from selaras.judge import JUDGES, Judgement, Verdict, verdict_of
from selaras.judge.refusal import refusal_rules

AXES = st.sampled_from(["query_harm", "response_harm", "refusal", "helpfulness"])
SCORES = st.none() | st.floats(allow_nan=False, allow_infinity=False)
REVISIONS = st.none() | st.dictionaries(st.text(max_size=8), st.integers(0, 99), max_size=3)
PLAIN: dict[str, Any] = Verdict(
    "r", "s", "refusal", "full", 0.5, "scored", {"hate": 1}, "j"
).to_dict()


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    status = draw(st.sampled_from(["scored", "unscored", "error"]))
    scored = status == "scored"
    return Verdict(
        row=draw(st.text()),
        system=draw(st.text()),
        axis=draw(AXES),
        value=draw(st.text()) if scored else None,
        score=draw(SCORES) if scored else None,
        status=status,
        policy_revision=draw(REVISIONS),
        judge=draw(st.text()),
        reason=draw(st.none() | st.text()) if scored else draw(st.text(min_size=1)),
    )


@given(verdicts())
def test_a_verdict_survives_json(verdict: Verdict) -> None:
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict


def test_the_reason_may_be_missing() -> None:
    assert Verdict.from_dict({k: v for k, v in PLAIN.items() if k != "reason"}).reason is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"row": 1}, "row"),
        ({"axis": "beauty"}, "axis"),
        ({"value": 1}, "value"),
        ({"score": True}, "score"),
        ({"score": float("nan")}, "score"),
        ({"status": "done"}, "status"),
        ({"status": "error"}, "error"),
        ({"policy_revision": {"hate": "1"}}, "policy_revision"),
        ({"policy_revision": ["hate"]}, "policy_revision"),
        ({"extra": 1}, "extra"),
        ({"value": None, "score": None}, "scored"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        Verdict.from_dict({**PLAIN, **change})


@pytest.mark.parametrize("name", sorted(set(PLAIN) - {"reason"}))
def test_a_missing_field_is_named(name: str) -> None:
    with pytest.raises(InputError, match=name):
        Verdict.from_dict({k: v for k, v in PLAIN.items() if k != name})


def test_what_is_no_object_is_no_verdict() -> None:
    with pytest.raises(InputError, match="object"):
        Verdict.from_dict(["r"])


@pytest.mark.parametrize(
    ("value", "score", "status", "reason"),
    [
        (None, None, "scored", None),
        ("full", None, "unscored", "why"),
        (None, 0.0, "error", "why"),
        (None, None, "error", None),
        (None, None, "unscored", ""),
        ("full", float("inf"), "scored", None),
    ],
)
def test_a_judgement_cannot_contradict_itself(
    value: str | None, score: float | None, status: Any, reason: str | None
) -> None:
    with pytest.raises(ValueError, match=r"value|reason|finite"):
        Judgement(value, score, status, reason)


def test_each_name_of_the_dict_resolves_to_an_opener() -> None:
    for target in JUDGES.values():
        assert callable(resolve(target))


def test_a_verdict_carries_the_judges_identity() -> None:
    judgement = refusal_rules.judge("How?", "I can't help with that.")
    verdict = verdict_of(refusal_rules, judgement, row="r1", system="s1")
    assert verdict.judge == fingerprint(refusal_rules.identity)
    assert (verdict.axis, verdict.value, verdict.policy_revision) == ("refusal", "full", None)


def test_the_names_are_sorted_and_there() -> None:
    names = selaras.judge.__all__
    assert sorted(names, key=lambda name: (not name.isupper(), name)) == names
    assert all(hasattr(selaras.judge, name) for name in names)
