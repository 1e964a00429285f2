"""Policy: what is accepted, and one line with file and field for what is not."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from selaras.core.errors import InputError
from selaras.core.records import Expected
from selaras.policy import Policy, load_policy

GOOD: dict[str, Any] = {
    "id": "spoilers",
    "title": "Spoilers",
    "revision": 2,
    "owner": "product",
    "severity": "low",
    "family": "product",
    "statement": "The assistant must not tell how a film ends unless it is asked to.",
    "desired": {"expected": "safe_completion", "guidance": "Offer to warn first."},
}


def test_the_smallest_policy_has_empty_lists_and_all_three_taxonomies() -> None:
    policy = Policy.model_validate(GOOD)
    assert policy.maps_to == {"mlcommons": (), "llama_guard": (), "shieldgemma": ()}
    assert policy.exceptions == policy.violating == policy.allowed == ()
    assert policy.desired.expected is Expected.SAFE_COMPLETION
    assert not policy.statement_only


def test_a_policy_is_frozen() -> None:
    policy = Policy.model_validate(GOOD)
    with pytest.raises(ValidationError):
        policy.revision = 3  # type: ignore[misc]


def test_json_gives_the_policy_back() -> None:
    policy = Policy.model_validate({**GOOD, "maps_to": {"llama_guard": ["S10"]}})
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"statement": ""}, "statement", "must say something"),
        ({"statement": " \n"}, "statement", "must say something"),
        ({"statement": None}, "statement", "string"),
        ({"id": "no spaces"}, "id", "pattern"),
        ({"title": ""}, "title", "must say something"),
        ({"owner": " "}, "owner", "must say something"),
        ({"revision": 0}, "revision", "greater than or equal to 1"),
        ({"revision": 1.5}, "revision", "integer"),
        ({"severity": "huge"}, "severity", "'low', 'medium', 'high' or 'critical'"),
        ({"family": "legal"}, "family", "'harm' or 'product'"),
        ({"maps_to": {"llama_guard": ["S15"]}}, "maps_to", "there are S1 to S14"),
        ({"maps_to": {"mlcommons": ["Hat"]}}, "maps_to", "no mlcommons category 'Hat'"),
        ({"maps_to": {"shieldgemma": "Hate Speech"}}, "maps_to.shieldgemma", "tuple"),
        ({"maps_to": {"perspective": []}}, "maps_to.perspective.[key]", "perspective"),
        ({"exceptions": ["fine", ""]}, "exceptions.1", "must say something"),
        ({"exceptions": [{"News": "is fine"}]}, "exceptions.0", "string"),
        ({"allowed": ["a"], "violating": ["a"]}, "allowed", "also under violating"),
        ({"statement_only": True, "violating": ["a"]}, "violating", "carries no examples"),
        ({"statement_only": True, "allowed": ["a"]}, "allowed", "carries no examples"),
        ({"desired": {"expected": "block", "guidance": "x"}}, "desired.expected", "refuse"),
        ({"desired": {"expected": "refuse", "guidance": ""}}, "desired.guidance", "something"),
        ({"desired": {"expected": "refuse"}}, "desired.guidance", "missing"),
        ({"statment": "x"}, "statment", "unknown field"),
    ],
)
def test_a_wrong_field_is_one_line_with_file_and_field(
    tmp_path: Path, change: dict[str, Any], field: str, words: str
) -> None:
    path = tmp_path / "spoilers.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(InputError) as raised:
        load_policy(path)
    assert raised.value.path == path
    assert raised.value.field == field
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("field", sorted(GOOD))
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    path = tmp_path / "spoilers.yaml"
    path.write_text(yaml.safe_dump({name: GOOD[name] for name in GOOD if name != field}))
    with pytest.raises(InputError, match="missing") as raised:
        load_policy(path)
    assert raised.value.field == field


@given(
    violating=st.lists(st.text(min_size=1).filter(str.strip), max_size=3),
    allowed=st.lists(st.text(min_size=1).filter(str.strip), max_size=3),
)
def test_statement_only_never_carries_examples(violating: list[str], allowed: list[str]) -> None:
    value = {**GOOD, "statement_only": True, "violating": violating, "allowed": allowed}
    if violating or allowed:
        with pytest.raises(ValidationError, match="carries no examples"):
            Policy.model_validate(value)
    else:
        assert Policy.model_validate(value).statement_only
