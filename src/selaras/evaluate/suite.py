"""What a System is measured on: rows with their clusters, and the capability checks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from selaras.core.errors import InputError, one_line
from selaras.core.files import read_jsonl
from selaras.core.fingerprint import fingerprint
from selaras.core.project import Project
from selaras.core.records import Identifier, Query, Record
from selaras.data import DEVELOPMENT_FIGURES, Development
from selaras.data.opener import open_held_out, reveal
from selaras.data.seal import Seal

HELD_OUT_FIGURES = "held-out figures"


class ChoiceCheck(Record):
    """A question with candidate answers: right when the right one is the likeliest reply."""

    id: Identifier
    type: Literal["choice"]
    query: str = Field(min_length=1)
    choices: tuple[str, ...] = Field(min_length=2)
    answer: int = Field(ge=0)
    topic: str = ""


class ExactCheck(Record):
    """A question with accepted answers: right when the reply holds one of them as whole words."""

    id: Identifier
    type: Literal["exact"]
    query: str = Field(min_length=1)
    accept: tuple[str, ...] = Field(min_length=1)
    topic: str = ""


Check = ChoiceCheck | ExactCheck
_CHECK: TypeAdapter[Check] = TypeAdapter(Annotated[Check, Field(discriminator="type")])


@dataclass(frozen=True, slots=True)
class Suite:
    """Rows to answer. `clusters` names each row's cluster; `seal` is set where they are sealed.

    The text of sealed rows stays out of every repr, log and journal.
    """

    rows: tuple[Query, ...] = field(repr=False)
    clusters: tuple[str, ...] = field(repr=False)
    stamp: str
    seal: Seal | None = field(default=None, repr=False)

    @property
    def fingerprint(self) -> str:
        """Identity of the rows, of the labels that figures depend on, and of their clusters."""
        rows = [
            [row.id, row.fingerprint, row.kind, row.expected, row.policies, row.use_case]
            for row in self.rows
        ]
        return fingerprint([rows, self.clusters])


def development_suite(development: Development, rows: Sequence[Query] | None = None) -> Suite:
    """Return the suite of development rows, or of some of them."""
    chosen = development.rows if rows is None else tuple(rows)
    clusters = tuple(development.groups[row.id] for row in chosen)
    return Suite(chosen, clusters, DEVELOPMENT_FIGURES)


def held_out_suite(project: Project) -> Suite:
    """Return the suite of the sealed rows; raises SealError where there are none."""
    held_out = open_held_out(project)
    clusters = tuple(row.group for row in held_out.seal.rows)
    return Suite(reveal(held_out), clusters, HELD_OUT_FIGURES, held_out.seal)


def load_checks(project: Project) -> tuple[Check, ...]:
    """Return the project's capability checks; raises InputError for a wrong one."""
    if project.file.capability is None:
        return ()
    path = project.root / project.file.capability
    checks: dict[str, Check] = {}
    for line, value in read_jsonl(path):
        check = _check(value, path, line)
        if check.id in checks:
            raise InputError(f"the id {check.id!r} stands twice", path=path, line=line, field="id")
        checks[check.id] = check
    if not checks:
        raise InputError("no checks", path=path)
    return tuple(checks.values())


def _check(value: dict[str, Any], path: Any, line: int) -> Check:
    try:
        check = _CHECK.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        loc = [str(part) for part in first["loc"] if part not in {"choice", "exact"}]
        raise InputError(
            one_line(first["msg"], 160), path=path, line=line, field=".".join(loc) or None
        ) from error
    if isinstance(check, ChoiceCheck) and check.answer >= len(check.choices):
        raise InputError("the answer names no choice", path=path, line=line, field="answer")
    return check
