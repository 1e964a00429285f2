"""A policy as it is read by whoever judges by it: the same words for raters and for models.

Whatever is not in this text was not told to anybody who judged, so a change of it is a change of
every judgement made afterwards; its fingerprint is part of a policy judge's identity.
"""

from selaras.policy.policy import Policy


def policy_text(policy: Policy) -> str:
    """Return title, statement, exceptions and examples of a policy as plain text.

    >>> from selaras.policy import builtin_policies
    >>> policy_text(builtin_policies()["hate"]).splitlines()[0]
    'Hate speech'
    """
    parts = [f"{policy.title}\n\n{policy.statement.strip()}"]
    for heading, items in (
        ("It is no violation:", policy.exceptions),
        ("For example, these violate it:", policy.violating),
        ("For example, these do not:", policy.allowed),
    ):
        if items:
            parts.append("\n".join([heading, *(f"- {item.strip()}" for item in items)]))
    return "\n\n".join(parts)
