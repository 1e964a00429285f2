"""A policy as Markdown and back: what its author reads and edits without YAML.

    # Title
    - id: my-policy
    …
    ## Statement
    ## Exceptions
    ## Violating
    ## Allowed
    ## Desired
    ## Message
    ## Message id

One list item a line; a longer paragraph is one line after reading. A message's other languages have
sections of their own. Nothing that a policy has is lost: writing and reading give the same policy.
"""

import re
from typing import Any

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.policy.policy import CATEGORIES, Policy

_FACTS = ("id", "revision", "owner", "severity", "family", "statement_only", "expected")
_LISTS = {"Exceptions": "exceptions", "Violating": "violating", "Allowed": "allowed"}
_SAID = re.compile(r"^Message (\S+)$")
_FACT = re.compile(r"^-\s*([a-z_]+):\s*(.*)$")


def policy_markdown(policy: Policy) -> str:
    """Return a policy as Markdown; white space within its texts becomes single spaces.

    >>> from selaras.policy import builtin_policies
    >>> policy_markdown(builtin_policies()["hate"]).splitlines()[:3]
    ['# Hate speech', '', '- id: hate']
    """
    facts: dict[str, Any] = {name: getattr(policy, name, None) for name in _FACTS}
    facts["expected"] = policy.desired.expected.value
    facts["statement_only"] = "yes" if policy.statement_only else "no"
    lines = [f"# {_flat(policy.title)}", ""]
    lines += [f"- {name}: {_flat(str(value))}" for name, value in facts.items()]
    lines += [
        f"- {taxonomy}: {', '.join(names)}" for taxonomy, names in policy.maps_to.items() if names
    ]
    lines += ["", "## Statement", "", _flat(policy.statement)]
    for head, name in _LISTS.items():
        items = [f"- {_flat(item)}" for item in getattr(policy, name)]
        lines += ["", f"## {head}", "", *items]
    lines += ["", "## Desired", "", _flat(policy.desired.guidance)]
    said = {"Message": policy.desired.message or ""}
    said |= {f"Message {language}": own for language, own in policy.desired.translations.items()}
    for head, own in said.items():
        lines += ["", f"## {head}", "", _flat(own)] if own else []
    return "\n".join(lines) + "\n"


def parse_policy(text: str) -> Policy:
    """Return the policy that Markdown describes; raises InputError with the line that is wrong."""
    sections: dict[str, list[tuple[int, str]]] = {"": []}
    title, head = "", ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith("## "):
            head = line[3:].strip()
            known = head in {"Statement", "Desired", "Message", *_LISTS} or _SAID.match(head)
            if not known or head in sections:
                raise InputError(
                    f"no section {head[:40]!r} here", line=number,
                    fix=f"use once each: Statement, {', '.join(_LISTS)}, Desired, Message",
                )  # fmt: skip
            sections[head] = []
        elif line.startswith("# ") and not title:
            title = line[2:].strip()
        elif line:
            sections[head].append((number, line))
    facts = _facts(sections[""])
    value: dict[str, Any] = {
        "id": facts.get("id", ""), "title": title, "revision": _whole(facts.get("revision", "")),
        "owner": facts.get("owner", ""), "severity": facts.get("severity", ""),
        "family": facts.get("family", ""),
        "statement_only": facts.get("statement_only", "no").lower() in {"yes", "true"},
        "maps_to": {
            taxonomy: [name.strip() for name in facts[taxonomy].split(",") if name.strip()]
            for taxonomy in CATEGORIES if taxonomy in facts
        },
        "statement": _paragraph(sections.get("Statement", [])),
        "desired": {
            "expected": facts.get("expected", ""),
            "guidance": _paragraph(sections.get("Desired", [])),
            "message": _paragraph(sections.get("Message", [])) or None,
            "translations": {
                found[1]: _paragraph(own)
                for head, own in sections.items() if (found := _SAID.match(head))
            },
        },
        **{name: _items(sections.get(head, [])) for head, name in _LISTS.items()},
    }  # fmt: skip
    return checked(Policy, value)


def _facts(lines: list[tuple[int, str]]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for number, line in lines:
        found = _FACT.match(line)
        if found is None or found[1] not in {*_FACTS, *CATEGORIES}:
            raise InputError(
                f"not understood: {line[:60]!r}", line=number,
                fix=f"write '- name: value' with one of {', '.join((*_FACTS, *CATEGORIES))}",
            )  # fmt: skip
        facts[found[1]] = found[2].strip()
    return facts


def _items(lines: list[tuple[int, str]]) -> list[str]:
    items: list[str] = []
    for number, line in lines:
        if line.startswith("- "):
            items.append(line[2:].strip())
        elif items:
            items[-1] += f" {line}"
        else:
            raise InputError("a list begins with '- '", line=number)
    return items


def _paragraph(lines: list[tuple[int, str]]) -> str:
    return " ".join(line for _, line in lines)


def _whole(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _flat(text: str) -> str:
    return " ".join(text.split())
