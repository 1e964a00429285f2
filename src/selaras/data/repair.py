"""Findings to decisions and back: `--fix` and people append them, `restore` takes them back.

Nothing is deleted: the rows stay in their files, and every reader leaves out what
`data/decisions.jsonl` says.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence

from selaras.core.check import checked
from selaras.core.decisions import (
    Action,
    Decision,
    Label,
    apply_decisions,
    now,
    read_decisions,
    record_decisions,
    standing,
)
from selaras.core.errors import InputError
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data.audit import AuditReport
from selaras.data.rows import load_rows
from selaras.policy import check_rows, load_policies

BY = "selaras data audit --fix"


def fix(project: Project, report: AuditReport) -> list[Decision]:
    """Append a `remove` for every safe proposal of a report, and return the decisions.

    Never a relabel: what a row means is for a person to say. A row that has been removed already is
    not removed again.
    """
    batch = f"fix-{now().replace(':', '').replace('-', '')}-{secrets.token_hex(2)}"
    gone = {record for record, made in _held(project).items() if made[-1].action == "remove"}
    decisions = [
        Decision(record=proposal.record, action="remove", reason=proposal.reason, by=BY, at=now(),
                 audit=finding.name, batch=batch)
        for finding, proposal in report.repairs
        if proposal.record not in gone
    ]  # fmt: skip
    record_decisions(project.decisions, decisions)
    return decisions


def decide(
    project: Project,
    rows: Sequence[str],
    action: Action,
    *,
    reason: str,
    by: str,
    fields: Mapping[Label, str | list[str]] | None = None,
) -> list[Decision]:
    """Append a person's decision about rows and return the decisions, one a row.

    `fields` are the new labels of a `relabel`. Raises InputError for an unknown row, a label that
    the row cannot have, and a relabel without labels; nothing is then written.
    """
    loaded = load_rows(project)
    known: dict[str, Query | None] = {removal.record: None for removal in loaded.removed}
    known |= {row.id: row for row in (*loaded.kept, *loaded.waiting)}
    if unknown := [name for name in rows if name not in known]:
        raise InputError(
            f"no row {unknown[0]!r} to decide about", path=project.root,
            fix="name development rows; the labels of sealed ones are fixed",
        )  # fmt: skip
    if (action == "relabel") != bool(fields):
        raise InputError("a relabel names labels, and nothing else does",
                         fix="write: --relabel expected=answer")  # fmt: skip
    shared = {"action": action, "reason": reason, "by": by, "at": now(), "fields": fields or {}}
    made = [
        checked(Decision, {"record": name, "content": _content(known[name], action), **shared})
        for name in rows
    ]
    kept, _ = apply_decisions([row for name in rows if (row := known[name])], made)
    check_rows(kept, load_policies(project), project.file.use_cases)
    record_decisions(project.decisions, made)
    return made


def restore(
    project: Project,
    rows: Collection[str] = (),
    audit: str | None = None,
    *,
    by: str = "selaras data restore",
) -> list[Decision]:
    """Append a `restore` for what is named, and return the decisions.

    With `rows`, everything decided about them; with `audit`, what `--fix` decided on its findings
    ("duplicates", or one check: "duplicates/exact"), of those rows where rows are given too; with
    neither, the last `--fix`. Raises InputError where nothing that stands was decided so.
    """
    held = _held(project)
    if unknown := sorted(set(rows) - held.keys()):
        raise InputError(
            f"nothing that stands was decided about {unknown[0]!r}", path=project.decisions
        )
    made = [d for record in (rows or held) for d in held[record]]
    if audit is not None:
        made = [d for d in made if d.audit and d.audit in {audit, *_under(made, audit)}]
        what = f"by the audit {audit!r}"
    elif not rows:
        batches = [d.batch for d in read_decisions(project.decisions) if d in made and d.batch]
        made = [d for d in made if d.batch and d.batch == batches[-1]] if batches else []
        what = "by --fix"
    if not made:
        raise InputError(f"nothing that stands was decided {what}", path=project.decisions)
    whole = bool(rows) and audit is None
    undone = [_undoing(decision, whole, by) for decision in made]
    unique = list({(d.record, d.audit, d.batch): d for d in undone}.values())
    record_decisions(project.decisions, unique)
    return unique


def _content(row: Query | None, action: Action) -> str | None:
    """Return what an approval is about: the text that was seen."""
    return row.fingerprint if row and action in {"approve", "review"} else None


def _undoing(decision: Decision, whole: bool, by: str) -> Decision:
    return Decision(
        record=decision.record, action="restore", reason=f"takes back: {decision.reason}", by=by,
        at=now(), audit=None if whole else decision.audit,
        batch=None if whole else decision.batch,
    )  # fmt: skip


def _under(decisions: Sequence[Decision], audit: str) -> set[str]:
    return {d.audit for d in decisions if d.audit and d.audit.startswith(f"{audit}/")}


def _held(project: Project) -> dict[str, list[Decision]]:
    return standing(read_decisions(project.decisions))
