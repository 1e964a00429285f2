"""Policies as Markdown and back: nothing is lost, what is wrong is named by its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.policy import builtin_policies, parse_policy, policy_markdown

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"]),
                min_size=1, max_size=12).map(lambda w: f"x{w}")  # fmt: skip
LINES = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)


@pytest.mark.parametrize("name", builtin_policies())
def test_built_in_policies_survive(name: str) -> None:
    policy = builtin_policies()[name]
    assert parse_policy(policy_markdown(policy)) == policy


@given(LINES, LINES, st.lists(LINES, max_size=4), st.lists(LINES, max_size=4, unique=True))
def test_any_words_survive(
    title: str, statement: str, exceptions: list[str], allowed: list[str]
) -> None:
    policy = builtin_policies()["hate"].model_copy(
        update={"title": title, "statement": statement, "exceptions": tuple(exceptions),
                "allowed": tuple(allowed)}
    )  # fmt: skip
    assert parse_policy(policy_markdown(policy)) == policy


@pytest.mark.parametrize(
    ("line", "by", "said"),
    [
        ("- owner: trust-and-safety", "- ownr: me", "not understood"),
        ("## Allowed", "## Alowed", "no section"),
        ("- severity: high", "- severity: dreadful", "severity"),
        ("## Violating\n\n- ", "## Violating\n\n", "a list begins with"),
    ],
)
def test_what_is_wrong_is_named(line: str, by: str, said: str) -> None:
    text = policy_markdown(builtin_policies()["hate"]).replace(line, by)
    with pytest.raises(InputError, match=said):
        parse_policy(text)
