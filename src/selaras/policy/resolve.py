"""Policies where they are used: in a use case, which may change them, and on rows, which name them.

What is safe is contextual: a poisoning in a story is allowed where the same words as an answer are
not. A use case says so with an override, and nothing else does.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.project import FILE, UseCase
from selaras.core.records import Query
from selaras.policy.policy import Policy

Place = tuple[str | Path, int]


def effective(policy: Policy, use_case: UseCase) -> Policy:
    """Return the policy as it holds in the use case; the policy itself where nothing is overridden.

    The override's exceptions follow the policy's own, without repeats; its `expected` takes the
    place of the desired one. Statement, guidance and revision stay as they were written.
    """
    override = use_case.overrides.get(policy.id)
    if override is None:
        return policy
    desired = policy.desired
    if override.expected is not None:
        desired = desired.model_copy(update={"expected": override.expected})
    exceptions = tuple(dict.fromkeys((*policy.exceptions, *override.exceptions)))
    return policy.model_copy(update={"exceptions": exceptions, "desired": desired})


def check_overrides(
    policies: Mapping[str, Policy], use_cases: Iterable[UseCase], path: str | Path = FILE
) -> None:
    """Raise InputError for the first override of a policy that the project does not list."""
    for use_case in use_cases:
        for name in use_case.overrides:
            if name not in policies:
                raise InputError(
                    f"an override for the unknown policy {name!r}",
                    path=path,
                    field=f"use_cases.{use_case.id}.overrides",
                    fix=_one_of(policies),
                )


def check_rows(
    rows: Iterable[Query],
    policies: Mapping[str, Policy],
    use_cases: Iterable[UseCase],
    places: Mapping[str, Place] | None = None,
) -> None:
    """Raise InputError for the first row that names an unknown policy or use case.

    A row under a policy that is statement only is refused too: none is ever written for it.
    `places` maps a row's id to the file and line it was read from, for the message.
    """
    known = {use_case.id for use_case in use_cases}
    for row in rows:
        for name in row.policies:
            if name not in policies:
                raise _wrong(row, "policies", f"unknown policy {name!r}", _one_of(policies), places)
            if policies[name].statement_only:
                what = f"the policy {name!r} is statement only: no rows are written for it"
                raise _wrong(row, "policies", what, "take the row out", places)
        if row.use_case is not None and row.use_case not in known:
            what = f"unknown use case {row.use_case!r}"
            raise _wrong(row, "use_case", what, _one_of(known), places)


def _wrong(
    row: Query, field: str, what: str, fix: str, places: Mapping[str, Place] | None
) -> InputError:
    path, line = (places or {}).get(row.id, (None, None))
    return InputError(f"row {row.id!r}: {what}", path=path, line=line, field=field, fix=fix)


def _one_of(known: Iterable[str]) -> str:
    names = ", ".join(sorted(known)) or "(none yet)"
    return f"use one of: {names}; or list it in {FILE}"
