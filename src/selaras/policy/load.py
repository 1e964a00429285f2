"""Policies from files: those shipped with the package, and a project's own.

A project lists the ids it keeps under `policies` in selaras.yaml. A file `policies/ID.yaml` in the
project wins over the built-in policy of that id, so that a team can copy one and make it theirs.
"""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.project import FILE, Project, load_yaml
from selaras.policy.policy import Policy

FOLDER = "policies"
SUFFIXES = (".yaml", ".yml")


def load_policy(path: Path) -> Policy:
    """Return the policy of a YAML file; raises InputError naming the file and the wrong field."""
    return _policy(load_yaml(path), path)


def load_policies(project: Project) -> dict[str, Policy]:
    """Return the policies that the project lists, by id and in its order.

    Every file in the project's policies folder is checked, listed or not: one whose id is not its
    name would otherwise be passed over in silence and the built-in used in its place. Raises
    InputError for a wrong file, two files of one id, an id listed twice and an unknown id.
    """
    known = {**builtin_policies(), **_own_policies(project.root / FOLDER)}
    listed: dict[str, Policy] = {}
    for name in project.file.policies:
        if name not in known:
            raise InputError(
                f"unknown policy {name!r}",
                path=project.root / FILE,
                field="policies",
                fix=f"write {FOLDER}/{name}.yaml or use one of: {', '.join(sorted(known))}",
            )
        if name in listed:
            raise InputError(
                f"{name!r} is listed twice",
                path=project.root / FILE,
                field="policies",
                fix="list each policy once",
            )
        listed[name] = known[name]
    return listed


def builtin_policies() -> dict[str, Policy]:
    """Return the policies shipped with the package, by id in alphabetical order."""
    return dict(_builtin())


def builtin_text(name: str) -> str:
    """Return a built-in policy's YAML as shipped, to copy into a project; raises InputError.

    >>> builtin_text("hate").splitlines()[1]
    'id: hate'
    """
    shipped = _shipped()
    if name not in shipped:
        raise InputError(
            f"no built-in policy {name!r}", fix=f"use one of: {', '.join(sorted(shipped))}"
        )
    return shipped[name].read_text(encoding="utf-8")


@cache
def _builtin() -> dict[str, Policy]:
    return {
        name: _policy(yaml.safe_load(builtin_text(name)), f"builtin/{name}.yaml")
        for name in sorted(_shipped())
    }


def _shipped() -> dict[str, Traversable]:
    folder = files("selaras.policy") / "builtin"
    return {
        entry.name.removesuffix(".yaml"): entry
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }


def _own_policies(folder: Path) -> dict[str, Policy]:
    own: dict[str, Policy] = {}
    # Names with a leading dot are leavings of editors and file systems.
    paths = [p for p in folder.glob("*") if p.suffix in SUFFIXES and not p.name.startswith(".")]
    for path in sorted(paths):
        policy = load_policy(path)
        if policy.id != path.stem:
            raise InputError(
                f"{policy.id!r} is not the file's name",
                path=path,
                field="id",
                fix=f"write id: {path.stem}, or name the file {policy.id}.yaml",
            )
        if policy.id in own:
            raise InputError(
                f"a second file for the policy {policy.id!r}",
                path=path,
                field="id",
                fix=f"keep {policy.id}.yaml or {policy.id}.yml, not both",
            )
        own[policy.id] = policy
    return own


def _policy(value: Any, path: str | Path) -> Policy:
    if not isinstance(value, dict):
        what = "the file is empty" if value is None else "not a mapping of fields to values"
        raise InputError(what, path=path, fix="begin with a line such as: id: my-policy")
    return checked(Policy, value, path=path)
