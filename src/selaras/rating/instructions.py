"""What raters are told: made from the policies as they stand, and versioned.

The version is a fingerprint of every word that is shown, so each vote says what its rater had read.
A vote under an older version still counts while the policies' revisions are the same (a typo was
mended, an example added); where an author raised a revision, the items of that policy are opened
again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.policy import Policy


@dataclass(frozen=True, slots=True)
class Borderline:
    """A case that people disagreed on and that was decided: what, on which side, and why."""

    policy: str
    text: str
    value: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Guide:
    """The instructions of one policy. `desired` says what a good answer does instead."""

    policy: str
    revision: int
    title: str
    statement: str
    exceptions: tuple[str, ...]
    violating: tuple[str, ...]
    allowed: tuple[str, ...]
    desired: str
    borderline: tuple[Borderline, ...] = ()


@dataclass(frozen=True, slots=True)
class Instructions:
    """The guides of the policies of an item, in its order; none for questions of quality alone."""

    guides: tuple[Guide, ...]

    @property
    def version(self) -> str:
        """Identity of every word that is shown."""
        return fingerprint(self.to_dict())

    @property
    def revisions(self) -> dict[str, int]:
        """The revision of each policy: what decides whether earlier votes still count."""
        return {guide.policy: guide.revision for guide in self.guides}

    def to_dict(self) -> dict[str, Any]:
        """Return the instructions as JSON values."""
        return {"guides": [_guide_value(guide) for guide in self.guides]}


def instructions_for(
    names: Sequence[str], policies: Mapping[str, Policy], borderline: Sequence[Borderline] = ()
) -> Instructions:
    """Return the instructions for an item under these policies.

    Raises InputError for a policy that the project does not list.

    >>> from selaras.policy import builtin_policies
    >>> made = instructions_for(["hate"], builtin_policies())
    >>> made.revisions, made.version == instructions_for(["hate"], builtin_policies()).version
    ({'hate': 1}, True)
    """
    for name in names:
        if name not in policies:
            raise InputError(
                f"unknown policy {name!r}", field="policies",
                fix=f"use one of: {', '.join(sorted(policies))}",
            )  # fmt: skip
    return Instructions(tuple(_guide(policies[name], borderline) for name in names))


def read_instructions(value: Mapping[str, Any]) -> Instructions:
    """Return the instructions that `to_dict` wrote."""
    guides = []
    for guide in value["guides"]:
        lists = {name: tuple(guide[name]) for name in ("exceptions", "violating", "allowed")}
        cases = tuple(Borderline(**case) for case in guide["borderline"])
        guides.append(Guide(**{**guide, **lists, "borderline": cases}))
    return Instructions(tuple(guides))


def _guide(policy: Policy, borderline: Sequence[Borderline]) -> Guide:
    return Guide(
        policy=policy.id,
        revision=policy.revision,
        title=policy.title,
        statement=policy.statement.strip(),
        exceptions=policy.exceptions,
        violating=policy.violating,
        allowed=policy.allowed,
        desired=policy.desired.guidance.strip(),
        borderline=()
        if policy.statement_only
        else tuple(
            case
            for case in borderline
            # What became an example of the policy itself is not said twice.
            if case.policy == policy.id and case.text not in (*policy.violating, *policy.allowed)
        ),
    )


def _guide_value(guide: Guide) -> dict[str, Any]:
    return {
        "policy": guide.policy,
        "revision": guide.revision,
        "title": guide.title,
        "statement": guide.statement,
        "exceptions": list(guide.exceptions),
        "violating": list(guide.violating),
        "allowed": list(guide.allowed),
        "desired": guide.desired,
        "borderline": [
            {"policy": case.policy, "text": case.text, "value": case.value, "why": case.why}
            for case in guide.borderline
        ],
    }
