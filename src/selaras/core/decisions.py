"""What people and `--fix` decided about rows: appended, never edited, applied by every reader."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import append_jsonl, read_jsonl
from selaras.core.records import Query, Record

Action = Literal["remove", "review", "approve", "relabel", "restore"]
Label = Literal["kind", "expected", "policies", "use_case", "response_label"]


class Decision(Record):
    """One decision about one row. The last one about a row holds; `restore` undoes the others.

    `fields` are the new values of a `relabel`: labels only, never the text or the id. `audit` names
    the finding that a decision answers ("duplicates/exact") and `batch` the `--fix` that made it; a
    `restore` with either undoes only the decisions that carry the same. `content` is the
    fingerprint of the row that a reviewer saw: an approval does not hold for a text changed since.
    """

    record: str
    action: Action
    reason: str
    by: str
    at: str
    fields: dict[Label, str | list[str]] = Field(default_factory=dict)
    audit: str | None = None
    batch: str | None = None
    content: str | None = None

    def undoes(self, other: "Decision") -> bool:
        """Return whether this decision, a `restore`, takes back an earlier one about its row."""
        same_batch = self.batch is None or self.batch == other.batch
        return same_batch and (self.audit is None or self.audit == other.audit)


@dataclass(frozen=True, slots=True)
class Removal:
    """A row that was taken out, and why; `matched` names the row it matched, if one."""

    record: str
    reason: str
    matched: str | None = None
    similarity: float | None = None


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_decisions(path: Path) -> list[Decision]:
    """Return the decisions of a file in their order; none where there is no file."""
    if not path.exists():
        return []
    return [checked(Decision, value, path=path, line=n) for n, value in read_jsonl(path)]


def standing(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    """Return the decisions about each row that no `restore` took back, in their order."""
    held: dict[str, list[Decision]] = {}
    for decision in decisions:
        made = held.setdefault(decision.record, [])
        if decision.action == "restore":
            made[:] = [other for other in made if not decision.undoes(other)]
        else:
            made.append(decision)
    return {record: made for record, made in held.items() if made}


def record_decisions(path: Path, decisions: Iterable[Decision]) -> None:
    """Append decisions; those on disk are never touched."""
    append_jsonl(
        path, [decision.model_dump(mode="json", exclude_none=True) for decision in decisions]
    )


def apply_decisions(
    rows: Sequence[Query], decisions: Iterable[Decision]
) -> tuple[list[Query], list[Removal]]:
    """Return the rows that stand, relabelled where decided, and the removals with their reasons.

    Kept and removed together are the input; the order of rows is kept.
    """
    held = standing(decisions)
    kept: list[Query] = []
    removed: list[Removal] = []
    for row in rows:
        made = held.get(row.id, [])
        verdicts = [decision for decision in made if decision.action in {"remove", "approve"}]
        if verdicts and verdicts[-1].action == "remove":
            removed.append(Removal(row.id, verdicts[-1].reason))
            continue
        for decision in made:
            if decision.action == "relabel":
                row = _relabelled(row, decision)
        kept.append(row)
    return kept, removed


def _relabelled(row: Query, decision: Decision) -> Query:
    try:
        return checked(type(row), {**row.model_dump(), **decision.fields})
    except InputError as error:
        raise InputError(
            f"the decision of {decision.at} cannot relabel row {row.id!r}: {error.what}",
            field=error.field,
            fix="append a restore and a new decision",
        ) from error
