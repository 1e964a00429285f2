"""What reviewers said of drafted rows, as decisions that every reader of the data applies.

An approved draft comes into use, a rejected one is removed with the reviewers' reasons. An edited
one is a new row beside the old: it names its parent, is approved, and the old one is removed.
"""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection

from selaras.core.decisions import Removal
from selaras.core.errors import InputError
from selaras.core.files import append_jsonl
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data import decide, load_rows
from selaras.data.rows import dump_row, parse_row
from selaras.rating.batches import items_of, read_batch
from selaras.rating.export import as_rows

FILE = "reviewed.jsonl"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Ids by what was decided; `left` says why others wait on."""

    approved: tuple[str, ...]
    edited: tuple[str, ...]
    rejected: tuple[str, ...]
    left: tuple[Removal, ...]


def apply_review(project: Project, connection: Connection, batch: str) -> Reviewed:
    """Append the decisions of a review batch about the project's drafts, and return them.

    A draft that was decided already, or whose text changed since the reviewers saw it, is left.
    Raises InputError for a batch of another task.
    """
    spec, _ = read_batch(connection, batch)
    if spec.task != "review":
        raise InputError(f"{batch} is no review, its task is {spec.task}")
    by = f"review {batch}"
    waiting = {row.id: row for row in load_rows(project).waiting}
    found = as_rows(connection, batch)
    contents = [item.content for item in items_of(connection, batch)]
    said = {content.row: parse_row(content.draft or {}) for content in contents}
    seen = {name: row.fingerprint for name, row in said.items()}
    same = {name for name, row in waiting.items() if seen.get(name) == row.fingerprint}
    made = [parse_row(value) for value in found.values]
    approved = [row.id for row in made if row.id in same and row.fingerprint == seen[row.id]]
    edited = [row for row in made if row.id in same and row.id not in approved]
    rejected = {r.record: r.reason for r in found.removed if r.reason.startswith("rejected")}
    fresh = [_successor(row, waiting[row.id], batch) for row in edited]
    append_jsonl(project.root / "data" / FILE, (dump_row(row) for row in fresh))
    if ids := [*approved, *(row.id for row in fresh)]:
        decide(project, ids, "approve", reason=f"approved in {batch}", by=by)
    for old, new in zip(edited, fresh, strict=True):
        decide(project, [old.id], "remove", reason=f"edited in review, see {new.id}", by=by)
    gone = defaultdict(list)
    for row, reason in rejected.items():
        if row in same:
            gone[reason].append(row)
    for reason, rows in gone.items():
        decide(project, rows, "remove", reason=reason, by=by)
    left = [r for r in found.removed if r.record not in rejected]
    left += [Removal(row, "decided already, or changed since") for row in said if row not in same]
    dropped = tuple(row for rows in gone.values() for row in rows)
    return Reviewed(tuple(approved), tuple(row.id for row in fresh), dropped, tuple(left))


def _successor(edited: Query, old: Query, batch: str) -> Query:
    name = f"{old.id}.{batch}"[:128]
    parents = tuple(dict.fromkeys((*edited.parents, old.id)))
    return edited.model_copy(update={"id": name, "parents": parents})
