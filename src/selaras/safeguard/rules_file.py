"""Rules as a file: `guards/rules.yaml`.

rules:
  - {policy: illicit-goods, pattern: 'pick (?:a|the) lock', sides: [query]}
personal:
  - {policy: private-information, kinds: [email, card], sides: [response]}
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.project import Project, load_yaml
from selaras.core.records import Record
from selaras.data.personal import Personal
from selaras.policy import Policy
from selaras.safeguard.outcome import SIDES, Side
from selaras.safeguard.rules import PersonalRule, Rule, Rules, rule
from selaras.safeguard.spec import StageSpec, own_file


class RuleSpec(Record):
    """One pattern in RE2's syntax; case, accents and disguises are seen through."""

    policy: str
    pattern: str = Field(min_length=1)
    sides: tuple[Side, ...] = Field(default=SIDES, min_length=1)
    name: str | None = None


class PersonalSpec(Record):
    """Personal data of some kinds, told by form and checksum."""

    policy: str
    kinds: tuple[Personal, ...] = ("email", "phone", "card", "iban", "secret")
    sides: tuple[Side, ...] = Field(default=("response",), min_length=1)
    regions: tuple[str, ...] = ("US", "GB")


class RulesFile(Record):
    """All of a rules file."""

    rules: tuple[RuleSpec, ...] = ()
    personal: tuple[PersonalSpec, ...] = ()


def open_rules(stage: StageSpec, project: Project, policies: Mapping[str, Policy]) -> Rules:
    """Return the rules stage of a file; rules of policies that the guard leaves out are left out.

    Raises InputError for an unknown policy or a pattern that is refused, with its number.
    """
    path = own_file(stage, project)
    found = checked(RulesFile, load_yaml(path) or {}, path=path)
    known = {*policies, *project.file.policies}
    about = {
        "rules": [each.policy for each in found.rules],
        "personal": [each.policy for each in found.personal],
    }
    for kind, names in about.items():
        for number, name in enumerate(names):
            if name not in known:
                raise InputError(
                    f"unknown policy {name!r}", path=path, field=f"{kind}.{number}.policy",
                    fix=f"use one of: {', '.join(sorted(known))}",
                )  # fmt: skip
    sides = set(stage.sides)
    return Rules(
        tuple(
            _rule(each, number, path)
            for number, each in enumerate(found.rules)
            if each.policy in policies and sides & set(each.sides)
        ),
        tuple(
            PersonalRule(each.policy, each.kinds, each.sides, each.regions)
            for each in found.personal
            if each.policy in policies and sides & set(each.sides)
        ),
    )


def _rule(spec: RuleSpec, number: int, path: Path) -> Rule:
    try:
        return rule(spec.policy, spec.pattern, spec.sides, spec.name or f"{number + 1}")
    except InputError as error:
        raise InputError(
            error.what, path=path, field=f"rules.{number}.pattern", fix=error.fix
        ) from error
