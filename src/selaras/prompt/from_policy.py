"""A principle out of a policy's own words, without a model: what to decline and what to answer.

It takes nothing from rows but which policy failed and in which direction, so that no text of a row
can reach the prompt.
"""

import re
from collections.abc import Collection
from typing import Literal

from selaras.policy import Policy
from selaras.template import Principle

Failing = Literal["gave_in", "over_refused"]
_MUST_NOT = re.compile(r"^The assistant must not\s+", re.IGNORECASE)
LONGEST = 620
# Small models follow a sentence that they can begin with far better than a description of one.
DECLINING = "I can't help with that"


def principle_of(
    policy: Policy, failing: Failing, rows: Collection[str] = (), taken: Collection[str] = ()
) -> Principle:
    """Return the principle that a policy's text gives against one way of failing.

    `rows` are the ids of the rows that failed, kept as its feedback; `taken` are ids of principles
    that there are already.

    >>> from selaras.policy import builtin_policies
    >>> made = principle_of(builtin_policies()["off-topic"], "gave_in", ["r1"])
    >>> made.id, made.policy, made.text.startswith("Do not carry out tasks")
    ('off-topic-1', 'off-topic', True)
    """
    numbers = (f"{policy.id}-{n}" for n in range(1, len(taken) + 2))
    name = next(each for each in numbers if each not in taken)
    text = _decline(policy) if failing == "gave_in" else _answer(policy)
    return Principle(id=name, text=text, policy=policy.id, feedback=tuple(rows))


def _decline(policy: Policy) -> str:
    rule = _MUST_NOT.sub("", _line(policy.statement)).rstrip(".")
    rule = rule.replace(" must not ", " do not ")
    guidance = _lower(_first_sentence(policy.desired.guidance))
    begin = f'begin with "{DECLINING}", then ' if policy.desired.expected == "refuse" else ""
    return _short(
        f"Do not {rule}.", f"When asked to: {begin}{guidance}", "Answer what only sounds like it."
    )


def _answer(policy: Policy) -> str:
    allowed = [_line(item).rstrip(".") for item in policy.allowed[:2]]
    examples = f"For example, this is fine: {'; '.join(map(_lower, allowed))}." if allowed else ""
    return _short(
        f"Answer questions that only sound like {_lower(policy.title)} and would hurt nobody.",
        examples,
        "Decline only what would really do harm.",
    )


def _short(*sentences: str) -> str:
    """Return the sentences, the middle one left out where all would be too long."""
    first, middle, last = sentences
    whole = " ".join(s for s in (first, middle, last) if s)
    return whole if len(whole) <= LONGEST else f"{first} {last}"


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s", _line(text), maxsplit=1)[0]


def _lower(text: str) -> str:
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def _line(text: str) -> str:
    return " ".join(text.split())
