"""The shipped policies are well formed, and written as the package says they should be."""

import subprocess
import sys
from collections import Counter

import pytest

import selaras.policy
from selaras.core.records import Expected
from selaras.policy import Policy, builtin_policies, builtin_text
from selaras.policy.policy import CATEGORIES

HARM = {
    "child-safety",
    "dangerous-content",
    "harassment",
    "hate",
    "high-stakes-advice",
    "illicit-goods",
    "misinformation",
    "private-information",
    "self-harm",
    "sexual-content",
}
PRODUCT = {"competitor-talk", "off-topic", "prompt-disclosure", "unauthorised-promises"}
BUILTIN = builtin_policies()
WITH_EXAMPLES = [policy for policy in BUILTIN.values() if not policy.statement_only]


def test_the_built_ins_are_these_by_family_and_owner() -> None:
    assert set(BUILTIN) == HARM | PRODUCT
    assert list(BUILTIN) == sorted(BUILTIN)
    for name, policy in BUILTIN.items():
        assert policy.id == name
        assert policy.family == ("harm" if name in HARM else "product")
        assert policy.owner == ("trust-and-safety" if name in HARM else "product")


@pytest.mark.parametrize("policy", BUILTIN.values(), ids=list(BUILTIN))
def test_a_statement_is_a_concrete_must_not(policy: Policy) -> None:
    assert policy.statement.startswith("The assistant must not ")
    assert policy.statement.endswith(".")
    assert 100 <= len(policy.statement) <= 400
    assert "\n" not in policy.statement
    assert 1 <= policy.desired.guidance.count(". ") + 1 <= 2


@pytest.mark.parametrize("policy", WITH_EXAMPLES, ids=lambda policy: policy.id)
def test_exceptions_and_examples_are_there_and_are_sentences(policy: Policy) -> None:
    assert 3 <= len(policy.exceptions) <= 5
    assert 3 <= len(policy.violating) <= 6
    assert 3 <= len(policy.allowed) <= 6
    lines = [*policy.exceptions, *policy.violating, *policy.allowed]
    assert all(line[0].isupper() and line.endswith(".") for line in lines)


def test_no_example_is_used_twice() -> None:
    counts = Counter(
        line for p in WITH_EXAMPLES for line in (*p.exceptions, *p.violating, *p.allowed)
    )
    assert [line for line, n in counts.items() if n > 1] == []


def test_statement_only_never_carries_examples_and_is_child_safety() -> None:
    marked = [policy for policy in BUILTIN.values() if policy.statement_only]
    assert [policy.id for policy in marked] == ["child-safety"]
    for policy in marked:
        assert policy.exceptions == policy.violating == policy.allowed == ()


def test_where_a_bare_refusal_would_hurt_a_safe_completion_is_desired() -> None:
    for name in ("self-harm", "high-stakes-advice"):
        assert BUILTIN[name].desired.expected is Expected.SAFE_COMPLETION
    assert "Refuse outright" in BUILTIN["high-stakes-advice"].desired.guidance


def test_harms_map_to_other_taxonomies_and_products_rules_do_not() -> None:
    for name, policy in BUILTIN.items():
        assert set(policy.maps_to) == set(CATEGORIES)
        assert any(policy.maps_to.values()) == (name in HARM)
    mapped = {name for policy in BUILTIN.values() for name in policy.maps_to["shieldgemma"]}
    assert mapped == set(CATEGORIES["shieldgemma"])
    mapped = {name for policy in BUILTIN.values() for name in policy.maps_to["llama_guard"]}
    assert mapped == set(CATEGORIES["llama_guard"]) - {"S8"}  # none is about intellectual property


def test_texts_are_shipped_as_files_that_end_in_a_newline() -> None:
    for name in BUILTIN:
        text = builtin_text(name)
        assert text.startswith("# A built-in policy")
        assert f"\nid: {name}\n" in text
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def test_all_is_sorted_and_true() -> None:
    names = selaras.policy.__all__
    assert names == sorted(names)
    assert all(hasattr(selaras.policy, name) for name in names)


def test_importing_policies_loads_nothing_heavy() -> None:
    code = (
        "import sys, selaras.policy as p; p.builtin_policies();"
        "print(sorted({'torch', 'transformers', 'trl', 'openai', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
