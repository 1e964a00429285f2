"""Policies: what the assistant must not do, as it is written, listed and holds in a use case."""

from selaras.policy.load import builtin_policies, builtin_text, load_policies, load_policy
from selaras.policy.markdown import parse_policy, policy_markdown
from selaras.policy.policy import Desired, Family, Policy, Severity, Taxonomy
from selaras.policy.resolve import check_overrides, check_rows, effective
from selaras.policy.text import policy_text

__all__ = [
    "Desired",
    "Family",
    "Policy",
    "Severity",
    "Taxonomy",
    "builtin_policies",
    "builtin_text",
    "check_overrides",
    "check_rows",
    "effective",
    "load_policies",
    "load_policy",
    "parse_policy",
    "policy_markdown",
    "policy_text",
]
